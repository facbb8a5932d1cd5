"""Fields with a closed list of values: the entry that the rows most likely read."""

import math

from rapidfuzz.distance import Levenshtein

from mediq.ocr_engine.card.layout import PlacedRow
from mediq.ocr_engine.fields.field_value import FieldValue
from mediq.ocr_engine.fields.read_text import letters_and_digits, read_text
from mediq.ocr_engine.text.alphabet import Alphabet, CharacterClass
from mediq.ocr_engine.text.ctc import log_likelihood
from mediq.ocr_engine.text.vocabulary import CLOSED, OPEN_ENDED

_CANDIDATES = 6
"""Entries, the nearest by edits, that are compared by likelihood."""
_CLEAR_LEAD = 3.0
"""Lead in the natural logarithm of the likelihood from which an entry is clearly the one."""


def _is_subsequence(letters: str, word: str) -> bool:
    """Whether a word has these letters in this order, and perhaps others between them."""
    rest = iter(word)
    return all(letter in rest for letter in letters)


_BY_LETTERS = {name: {letters_and_digits(word): word for word in reversed(words)} for name, words in CLOSED.items()}
"""For each field, the entry of its list with these letters; the first entry, if several have them."""
_AMBIGUOUS = {
    name: frozenset(
        letters for letters in words if any(other != letters and _is_subsequence(letters, other) for other in words)
    )
    for name, words in _BY_LETTERS.items()
}
"""For each field, letters that remain of another entry when some are missed, as KAWIN of BELUM KAWIN."""


def parse_listed(name: str, rows: list[PlacedRow], alphabet: Alphabet) -> FieldValue:
    """The entry of the field's list that the rows most likely read; what was read, if no entry is near."""
    read = read_text(rows, alphabet, CharacterClass.LETTERS)
    letters = letters_and_digits(read.text)
    placed = tuple(rows)
    if not letters:
        dash = "-" if "-" in read.text and name == "pekerjaan" else ""
        return FieldValue(dash, read.evidence, None, placed)
    if name == "kewarganegaraan" and len(letters) <= 4 and letters != "WNA":
        # Nearly every card prints WNI, and no name of a country is as short.
        edits = Levenshtein.distance(letters, "WNI")
        if edits <= 2:
            evidence = read.evidence.weakened(1 - 0.2 * edits) if edits else read.evidence_without_punctuation()
            return FieldValue("WNI", evidence, True, placed)
    listed = _BY_LETTERS[name].get(letters)
    if listed is not None:
        # The letters agree, so spaces and punctuation come from the list and need no evidence of their own. Where
        # another entry reads like this one when letters are missed, the whole row counts.
        evidence = read.evidence if letters in _AMBIGUOUS[name] else read.evidence_without_punctuation()
        return FieldValue(listed, evidence, True, placed)
    nearest = sorted(CLOSED[name], key=lambda word: Levenshtein.distance(letters, letters_and_digits(word)))
    candidates = nearest[:_CANDIDATES]
    first = letters_and_digits(candidates[0])
    edits = Levenshtein.distance(letters, first)
    open_ended = name in OPEN_ENDED
    if edits > max(1, round(len(first) * (0.3 if open_ended else 0.5))):
        beside = _beside_other_print(name, letters)
        if beside is not None:
            return FieldValue(beside, read.evidence.weakened(0.6), True, placed)
        long_enough = len(letters) >= min(len(each) for each in _BY_LETTERS[name] if each)
        return FieldValue(read.text, read.evidence, None if open_ended and long_enough else False, placed)
    if open_ended and edits > 1 and read.evidence.log_likelihood > -0.2:
        return FieldValue(read.text, read.evidence, None, placed)
    chosen, lead = _likeliest(candidates, rows, alphabet, letters)
    clear = lead > _CLEAR_LEAD and edits <= 0.12 * len(letters_and_digits(chosen))
    return FieldValue(chosen, read.evidence.weakened(0.97 if clear else 0.8), True, placed)


def _beside_other_print(name: str, letters: str) -> str | None:
    """The longest entry at the start or end of what was read: a watermark or a label was read with it.

    Occupations are left out: one that is not in the list may begin with one that is.
    """
    words = ("WNI",) if name == "kewarganegaraan" else () if name == "pekerjaan" else CLOSED[name]
    long = [word for word in words if len(letters_and_digits(word)) >= 3]
    matching = [word for word in long if letters.startswith(letters_and_digits(word))]
    matching += [word for word in long if letters.endswith(letters_and_digits(word))]
    return max(matching, key=len, default=None)


def _likeliest(words: list[str], rows: list[PlacedRow], alphabet: Alphabet, letters: str) -> tuple[str, float]:
    """The entry that the rows read best, and its lead over the next in units of the natural logarithm."""
    scored = sorted(((_score(word, rows, alphabet, letters), word) for word in words), reverse=True)
    return scored[0][1], scored[0][0] - scored[1][0] if len(scored) > 1 else 9.0


def _score(word: str, rows: list[PlacedRow], alphabet: Alphabet, letters: str) -> float:
    """How well rows read an entry: by its likelihood and its edits, or by edits alone for several rows."""
    cost = 2.0 * Levenshtein.distance(letters, letters_and_digits(word))
    if len(rows) == 1:
        probabilities = alphabet.restrict(rows[0].row.probabilities, CharacterClass.LETTERS)
        found = log_likelihood(probabilities, [alphabet.index[c] for c in word if c in alphabet.index])
        if math.isfinite(found):
            return 0.5 * found - cost
    return -cost

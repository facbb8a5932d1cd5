"""From the pieces of a field to its value, by the field's own form, list or kind of characters."""

import math
import re

from rapidfuzz.distance import Levenshtein

from mediq.ocr_engine.card.layout import Piece
from mediq.ocr_engine.fields.formats import read_blood, read_expiry, read_nik, read_rt_rw
from mediq.ocr_engine.fields.read_text import bare, letters_alone, read_text, weaker
from mediq.ocr_engine.fields.value import Value
from mediq.ocr_engine.text.alphabet import Alphabet, Kind
from mediq.ocr_engine.text.ctc import log_likelihood
from mediq.ocr_engine.text.lexicon import ADDRESS_WORDS, NAME_WORDS, PLACE_WORDS
from mediq.ocr_engine.text.vocabulary import CLOSED, OPEN_ENDED

_KINDS: dict[str, tuple[Kind, frozenset[str]]] = {
    "kabupaten_kota": (Kind.LETTERS, PLACE_WORDS),
    "nama": (Kind.LETTERS, NAME_WORDS),
    "alamat": (Kind.MIXED, ADDRESS_WORDS),
    "kel_desa": (Kind.MIXED, PLACE_WORDS),
    "kecamatan": (Kind.MIXED, PLACE_WORDS),
}
"""Of each open field, the characters that it can consist of and the words common in it."""
_FORMS = {"nik": read_nik, "rt_rw": read_rt_rw, "gol_darah": read_blood, "berlaku_hingga": read_expiry}


def _within(letters: str, word: str) -> bool:
    """Whether a word has these letters in this order, and perhaps others between them."""
    rest = iter(word)
    return all(letter in rest for letter in letters)


_BY_LETTERS = {name: {bare(word): word for word in reversed(words)} for name, words in CLOSED.items()}
"""Of each list, the first word that has these letters."""
_PARTS = {
    name: frozenset(
        letters for letters in words if any(other != letters and _within(letters, other) for other in words)
    )
    for name, words in _BY_LETTERS.items()
}
"""Of each list, the letters that are left of another of its words when some are missed, as KAWIN of BELUM KAWIN."""

_AS_LETTER = str.maketrans({"0": "O", "1": "I", "5": "S", "8": "B", "6": "G"})


def read_value(name: str, pieces: list[Piece], alphabet: Alphabet) -> Value:
    """The value of one field from its pieces in reading order."""
    if name in _FORMS:
        return _FORMS[name](pieces, alphabet)
    if name in CLOSED:
        return _listed(name, pieces, alphabet)
    read = read_text(pieces, alphabet, *_KINDS[name])
    text = _words(read.text)
    if name == "kabupaten_kota":
        text = _titled(text)
        # Every regency or city says which it is; without the word, the row was not read whole.
        known = text.startswith(("KABUPATEN ", "KOTA ", "JAKARTA ")) or not text
        return Value(text, read.evidence, None if known else False, tuple(pieces))
    if name == "alamat":
        text = _address(text)
        # A digit standing alone is easily missed, and what something lay on is not seen: the row was not read whole.
        return Value(text, read.evidence, False if _UNFINISHED.search(text) else None, tuple(pieces))
    return Value(text, read.evidence, None, tuple(pieces))


_ABBREVIATED = "JL|JLN|NO|GG|KP|KAV|DR|PROF|KM|DSN|LK|KOMP|BLK"
_SHORT = re.compile(rf"\b({_ABBREVIATED}),")
_UNFINISHED = re.compile(rf"(\b({_ABBREVIATED}|BLOK|RT|RW)\.?|[,/-])$")
"""An address that ends so lacks its last word."""
_GLUED = re.compile(r"^(JLN|JL|DSN|GG)(?=[A-Z]{3})|\b(BLOK)(?=[A-Z]\d*\b|\d)")


def _address(text: str) -> str:
    """A comma after an abbreviation is a stop, and no word begins with one of these abbreviations."""
    return _GLUED.sub(lambda match: f"{match.group(0)} ", _SHORT.sub(r"\1.", text))


def _titled(text: str) -> str:
    """The first word of the title's second line put right: it is one of three, and often glued to the name."""
    first, _, rest = text.partition(" ")
    for word, room in (("KABUPATEN", 2), ("JAKARTA", 1)):
        if rest and Levenshtein.distance(first, word) <= room:
            return f"{word} {rest}"
    for word in ("KABUPATEN", "JAKARTA", "KOTA"):
        if text.startswith(word):
            return f"{word} {text.removeprefix(word).strip()}"
    return text


def _words(text: str) -> str:
    """Digits inside words of letters are the letters they look like."""
    return " ".join(word.translate(_AS_LETTER) if _wordy(word) else word for word in text.split(" "))


def _wordy(word: str) -> bool:
    letters = sum(c.isalpha() for c in word)
    return len(word) >= 4 and word.isalnum() and letters >= 0.7 * len(word)


def _listed(name: str, pieces: list[Piece], alphabet: Alphabet) -> Value:
    """The word of the field's list that the rows most likely read; what was read if none is near."""
    read = read_text(pieces, alphabet, Kind.LETTERS)
    letters = bare(read.text)
    if not letters:
        dash = "-" if "-" in read.text and name == "pekerjaan" else ""
        return Value(dash, read.evidence, None, tuple(pieces))
    if name == "kewarganegaraan" and len(letters) <= 4 and Levenshtein.distance(letters, "WNI") <= 2 and letters != "WNA":
        # Nearly every card says WNI, and no country's name is as short.
        errors = Levenshtein.distance(letters, "WNI")
        evidence = weaker(read.evidence, 1 - 0.2 * errors) if errors else letters_alone(read)
        return Value("WNI", evidence, True, tuple(pieces))
    listed = _BY_LETTERS[name].get(letters)
    if listed is not None:
        # The letters agree: spaces and strokes are taken from the list, and how well they were read does not matter,
        # unless letters of another word may have been missed there.
        evidence = read.evidence if letters in _PARTS[name] else letters_alone(read)
        return Value(listed, evidence, True, tuple(pieces))
    words = sorted(CLOSED[name], key=lambda word: Levenshtein.distance(letters, bare(word)))[:6]
    nearest = Levenshtein.distance(letters, bare(words[0]))
    open_ended = name in OPEN_ENDED
    if nearest > max(1, round(len(bare(words[0])) * (0.3 if open_ended else 0.5))):
        beside = _beside_other_print(name, letters)
        if beside is not None:
            return Value(beside, weaker(read.evidence, 0.6), True, tuple(pieces))
        long_enough = len(letters) >= min(len(each) for each in _BY_LETTERS[name] if each)
        return Value(read.text, read.evidence, None if open_ended and long_enough else False, tuple(pieces))
    if open_ended and nearest > 1 and read.evidence.whole > -0.2:
        return Value(read.text, read.evidence, None, tuple(pieces))
    chosen, margin = _likeliest(words, pieces, alphabet, letters)
    clear = margin > 3 and nearest <= 0.12 * len(bare(chosen))
    return Value(chosen, weaker(read.evidence, 0.97 if clear else 0.8), True, tuple(pieces))


def _beside_other_print(name: str, letters: str) -> str | None:
    """The longest word of the list that begins or ends what was read: a watermark, or the end of the label, was read
    with it. Occupations are left alone, as others than those listed may begin with one."""
    words = ("WNI",) if name == "kewarganegaraan" else () if name == "pekerjaan" else CLOSED[name]
    whole = [word for word in words if len(bare(word)) >= 3 and letters.startswith(bare(word))]
    whole += [word for word in words if len(bare(word)) >= 3 and letters.endswith(bare(word))]
    return max(whole, key=len, default=None)


def _likeliest(words: list[str], pieces: list[Piece], alphabet: Alphabet, letters: str) -> tuple[str, float]:
    """The word the rows read best, and its lead over the next, in units of the natural logarithm."""
    scored = sorted(((_fit(word, pieces, alphabet, letters), word) for word in words), reverse=True)
    return scored[0][1], scored[0][0] - scored[1][0] if len(scored) > 1 else 9.0


def _fit(word: str, pieces: list[Piece], alphabet: Alphabet, letters: str) -> float:
    """How well rows read a word: the likelihood of its path, or its distance where it runs over several pieces."""
    apart = 2.0 * Levenshtein.distance(letters, bare(word))
    if len(pieces) == 1:
        steps = alphabet.view(pieces[0].row.steps, Kind.LETTERS)
        found = log_likelihood(steps, [alphabet.index[c] for c in word if c in alphabet.index])
        if math.isfinite(found):
            return 0.5 * found - apart
    return -apart

"""Fields with dates: place and date of birth, and the date of expiry."""

import itertools
import math
import re

from rapidfuzz.distance import Levenshtein

from mediq.domain.card import parse_date
from mediq.ocr_engine.card.layout import PlacedRow
from mediq.ocr_engine.fields.field_value import FieldValue
from mediq.ocr_engine.fields.read_text import (
    DecodedText,
    TextEvidence,
    evidence_of,
    letters_and_digits,
    read_text,
    tidy,
)
from mediq.ocr_engine.text.alphabet import LETTER_FOR_DIGIT, Alphabet, CharacterClass
from mediq.ocr_engine.text.ctc import Glyph, best_path, digit_probabilities, text_of
from mediq.ocr_engine.text.lexicon import PLACE_WORDS
from mediq.ocr_engine.text.vocabulary import EXPIRY_FOR_LIFE

_DIGIT_FOR_LETTER = {
    "O": "0", "D": "0", "Q": "0", "I": "1", "L": "1", "T": "7", "Z": "2", "S": "5", "B": "8", "G": "6", "A": "4",
}  # fmt: skip
_DATE_AT_END = re.compile(r"[\dOIlSBZ]{1,2}\W{0,2}[\dOIlSBZ]{2}\W{0,2}[\dOIlSBZ]{4}\W*$")

_BIRTH_YEARS = range(1900, 2100)
"""Years of birth of people who live to hold an e-KTP."""
_EXPIRY_YEARS = range(2011, 2100)
"""Years in which an e-KTP may expire; the first were issued in 2011."""
_VALUES_RIGHT = 260.0
"""Card units: the right end of the value of Berlaku Hingga; the place of issue follows."""
_MOST_EDITS_OF_LIFELONG = 5
_LEAST_DIGITS = 5
"""With at least this many digits of a date read, all eight are looked for."""
_LEAST_RATIO = 0.02
"""Probability against that of the digit read, from which another digit may stand there instead."""
_MOST_COMBINATIONS = 2000

DigitProbabilities = tuple[tuple[float, ...], ...]


def parse_birth(rows: list[PlacedRow], alphabet: Alphabet) -> tuple[FieldValue, FieldValue]:
    """Place and date of birth, printed as `PLACE, DD-MM-YYYY`; the date may stand alone on a second row."""
    read = read_text(rows, alphabet, CharacterClass.MIXED, PLACE_WORDS)
    start = _date_start(text_of(read.glyphs))
    place, date = read.glyphs[:start], read.glyphs[start:]
    # A place has no digits, so a digit is the letter that looks like it.
    letters = [Glyph(LETTER_FOR_DIGIT.get(g.char, g.char), g.probability, g.first, g.last) for g in place]
    town = tidy(text_of(letters)).rstrip(",. ").strip()
    share = max(0.1, len(place) / max(1, len(read.glyphs)))
    log_likelihood = read.evidence.log_likelihood
    return (
        FieldValue(town, evidence_of(letters, log_likelihood * share), None, tuple(rows)),
        _date_value(date, log_likelihood * (1 - share), tuple(rows), alphabet, _BIRTH_YEARS),
    )


def parse_expiry(rows: list[PlacedRow], alphabet: Alphabet) -> FieldValue:
    """A date, or SEUMUR HIDUP (for life)."""
    near = [placed for placed in rows if placed.left < _VALUES_RIGHT]
    letters = read_text(near, alphabet, CharacterClass.LETTERS)
    edits = _edits_to_lifelong(letters)
    if edits <= _MOST_EDITS_OF_LIFELONG:
        return FieldValue(EXPIRY_FOR_LIFE, letters.evidence.weakened(1 - 0.05 * edits), True, tuple(rows))
    read = read_text(near, alphabet, CharacterClass.MIXED)
    return _date_value(read.glyphs, read.evidence.log_likelihood, tuple(rows), alphabet, _EXPIRY_YEARS)


def _edits_to_lifelong(read: DecodedText) -> int:
    return Levenshtein.distance(re.sub(r"[^A-Z]", "", read.text), letters_and_digits(EXPIRY_FOR_LIFE))


def _date_start(text: str) -> int:
    """The index at which the date begins: behind the last comma, or eight digits before the end."""
    comma = max(text.rfind(","), text.rfind(";"))
    if comma >= 0:
        behind = [_DIGIT_FOR_LETTER.get(c, c) for c in text[comma + 1 :]]
        if 6 <= sum(c.isdigit() for c in behind) <= 9:
            return comma + 1
    match = _DATE_AT_END.search(text)
    if match:
        return match.start()
    first = re.search(r"\d", text)
    return first.start() if first else len(text)


def _date_value(
    glyphs: list[Glyph], log_likelihood: float, rows: tuple[PlacedRow, ...], alphabet: Alphabet, years: range
) -> FieldValue:
    """The date that the glyphs read, or the likeliest possible one where they read an impossible one."""
    digits, corrected = _digits_of(glyphs)
    evidence = evidence_of(digits, log_likelihood)
    text = text_of(digits)
    if len(text) == 8:
        of_digits = tuple(g.digit_probabilities for g in digits) if all(g.digit_probabilities for g in digits) else ()
        date = _formatted(text)
        well_formed = _is_date_in(date, years)
        possible = None if well_formed or not of_digits else _likeliest_date(of_digits, years)
        if possible is not None:
            return FieldValue(possible, evidence.weakened(0.7), True, rows, digit_probabilities=of_digits)
        evidence = evidence.weakened(0.9) if corrected else evidence
        return FieldValue(date, evidence, well_formed, rows, digit_probabilities=of_digits)
    if not text:
        return FieldValue("", TextEvidence(), False, rows)
    constrained = _constrained_date(glyphs, rows[-1], alphabet, years) if len(text) >= _LEAST_DIGITS else None
    if constrained is not None:
        date, evidence, of_digits = constrained
        return FieldValue(date, evidence.weakened(0.6), True, rows, digit_probabilities=of_digits)
    return FieldValue(text_of(glyphs).strip(" ,:;."), evidence.weakened(0.5), False, rows)


def _digits_of(glyphs: list[Glyph]) -> tuple[list[Glyph], bool]:
    """The digits of a date, look-alike letters included, and whether anything was corrected."""
    digits = [
        Glyph(d, g.probability, g.first, g.last, g.digit_probabilities)
        for g in glyphs
        if (d := _DIGIT_FOR_LETTER.get(g.char, g.char)).isdigit()
    ]
    corrected = any(d.char not in text_of(glyphs) for d in digits)
    dashes = [i for i, g in enumerate(glyphs) if g.char == "-"]
    if len(digits) == 9 and len(dashes) == 2:
        day = [g for g in glyphs[: dashes[0]] if _DIGIT_FOR_LETTER.get(g.char, g.char).isdigit()]
        if len(day) == 3:
            # The colon before the date, or the comma behind the place, was read as one more digit.
            return digits[1:], True
    return digits, corrected


def _constrained_date(
    glyphs: list[Glyph], placed: PlacedRow, alphabet: Alphabet, years: range
) -> tuple[str, TextEvidence, DigitProbabilities] | None:
    """The likeliest date that the row can read from the first glyph on, where two digits ran into one."""
    firsts = [glyph.first for glyph in glyphs]
    own = [glyph.first for glyph in read_text([placed], alphabet, CharacterClass.MIXED).glyphs]
    if own[-len(firsts) :] != firsts:
        return None  # the glyphs belong to another row, or to two
    probabilities = alphabet.restrict(placed.row.probabilities, CharacterClass.DIGITS)[max(0, firsts[0] - 1) :]
    path = best_path(probabilities, [alphabet.index[d] for d in "0123456789"], 8)
    if path is None:
        return None
    symbols, log_likelihood = path
    seen = [symbol.probability for symbol in symbols]
    of_digits = tuple(digit_probabilities(probabilities, s.first, s.last, alphabet.index) for s in symbols)
    possible = _likeliest_date(of_digits, years)
    if possible is None:
        return None
    return possible, TextEvidence(sum(seen) / 8, min(seen), log_likelihood, 8), of_digits


def _likeliest_date(of_digits: DigitProbabilities, years: range) -> str | None:
    """The likeliest date of these years, each digit at least a fiftieth as likely as the one read."""
    choices = [
        [(share / max(row), digit) for digit, share in enumerate(row) if share >= _LEAST_RATIO * max(row)]
        for row in of_digits
    ]
    best: tuple[float, str] | None = None
    for picked in itertools.islice(itertools.product(*choices), _MOST_COMBINATIONS):
        date = _formatted("".join(str(digit) for _, digit in picked))
        score = math.prod(share for share, _ in picked)
        if _is_date_in(date, years) and (best is None or score > best[0]):
            best = score, date
    return best[1] if best else None


def _formatted(digits: str) -> str:
    return f"{digits[:2]}-{digits[2:4]}-{digits[4:]}"


def _is_date_in(text: str, years: range) -> bool:
    date = parse_date(text)
    return date is not None and date.year in years

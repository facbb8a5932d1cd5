"""Values with a form of their own: the NIK, dates, RT/RW, blood group."""

import itertools
import math
import re

from rapidfuzz.distance import Levenshtein

from mediq.domain.card import parse_date
from mediq.ocr_engine.card.layout import Piece
from mediq.ocr_engine.fields.read_text import Evidence, bare, evidence_of, read_text, tidy, weaker
from mediq.ocr_engine.fields.value import Value
from mediq.ocr_engine.text.alphabet import Alphabet, Kind
from mediq.ocr_engine.text.ctc import Glyph, digit_shares, exactly, greedy, text_of
from mediq.ocr_engine.text.lexicon import PLACE_WORDS
from mediq.ocr_engine.text.vocabulary import BLOOD, EXPIRY_FOR_LIFE

_LETTERS = {"0": "O", "1": "I", "5": "S", "8": "B", "6": "G", "2": "Z", "4": "A", "7": "T", "3": "B", "9": "P"}
_DIGITS = {
    "O": "0", "D": "0", "Q": "0", "I": "1", "L": "1", "T": "7", "Z": "2", "S": "5", "B": "8", "G": "6", "A": "4",
}  # fmt: skip

_BORN = range(1900, 2100)
"""Years of birth of people who live to hold an e-KTP."""
_EXPIRES = range(2011, 2100)
"""Years in which an e-KTP may expire: the first were issued in 2011."""

_LEAST_DIGITS = 5
"""Digits read of a date from which on the eight of it are looked for."""

_HELD_POSSIBLE = 0.02
"""Likelihood against the digit read from which on another may stand there instead."""


def read_nik(pieces: list[Piece], alphabet: Alphabet) -> Value:
    """The likeliest 16 digits; certain only if reading freely gives the same."""
    best: Value | None = None
    for piece in pieces:
        if piece.right - piece.left < 60:
            continue
        digits = [alphabet.index[d] for d in "0123456789"]
        steps = alphabet.view(piece.row.steps, Kind.DIGITS)
        free = [g for g in greedy(steps, alphabet.characters) if g.char.isdigit()]
        path = exactly(steps, digits, 16)
        if path is None:
            continue
        spelled, total = path
        text = "".join(alphabet.characters[label] for label, *_ in spelled)
        agrees = text == text_of(free)
        sure = [share for _, share, _, _ in spelled]
        evidence = Evidence(sum(sure) / 16, min(sure), total, 16)
        shares = tuple(digit_shares(steps, first, last, alphabet.index) for _, _, first, last in spelled)
        value = Value(text, evidence if agrees else weaker(evidence, 0.6), agrees, (piece,), shares=shares)
        if best is None or value.strength > best.strength:
            best = value
    return best or Value("", Evidence(), False, tuple(pieces))


def read_birth(pieces: list[Piece], alphabet: Alphabet) -> tuple[Value, Value]:
    """Place and date of birth, printed as `PLACE, DD-MM-YYYY`, the date sometimes alone on a second row."""
    read = read_text(pieces, alphabet, Kind.MIXED, PLACE_WORDS)
    text = text_of(read.glyphs)
    start = _date_start(text)
    place, date = read.glyphs[:start], read.glyphs[start:]
    # The place holds no digits; what looks like one is the letter that looks like it.
    letters = [Glyph(_LETTERS.get(g.char, g.char), g.probability, g.first, g.last) for g in place]
    town = tidy(text_of(letters)).rstrip(",. ").strip()
    share = max(0.1, len(place) / max(1, len(read.glyphs)))
    evidence = evidence_of(letters, read.evidence.whole * share)
    return Value(town, evidence, None, tuple(pieces)), _date(
        date, read.evidence.whole * (1 - share), tuple(pieces), alphabet, _BORN
    )


def read_expiry(pieces: list[Piece], alphabet: Alphabet) -> Value:
    """A date, or SEUMUR HIDUP."""
    near = [piece for piece in pieces if piece.left < 260]
    letters = read_text(near, alphabet, Kind.LETTERS)
    errors = Levenshtein.distance(re.sub(r"[^A-Z]", "", letters.text), bare(EXPIRY_FOR_LIFE))
    if errors <= 5:
        evidence = letters.evidence if errors == 0 else weaker(letters.evidence, 1 - 0.05 * errors)
        return Value(EXPIRY_FOR_LIFE, evidence, True, tuple(pieces))
    read = read_text(near, alphabet, Kind.MIXED)
    return _date(read.glyphs, read.evidence.whole, tuple(pieces), alphabet, _EXPIRES)


def read_rt_rw(pieces: list[Piece], alphabet: Alphabet) -> Value:
    """Two numbers and a stroke, mostly of three digits each, or dashes."""
    read = read_text(pieces, alphabet, Kind.DIGITS)
    compact = read.text.replace(" ", "").strip(",.:;")
    text, fits, by = _rt_rw_form(compact)
    evidence = read.evidence if by == 1 else weaker(read.evidence, by)
    return Value(text, evidence, fits, tuple(pieces))


def _rt_rw_form(compact: str) -> tuple[str, bool | None, float]:
    """The text as RT/RW, whether it is of the common form, and how much the mending weakens it."""
    if re.fullmatch(r"-[/17,]?-|--+", compact):
        return "-/-", True, 0.95
    if compact in ("-", "/"):
        return "-" if compact == "-" else "-/-", None, 0.7
    if re.fullmatch(r"\d{3}/\d{3}", compact):
        return compact, True, 1
    digits = re.sub(r"\D", "", compact)
    if re.fullmatch(r"(\d{1,4}|-)/(\d{1,4}|-)", compact):
        return compact, None, 1
    # The stroke between two groups of three is often read as a 1 or 7, as another mark, or not at all.
    if len(digits) == 7 and digits[3] in "17" and "/" not in compact:
        return f"{digits[:3]}/{digits[4:]}", None, 0.85
    if len(digits) == 6 and "/" not in compact:
        return f"{digits[:3]}/{digits[3:]}", None, 0.9
    if len(digits) == 1 and len(compact) <= 2:
        # Two dashes and a stroke, blurred into one character.
        return "-/-", None, 0.5
    return compact, False, 1


def read_blood(pieces: list[Piece], alphabet: Alphabet) -> Value:
    """A, B, AB or O, with or without a sign, or a dash; a 0 is an O."""
    read = read_text(pieces, alphabet, Kind.MIXED)
    compact = re.sub(r"[^A-Z0-9+\-]", "", read.text).replace("0", "O").replace("8", "B").replace("4", "A")
    if compact in BLOOD:
        return Value(compact, read.evidence, True, tuple(pieces))
    match = re.search(r"(AB|A|B|O)([+-]?)$", compact)
    if match:
        return Value(match.group(0), weaker(read.evidence, 0.7), None, tuple(pieces))
    if any(c in compact for c in "DQC"):
        return Value("O", weaker(read.evidence, 0.6), None, tuple(pieces))
    return Value("-" if "-" in compact else "", weaker(read.evidence, 0.6), None, tuple(pieces))


def _date_start(text: str) -> int:
    """Where the date begins: after the last comma that leaves eight digits, or eight digits before the end."""
    comma = max(text.rfind(","), text.rfind(";"))
    if comma >= 0:
        behind = [_DIGITS.get(c, c) for c in text[comma + 1 :]]
        if 6 <= sum(c.isdigit() for c in behind) <= 9:
            return comma + 1
    match = re.search(r"[\dOIlSBZ]{1,2}\W{0,2}[\dOIlSBZ]{2}\W{0,2}[\dOIlSBZ]{4}\W*$", text)
    if match:
        return match.start()
    first = re.search(r"\d", text)
    return first.start() if first else len(text)


def _date(glyphs: list[Glyph], total: float, pieces: tuple[Piece, ...], alphabet: Alphabet, years: range) -> Value:
    digits = [
        Glyph(d, g.probability, g.first, g.last, g.shares)
        for g in glyphs
        if (d := _DIGITS.get(g.char, g.char)).isdigit()
    ]
    marks = [i for i, g in enumerate(glyphs) if g.char == "-"]
    mended = any(d.char not in text_of(glyphs) for d in digits)
    if len(digits) == 9 and len(marks) == 2:
        # The colon before, or the comma after the place, read as one digit more.
        day = [g for g in glyphs[: marks[0]] if _DIGITS.get(g.char, g.char).isdigit()]
        if len(day) == 3:
            digits, mended = digits[1:], True
    evidence = evidence_of(digits, total)
    text = text_of(digits)
    if len(text) == 8:
        value = f"{text[:2]}-{text[2:4]}-{text[4:]}"
        date = parse_date(value)
        fits = date is not None and date.year in years
        shares = tuple(g.shares for g in digits) if all(g.shares for g in digits) else ()
        possible = None if fits or not shares else _possible_date(shares, years)
        if possible is not None:
            return Value(possible, weaker(evidence, 0.7), True, pieces, shares=shares)
        return Value(value, weaker(evidence, 0.9) if mended else evidence, fits, pieces, shares=shares)
    if not text:
        return Value("", Evidence(), False, pieces)
    forced = _forced_date(glyphs, pieces[-1], alphabet, years) if len(text) >= _LEAST_DIGITS else None
    if forced is not None:
        value, evidence, shares = forced
        return Value(value, weaker(evidence, 0.6), True, pieces, shares=shares)
    return Value(text_of(glyphs).strip(" ,:;."), weaker(evidence, 0.5), False, pieces)


def _forced_date(
    glyphs: list[Glyph], piece: Piece, alphabet: Alphabet, years: range
) -> tuple[str, Evidence, tuple[tuple[float, ...], ...]] | None:
    """The likeliest date that the row can read from the first of the glyphs on, where two digits ran into one."""
    firsts = [glyph.first for glyph in glyphs]
    own = [glyph.first for glyph in read_text([piece], alphabet, Kind.MIXED).glyphs]
    if own[-len(firsts) :] != firsts:
        return None  # they are of another piece, or of two
    steps = alphabet.view(piece.row.steps, Kind.DIGITS)[max(0, firsts[0] - 1) :]
    path = exactly(steps, [alphabet.index[d] for d in "0123456789"], 8)
    if path is None:
        return None
    spelled, total = path
    sure = [share for _, share, _, _ in spelled]
    shares = tuple(digit_shares(steps, first, last, alphabet.index) for _, _, first, last in spelled)
    possible = _possible_date(shares, years)
    return (possible, Evidence(sum(sure) / 8, min(sure), total, 8), shares) if possible else None


def _possible_date(shares: tuple[tuple[float, ...], ...], years: range) -> str | None:
    """The likeliest eight digits that are a date of those years, none of them less than a fiftieth as likely as
    the one read."""
    choices = [
        [(share / max(row), digit) for digit, share in enumerate(row) if share >= _HELD_POSSIBLE * max(row)]
        for row in shares
    ]
    best: tuple[float, str] | None = None
    for picked in itertools.islice(itertools.product(*choices), 2000):
        text = "".join(str(digit) for _, digit in picked)
        value = f"{text[:2]}-{text[2:4]}-{text[4:]}"
        date = parse_date(value)
        score = math.prod(share for share, _ in picked)
        if date is not None and date.year in years and (best is None or score > best[0]):
            best = score, value
    return best[1] if best else None

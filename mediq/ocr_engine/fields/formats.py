"""Fields with a form of their own: NIK, RT/RW, blood group. Dates are in `dates.py`."""

import re

from mediq.ocr_engine.card.layout import PlacedRow
from mediq.ocr_engine.fields.field_value import FieldValue
from mediq.ocr_engine.fields.read_text import TextEvidence, read_text
from mediq.ocr_engine.text.alphabet import Alphabet, CharacterClass
from mediq.ocr_engine.text.ctc import best_path, digit_probabilities, greedy_decode, text_of
from mediq.ocr_engine.text.vocabulary import BLOOD

_NIK_DIGITS = 16
_SHORTEST_NIK = 60.0
"""Card units: a shorter row cannot hold the NIK."""


def parse_nik(rows: list[PlacedRow], alphabet: Alphabet) -> FieldValue:
    """The likeliest 16 digits; well-formed only if unconstrained decoding gives the same."""
    best: FieldValue | None = None
    for placed in rows:
        if placed.right - placed.left < _SHORTEST_NIK:
            continue
        digits = [alphabet.index[d] for d in "0123456789"]
        probabilities = alphabet.restrict(placed.row.probabilities, CharacterClass.DIGITS)
        free = [g for g in greedy_decode(probabilities, alphabet.characters) if g.char.isdigit()]
        path = best_path(probabilities, digits, _NIK_DIGITS)
        if path is None:
            continue
        symbols, log_likelihood = path
        text = "".join(alphabet.characters[symbol.column] for symbol in symbols)
        agrees = text == text_of(free)
        seen = [symbol.probability for symbol in symbols]
        evidence = TextEvidence(sum(seen) / _NIK_DIGITS, min(seen), log_likelihood, _NIK_DIGITS)
        if not agrees:
            evidence = evidence.weakened(0.6)
        of_digits = tuple(digit_probabilities(probabilities, s.first, s.last, alphabet.index) for s in symbols)
        value = FieldValue(text, evidence, agrees, (placed,), digit_probabilities=of_digits)
        if best is None or value.strength > best.strength:
            best = value
    return best or FieldValue("", TextEvidence(), False, tuple(rows))


def parse_rt_rw(rows: list[PlacedRow], alphabet: Alphabet) -> FieldValue:
    """Two numbers and a slash, mostly of three digits each, or dashes."""
    read = read_text(rows, alphabet, CharacterClass.DIGITS)
    compact = read.text.replace(" ", "").strip(",.:;")
    text, well_formed, factor = _rt_rw_form(compact)
    return FieldValue(text, read.evidence.weakened(factor), well_formed, tuple(rows))


def _rt_rw_form(compact: str) -> tuple[str, bool | None, float]:
    """The text as RT/RW, whether it has the common form, and the factor by which a correction weakens it."""
    if re.fullmatch(r"-[/17,]?-|--+", compact):
        return "-/-", True, 0.95
    if compact in ("-", "/"):
        return "-" if compact == "-" else "-/-", None, 0.7
    if re.fullmatch(r"\d{3}/\d{3}", compact):
        return compact, True, 1
    digits = re.sub(r"\D", "", compact)
    if re.fullmatch(r"(\d{1,4}|-)/(\d{1,4}|-)", compact):
        return compact, None, 1
    # The slash between two groups of three is often read as 1 or 7, as other punctuation, or not at all.
    if len(digits) == 7 and digits[3] in "17" and "/" not in compact:
        return f"{digits[:3]}/{digits[4:]}", None, 0.85
    if len(digits) == 6 and "/" not in compact:
        return f"{digits[:3]}/{digits[3:]}", None, 0.9
    if len(digits) == 1 and len(compact) <= 2:
        # Two dashes and a slash, blurred into one character.
        return "-/-", None, 0.5
    return compact, False, 1


def parse_blood_group(rows: list[PlacedRow], alphabet: Alphabet) -> FieldValue:
    """A, B, AB or O, with or without a sign, or a dash; some cards print a 0 for the O."""
    read = read_text(rows, alphabet, CharacterClass.MIXED)
    compact = re.sub(r"[^A-Z0-9+\-]", "", read.text).replace("0", "O").replace("8", "B").replace("4", "A")
    if compact in BLOOD:
        return FieldValue(compact, read.evidence, True, tuple(rows))
    match = re.search(r"(AB|A|B|O)([+-]?)$", compact)
    if match:
        return FieldValue(match.group(0), read.evidence.weakened(0.7), None, tuple(rows))
    if any(c in compact for c in "DQC"):
        return FieldValue("O", read.evidence.weakened(0.6), None, tuple(rows))
    return FieldValue("-" if "-" in compact else "", read.evidence.weakened(0.6), None, tuple(rows))

"""From the rows of a field to its value: by the field's form, by its list, or by the characters it can hold."""

import re

from rapidfuzz.distance import Levenshtein

from mediq.ocr_engine.card.layout import PlacedRow
from mediq.ocr_engine.fields.closed_lists import parse_listed
from mediq.ocr_engine.fields.dates import parse_birth, parse_expiry
from mediq.ocr_engine.fields.field_value import FieldValue
from mediq.ocr_engine.fields.formats import parse_blood_group, parse_nik, parse_rt_rw
from mediq.ocr_engine.fields.read_text import read_text
from mediq.ocr_engine.text.alphabet import Alphabet, CharacterClass
from mediq.ocr_engine.text.lexicon import ADDRESS_WORDS, NAME_WORDS, PLACE_WORDS
from mediq.ocr_engine.text.vocabulary import CLOSED

_OPEN: dict[str, tuple[CharacterClass, frozenset[str]]] = {
    "kabupaten_kota": (CharacterClass.LETTERS, PLACE_WORDS),
    "nama": (CharacterClass.LETTERS, NAME_WORDS),
    "alamat": (CharacterClass.MIXED, ADDRESS_WORDS),
    "kel_desa": (CharacterClass.MIXED, PLACE_WORDS),
    "kecamatan": (CharacterClass.MIXED, PLACE_WORDS),
}
"""Fields with neither form nor list: the characters they can hold, and their common words."""
_FORMATS = {
    "nik": parse_nik,
    "rt_rw": parse_rt_rw,
    "gol_darah": parse_blood_group,
    "berlaku_hingga": parse_expiry,
}

_LETTER_FOR_DIGIT = str.maketrans({"0": "O", "1": "I", "5": "S", "8": "B", "6": "G"})
_ABBREVIATIONS = "JL|JLN|NO|GG|KP|KAV|DR|PROF|KM|DSN|LK|KOMP|BLK"
_ABBREVIATION_WITH_COMMA = re.compile(rf"\b({_ABBREVIATIONS}),")
_UNFINISHED_ADDRESS = re.compile(rf"(\b({_ABBREVIATIONS}|BLOK|RT|RW)\.?|[,/-])$")
"""An address with such an end lacks its last word."""
_GLUED_ABBREVIATION = re.compile(r"^(JLN|JL|DSN|GG)(?=[A-Z]{3})|\b(BLOK)(?=[A-Z]\d*\b|\d)")


def parse_row(name: str, rows: list[PlacedRow], alphabet: Alphabet) -> dict[str, FieldValue]:
    """The values of one label's rows, given in reading order.

    `lahir` holds two fields, place and date of birth; every other label holds the field of its own name.
    """
    if name == "lahir":
        place, date = parse_birth(rows, alphabet)
        return {"tempat_lahir": place, "tgl_lahir": date}
    return {name: parse_field(name, rows, alphabet)}


def parse_field(name: str, rows: list[PlacedRow], alphabet: Alphabet) -> FieldValue:
    """The value of one field from its rows in reading order."""
    if name in _FORMATS:
        return _FORMATS[name](rows, alphabet)
    if name in CLOSED:
        return parse_listed(name, rows, alphabet)
    read = read_text(rows, alphabet, *_OPEN[name])
    text = _digits_in_words_to_letters(read.text)
    well_formed: bool | None = None
    if name == "kabupaten_kota":
        text = _with_known_first_word(text)
        # Every regency and city states which it is; without that word the row was not read whole.
        if text and not text.startswith(("KABUPATEN ", "KOTA ", "JAKARTA ")):
            well_formed = False
    elif name == "alamat":
        text = _tidy_address(text)
        # A single digit is easily missed, and something may lie on the rest of the row.
        if _UNFINISHED_ADDRESS.search(text):
            well_formed = False
    return FieldValue(text, read.evidence, well_formed, tuple(rows))


def _tidy_address(text: str) -> str:
    """A comma after an abbreviation is a full stop, and an abbreviation glued to a word is separated from it."""
    text = _ABBREVIATION_WITH_COMMA.sub(r"\1.", text)
    return _GLUED_ABBREVIATION.sub(lambda match: f"{match.group(0)} ", text)


def _with_known_first_word(text: str) -> str:
    """Correct the first word of the second title row: it is one of three, and often glued to the name."""
    first, _, rest = text.partition(" ")
    for word, most_edits in (("KABUPATEN", 2), ("JAKARTA", 1)):
        if rest and Levenshtein.distance(first, word) <= most_edits:
            return f"{word} {rest}"
    for word in ("KABUPATEN", "JAKARTA", "KOTA"):
        if text.startswith(word):
            return f"{word} {text.removeprefix(word).strip()}"
    return text


def _digits_in_words_to_letters(text: str) -> str:
    """Replace digits inside words of letters by the letters they look like."""
    return " ".join(word.translate(_LETTER_FOR_DIGIT) if _is_word(word) else word for word in text.split(" "))


def _is_word(word: str) -> bool:
    letters = sum(c.isalpha() for c in word)
    return len(word) >= 4 and word.isalnum() and letters >= 0.7 * len(word)

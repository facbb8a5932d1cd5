"""Row classifier: tells the row of a card from its value, for values that only one row can hold."""

import re

from rapidfuzz.distance import Levenshtein

from mediq.ocr_engine.text.vocabulary import EXPIRY_FOR_LIFE, MARRIAGE, OCCUPATION, RELIGION, SEX

_VALUES: dict[str, tuple[str, ...]] = {
    "jenis_kelamin": SEX,
    "agama": RELIGION,
    "status_perkawinan": MARRIAGE,
    "kewarganegaraan": ("WNI", "WNA"),
    "berlaku_hingga": (EXPIRY_FOR_LIFE,),
    "pekerjaan": OCCUPATION,
}
_LEAST_LETTERS = 3
_DATE = r"\d{2}-\d{2}-\d{4}\W*$"


def classify_row(text: str) -> str | None:
    """The label of the only row that can hold this value; None if several rows can."""
    if re.search(r"[A-Za-z]{3}\W{1,3}" + _DATE, text):
        return "lahir"
    if re.match(r"\W*" + _DATE, text):
        return "berlaku_hingga"
    if re.match(r"\W*\d{3}\s?/\s?\d{3}\W*$", text):
        return "rt_rw"
    letters = _letters(text.upper())
    if len(letters) < _LEAST_LETTERS:
        return None
    for name, values in _VALUES.items():
        for value in map(_letters, values):
            most_edits = len(value) // 6
            if len(value) >= _LEAST_LETTERS:
                edits = Levenshtein.distance(letters, value, score_cutoff=most_edits)
                if edits <= most_edits:
                    return name
    return None


def _letters(text: str) -> str:
    return "".join(c for c in text if c.isalpha())

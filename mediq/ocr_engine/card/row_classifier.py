"""Row classifier: tells the row of a card from its value, for values that only one row can hold."""

import re

from rapidfuzz.distance import Levenshtein

from mediq.ocr_engine.text.vocabulary import EXPIRY_FOR_LIFE, MARRIAGE, OCCUPATION, RELIGION, SEX

_LEAST_LETTERS = 3


def _letters(text: str) -> str:
    return "".join(c for c in text if c.isalpha())


_VALUES: dict[str, tuple[str, ...]] = {
    label: tuple(letters for letters in map(_letters, values) if len(letters) >= _LEAST_LETTERS)
    for label, values in {
        "jenis_kelamin": SEX,
        "agama": RELIGION,
        "status_perkawinan": MARRIAGE,
        "kewarganegaraan": ("WNI", "WNA"),
        "berlaku_hingga": (EXPIRY_FOR_LIFE,),
        "pekerjaan": OCCUPATION,
    }.items()
}
"""For each label, the letters of values that no other row holds."""
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
    for label, values in _VALUES.items():
        for value in values:
            most_edits = len(value) // 6
            if Levenshtein.distance(letters, value, score_cutoff=most_edits) <= most_edits:
                return label
    return None

"""Values that can stand in one row only, and so tell which row it is where its label cannot be read."""

import re

from rapidfuzz.distance import Levenshtein

from mediq.ocr_engine.text.vocabulary import EXPIRY_FOR_LIFE, MARRIAGE, OCCUPATION, RELIGION, SEX

_WORDS: dict[str, tuple[str, ...]] = {
    "jenis_kelamin": SEX,
    "agama": RELIGION,
    "status_perkawinan": MARRIAGE,
    "kewarganegaraan": ("WNI", "WNA"),
    "berlaku_hingga": (EXPIRY_FOR_LIFE,),
    "pekerjaan": OCCUPATION,
}
_DATE = r"\d{2}-\d{2}-\d{4}\W*$"


def telling(text: str) -> str | None:
    """The label whose value a text must be, if it can be no other's."""
    if re.search(r"[A-Za-z]{3}\W{1,3}" + _DATE, text):
        return "lahir"
    if re.match(r"\W*" + _DATE, text):
        return "berlaku_hingga"
    if re.match(r"\W*\d{3}\s?/\s?\d{3}\W*$", text):
        return "rt_rw"
    letters = "".join(c for c in text.upper() if c.isalpha())
    if len(letters) < 3:
        return None
    for name, words in _WORDS.items():
        for word in words:
            bare = "".join(c for c in word if c.isalpha())
            room = len(bare) // 6
            if len(bare) >= 3 and Levenshtein.distance(letters, bare, score_cutoff=room) <= room:
                return name
    return None

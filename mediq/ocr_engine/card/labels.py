"""Recognising the labels that every e-KTP prints (Nama, Alamat and so on), even when they are misread."""

from functools import lru_cache
from typing import Final

import msgspec
from rapidfuzz.distance import Levenshtein

from mediq.ocr_engine.text.rows import Row

LABELS: dict[str, str] = {
    "nik": "NIK",
    "nama": "NAMA",
    "lahir": "TEMPATTGLLAHIR",
    "jenis_kelamin": "JENISKELAMIN",
    "gol_darah": "GOLDARAH",
    "alamat": "ALAMAT",
    "rt_rw": "RTRW",
    "kel_desa": "KELDESA",
    "kecamatan": "KECAMATAN",
    "agama": "AGAMA",
    "status_perkawinan": "STATUSPERKAWINAN",
    "pekerjaan": "PEKERJAAN",
    "kewarganegaraan": "KEWARGANEGARAAN",
    "berlaku_hingga": "BERLAKUHINGGA",
}
"""The letters of each label. The row `lahir` holds both the place and the date of birth."""

_SHAPES = str.maketrans({"0": "O", "1": "I", "L": "I", "5": "S", "8": "B", "|": "I", "6": "G", "2": "Z", "!": "I"})
"""Characters that look alike in the face of the labels count as one."""

_MOST_WRONG = ((5, 0.26), (6, 0.2), (9, 0.26), (99, 0.34))
"""For labels of up to this many letters, the share of letters that may be wrong. SLAMET must not count as Alamat."""

_CACHED_ROWS: Final = 256
"""A card has some hundred rows, and each is asked for several times."""


class LabelMatch(msgspec.Struct, frozen=True):
    """A label recognised at the start of a row.

    `error_rate` is the share of its letters read wrong. `end` is how many glyphs of the row it takes, its colon
    included.
    """

    name: str
    error_rate: float
    end: int


def find_label(row: Row) -> LabelMatch | None:
    """The label at the start of a row, if any."""
    return _label_at_start(row.text)


@lru_cache(_CACHED_ROWS)
def _label_at_start(text: str) -> LabelMatch | None:
    letters: list[str] = []
    ends: list[int] = []
    for index, char in enumerate(text):
        if char.isalnum() or char in "|!":
            letters.append(char.upper().translate(_SHAPES))
            ends.append(index + 1)
    read = "".join(letters)
    best: LabelMatch | None = None
    for name, spelling in LABELS.items():
        wanted = spelling.translate(_SHAPES)
        most_wrong = next(share for length, share in _MOST_WRONG if len(wanted) <= length)
        edits, used = prefix_distance(read[: len(wanted) + 4], wanted)
        error_rate = edits / len(wanted)
        if error_rate > most_wrong or used == 0:
            continue
        if best is None or error_rate < best.error_rate:
            best = LabelMatch(name, error_rate, _end_of_colon(text, ends[used - 1]))
    return best


def _end_of_colon(text: str, end: int) -> int:
    """The end of the label with its colon, and with dirt before the colon that was read as punctuation."""
    for index in range(end, min(end + 4, len(text))):
        if text[index].isalnum():
            break
        if text[index] in ":;":
            return index + 1
    return end


def prefix_distance(text: str, wanted: str) -> tuple[int, int]:
    """The fewest edits (Levenshtein) that turn a prefix of `text` into `wanted`, and the length of that prefix."""
    best, used = len(wanted), 0
    for length in range(1, len(text) + 1):
        edits = Levenshtein.distance(text[:length], wanted)
        if edits < best or (edits == best and length == len(wanted)):
            best, used = edits, length
    return best, used

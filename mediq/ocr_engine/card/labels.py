"""The words printed on every e-KTP, and finding them in what was read, however badly."""

from functools import lru_cache
from typing import Final

import msgspec
from rapidfuzz.distance import Levenshtein

from mediq.ocr_engine.text.rows import Row

LABELS: dict[str, tuple[str, ...]] = {
    "nik": ("NIK",),
    "nama": ("NAMA",),
    "lahir": ("TEMPATTGLLAHIR",),
    "jenis_kelamin": ("JENISKELAMIN",),
    "gol_darah": ("GOLDARAH",),
    "alamat": ("ALAMAT",),
    "rt_rw": ("RTRW",),
    "kel_desa": ("KELDESA",),
    "kecamatan": ("KECAMATAN",),
    "agama": ("AGAMA",),
    "status_perkawinan": ("STATUSPERKAWINAN",),
    "pekerjaan": ("PEKERJAAN",),
    "kewarganegaraan": ("KEWARGANEGARAAN",),
    "berlaku_hingga": ("BERLAKUHINGGA",),
}
"""Each label's letters. `lahir` carries both the place and the date of birth."""

_SHAPES = str.maketrans({"0": "O", "1": "I", "L": "I", "5": "S", "8": "B", "|": "I", "6": "G", "2": "Z", "!": "I"})
"""Characters that look alike in a label's face count as one."""

_ALLOWED = ((5, 0.26), (6, 0.2), (9, 0.26), (99, 0.34))
"""Up to how many letters, which share of a label's letters may be wrong: SLAMET is no Alamat."""

_REMEMBERED: Final = 256
"""Readings of rows to remember; a card has a hundred, and asks for each several times."""


class Label(msgspec.Struct, frozen=True):
    """A printed label recognised at the start of a row.

    `cost` is the share of its letters read wrong; `end` is how many glyphs of the row it takes, colon
    included.
    """

    name: str
    cost: float
    end: int


def find_label(row: Row) -> Label | None:
    """The label with which a row begins, if any."""
    return label_of(row.text)


@lru_cache(_REMEMBERED)
def label_of(read: str) -> Label | None:
    """The label with which a row that reads so begins, if any."""
    letters: list[str] = []
    ends: list[int] = []
    for place, char in enumerate(read):
        if char.isalnum() or char in "|!":
            letters.append(char.upper().translate(_SHAPES))
            ends.append(place + 1)
    text = "".join(letters)
    best: Label | None = None
    for name, spellings in LABELS.items():
        for spelling in spellings:
            wanted = spelling.translate(_SHAPES)
            start = text[: len(wanted) + 4]
            allowed = next(share for length, share in _ALLOWED if len(wanted) <= length)
            errors, used = prefix_distance(start, wanted)
            cost = errors / len(wanted)
            if cost > allowed or used == 0:
                continue
            if best is None or cost < best.cost:
                best = Label(name, cost, _after_marks(read, ends[used - 1]))
    return best


def _after_marks(read: str, end: int) -> int:
    """The colon after the label, and what dirt was read before it, belong to the label."""
    for place in range(end, min(end + 4, len(read))):
        if read[place].isalnum():
            break
        if read[place] in ":;":
            return place + 1
    return end


def prefix_distance(text: str, wanted: str) -> tuple[int, int]:
    """The fewest edits that turn some prefix of `text` into `wanted`, and the length of that prefix."""
    best, used = len(wanted), 0
    for length in range(1, len(text) + 1):
        edits = Levenshtein.distance(text[:length], wanted)
        if edits < best or (edits == best and length == len(wanted)):
            best, used = edits, length
    return best, used

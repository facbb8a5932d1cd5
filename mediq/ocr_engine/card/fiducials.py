"""What tells where a card lies besides its labels, the faintest print on it: the title, the NIK, and some values."""

import re

from mediq.ocr_engine.card.frame import VALUE, Mark
from mediq.ocr_engine.card.labels import LABELS
from mediq.ocr_engine.card.layout import behind, labelled
from mediq.ocr_engine.card.row_classifier import telling
from mediq.ocr_engine.text.rows import Row

_TRUST = 0.5
"""What an anchor weighs against a label: values and titles are not printed as exactly."""
_NIK = re.compile(r"\W*[\dOIlDSBZ]{15,17}\W*$")
_TITLES = {
    "provinsi middle": re.compile(r"\W*PR[O0]V[I1L]N", re.IGNORECASE),
    "kabupaten_kota middle": re.compile(r"\W*(KABUPA|K[O0]TA [A-Z]|JAKARTA )"),
}


def anchors_of(rows: list[Row]) -> list[Mark]:
    """Marks to fit a card's frame to, out of rows that are no labels."""
    marks = []
    for row in [_value_of(row) for row in rows]:
        if row is None:
            continue
        ends = row.line.ends()
        left = (float(ends[0][0]), float(ends[0][1]))
        right = (float(ends[1][0]), float(ends[1][1]))
        middle = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2)
        text = row.text.strip()
        if _NIK.match(text):
            marks.append(Mark("nik digits", left, right, _TRUST))
            continue
        name = telling(text)
        if name in LABELS:
            marks.append(Mark(f"{name}{VALUE}", left, right, _TRUST))
        for title, pattern in _TITLES.items():
            if pattern.match(text):
                marks.append(Mark(title, middle, right, _TRUST))
    return marks


def _value_of(row: Row) -> Row | None:
    """The row, without the label that it begins with."""
    parts = [part for label, part in labelled(row) if label.name != "gol_darah"]
    return behind(row, parts[0]) if parts else row

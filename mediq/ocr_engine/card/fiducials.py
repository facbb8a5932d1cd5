"""The fiducials of a card in a photo: its labels, and other print that helps where labels cannot be read.

Labels are the best fiducials, as every card prints them at the same positions, but they are also its faintest print.
"""

import re

from mediq.ocr_engine.card.frame import VALUE_SUFFIX, Fiducial
from mediq.ocr_engine.card.labels import LABELS
from mediq.ocr_engine.card.row_classifier import classify_row
from mediq.ocr_engine.card.split_row import after_label, labels_in
from mediq.ocr_engine.text.rows import Row

_PRINT_WEIGHT = 0.5
"""The weight of print other than labels: values and titles are not printed as exactly."""
_LABEL_INSET = 0.12
"""The share of its height by which the box of a label begins left of its letters."""
_NIK = re.compile(r"\W*[\dOIlDSBZ]{15,17}\W*$")
_TITLES = {
    "provinsi middle": re.compile(r"\W*PR[O0]V[I1L]N", re.IGNORECASE),
    "kabupaten_kota middle": re.compile(r"\W*(KABUPA|K[O0]TA [A-Z]|JAKARTA )"),
}


def label_fiducials(rows: list[Row]) -> list[Fiducial]:
    """The labels among rows of text; the worse a label is read, the less it weighs."""
    fiducials = []
    for row in rows:
        for label, part in labels_in(row):
            ends = part.box.ends()
            inset = _LABEL_INSET * part.box.height
            u, v = part.box.direction
            fiducials.append(
                Fiducial(
                    label.name,
                    (float(ends[0][0]) + u * inset, float(ends[0][1]) + v * inset),
                    (float(ends[1][0]), float(ends[1][1])),
                    max(0.1, 1 - 2 * label.error_rate) * min(1.0, len(label.name) / 4),
                )
            )
    return fiducials


def print_fiducials(rows: list[Row]) -> list[Fiducial]:
    """Other print of known position: the two title rows, the digits of the NIK, and values that tell their row."""
    fiducials = []
    for row in [_without_label(row) for row in rows]:
        if row is None:
            continue
        ends = row.box.ends()
        left = (float(ends[0][0]), float(ends[0][1]))
        right = (float(ends[1][0]), float(ends[1][1]))
        middle = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2)
        text = row.text.strip()
        if _NIK.match(text):
            fiducials.append(Fiducial("nik digits", left, right, _PRINT_WEIGHT))
            continue
        name = classify_row(text)
        if name in LABELS:
            fiducials.append(Fiducial(f"{name}{VALUE_SUFFIX}", left, right, _PRINT_WEIGHT))
        for title, pattern in _TITLES.items():
            if pattern.match(text):
                fiducials.append(Fiducial(title, middle, right, _PRINT_WEIGHT))
    return fiducials


def _without_label(row: Row) -> Row | None:
    """The row without the label that it begins with; None if it is nothing else."""
    parts = [part for label, part in labels_in(row) if label.name != "gol_darah"]
    return after_label(row, parts[0]) if parts else row

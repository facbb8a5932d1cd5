"""Splitting a row of text at the labels in it: `Jenis Kelamin : LAKI-LAKI  Gol. Darah : O`."""

import numpy as np

from mediq.ocr_engine.card.labels import LabelMatch, find_label
from mediq.ocr_engine.image.picture import Points
from mediq.ocr_engine.text.rows import Row


def labels_in(row: Row) -> list[tuple[LabelMatch, Row]]:
    """The labels in a row, each with its part of the row.

    Most rows have none or one. Gol. Darah may follow the sex on the same row.
    """
    out = []
    label = find_label(row)
    if label is not None:
        out.append((label, row.between(0, _last_step(row, label))))
    start = _blood_label_start(row, label.end if label else 0)
    if start is not None:
        rest = row.between(row.glyphs[start].first, len(row.probabilities) - 1)
        blood = find_label(rest)
        if blood is not None and blood.name == "gol_darah" and (label is None or label.name != "gol_darah"):
            out.append((blood, rest.between(0, _last_step(rest, blood))))
    return out


def after_label(row: Row, label_part: Row) -> Row | None:
    """What follows a label in its row, without the colon; None if nothing does."""
    edge = _step_at_end(row, label_part)
    rest = [g for g in row.glyphs if g.first > edge]
    while rest and rest[0].char in ":; ":
        rest = rest[1:]
    if not rest:
        return None
    before = [g.last for g in row.glyphs if g.last < rest[0].first]
    first = (max(before) + rest[0].first + 1) // 2 if before else 0
    return row.between(first, len(row.probabilities) - 1)


def before_label(row: Row, label_part: Row) -> Row | None:
    """What precedes a label in its row; None if it is next to nothing."""
    start = len(row.probabilities) - len(label_part.probabilities)
    for glyph in row.glyphs:
        if _is_past_start(row, glyph.first, label_part):
            start = glyph.first
            break
    return row.between(0, start - 1) if start > 2 else None


def step_point(row: Row, step: float) -> Points:
    """Where a step of a row lies in the photo: 1 × 2."""
    u, v = row.box.direction
    offset = (row.share_of_length(step) - 0.5) * row.box.length
    return np.array([(row.box.x + u * offset, row.box.y + v * offset)])


def _last_step(row: Row, label: LabelMatch) -> int:
    """The last step of the letters of a label."""
    last = label.end - 1
    while last > 0 and not row.glyphs[last].char.isalnum():
        last -= 1
    return row.glyphs[last].last


def _blood_label_start(row: Row, start: int) -> int | None:
    """The index of the first glyph that may begin the label Gol. Darah."""
    for index in range(max(1, start), len(row.glyphs) - 4):
        if row.glyphs[index].char in "G6C" and row.glyphs[index + 1].char in "oO0":
            return index
    return None


def _is_past_start(row: Row, step: int, part: Row) -> bool:
    """Whether a step of a row lies at or behind the left end of a part of it."""
    u, v = row.box.direction
    x, y = step_point(row, step)[0]
    left = part.box.ends()[0]
    return float((x - left[0]) * u + (y - left[1]) * v) > -0.2 * row.box.height


def _step_at_end(row: Row, part: Row) -> float:
    """The step of a row at which a part of it ends."""
    u, v = row.box.direction
    right = part.box.ends()[1]
    offset = (right[0] - row.box.x) * u + (right[1] - row.box.y) * v
    padded = row.box.length + 2 * row.padding * row.box.height
    return float((offset + padded / 2) / padded * len(row.probabilities) - 0.75)

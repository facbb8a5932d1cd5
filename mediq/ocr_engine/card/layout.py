"""Layout analysis: which rows of text belong to which field, by where they stand on the card."""

import msgspec
import numpy as np

from mediq.ocr_engine.card.frame import (
    LABEL_ORDER,
    LABEL_POSITIONS,
    NIK_LEFT,
    PITCH,
    PORTRAIT_LEFT,
    PRINT_POSITIONS,
    VALUES_LEFT,
    Frame,
)
from mediq.ocr_engine.card.labels import LabelMatch
from mediq.ocr_engine.card.row_classifier import classify_row
from mediq.ocr_engine.card.split_row import after_label, before_label, labels_in, step_point
from mediq.ocr_engine.text.rows import Row

TITLE = ("provinsi", "kabupaten_kota")
"""The two rows above all labels."""
_READ_AS_COLON = ":;.,-'iIlL1|! "
_NIK_DIGITS = 14
"""A row with at least this many digits is the NIK."""
_SAME_ROW = 0.55 * PITCH
"""Card units: print nearer than this in height stands on one row."""
_SAME_TITLE_ROW = 9.0
_FARTHEST_EXTRA_ROW = 3.6 * PITCH
"""Card units below its label up to which an extra row of a value may stand."""
_WIDEST_GAP = 40.0
"""Card units between two parts of a value on one row."""


class PlacedRow(msgspec.Struct, frozen=True):
    """A row of text without its label, with its left end, right end and height in card units."""

    row: Row
    left: float
    right: float
    y: float


class Layout(msgspec.Struct, frozen=True):
    """The rows of each field in reading order, and the height in card units at which each field's label stands.

    Title rows, which have no label, go by the name of their field.
    """

    rows: dict[str, list[PlacedRow]]
    heights: dict[str, float]


def analyse_layout(rows: list[Row], frame: Frame) -> Layout:
    """Assign the rows of one card to its fields."""
    found, seen, unlabelled = _split_at_labels(rows, frame)
    heights = {name: seen.get(name, frame.row_y(name)) for name in LABEL_ORDER}
    title: list[PlacedRow] = []
    values: list[PlacedRow] = []
    for row in unlabelled:
        placed = _placed(row, frame)
        if sum(glyph.char.isdigit() for glyph in row.glyphs) >= _NIK_DIGITS:
            # No other value has so many digits, so this holds even where the frame is wrong.
            found.setdefault("nik", []).append(placed)
        elif placed.y < heights["nik"] - 10 and placed.left > 60:
            title.append(placed)
        elif placed.left < PORTRAIT_LEFT - 8 and placed.right > 100:
            value = _without_label(placed, frame)
            if value is not None:
                values.append(value)
    for placed in values:
        # A value may tell its row where the label cannot be read.
        name = classify_row(placed.row.text)
        if name is not None and name not in seen and abs(placed.y - heights[name]) < 1.4 * PITCH:
            heights[name] = seen[name] = placed.y
    for placed in values:
        name = _field_at(placed, heights)
        if name is not None:
            found.setdefault(name, []).append(placed)
    _separate_blood_group(found)
    found.update(_title_rows(title))
    heights |= _title_heights(found)
    heights["gol_darah"] = seen.get("gol_darah", heights["jenis_kelamin"])
    ordered = {name: _reading_order(placed) for name, placed in found.items()}
    for name in LABEL_ORDER:
        if name in ordered and name != "nik":
            ordered[name] = _without_strays(ordered[name])
    return Layout({name: placed for name, placed in ordered.items() if placed}, heights)


def _split_at_labels(rows: list[Row], frame: Frame) -> tuple[dict[str, list[PlacedRow]], dict[str, float], list[Row]]:
    """Blood groups found behind their label, the heights of the labels seen, and the rows without their labels."""
    found: dict[str, list[PlacedRow]] = {}
    seen: dict[str, float] = {}
    unlabelled: list[Row] = []
    for row in rows:
        rest: Row | None = row
        for label, part in labels_in(row):
            at = _placed(part, frame)
            if not _is_plausible(label, at, frame):
                continue
            seen[label.name] = at.y
            if label.name == "gol_darah":
                blood = after_label(row, part)
                if blood is not None:
                    found.setdefault("gol_darah", []).append(_placed(blood, frame))
                rest = before_label(rest, part) if rest is not None else None
            else:
                rest = after_label(row, part)
        if rest is not None and rest.glyphs:
            unlabelled.append(rest)
    return found, seen, unlabelled


def _placed(row: Row, frame: Frame) -> PlacedRow:
    ends = frame.to_card(row.box.ends())
    return PlacedRow(row, float(ends[0][0]), float(ends[1][0]), float(ends[:, 1].mean()))


def _is_plausible(label: LabelMatch, at: PlacedRow, frame: Frame) -> bool:
    """Whether a label stands where it can; a long one that is read well may be two rows away."""
    name = label.name
    across = 45 if name == "gol_darah" else 20
    down = (2.2 if label.error_rate < 0.15 and len(name) > 4 else 0.75) * PITCH
    return abs(at.left - LABEL_POSITIONS[name].left) < across and abs(at.y - frame.row_y(name)) < down


def _without_label(placed: PlacedRow, frame: Frame) -> PlacedRow | None:
    """Cut off what stands left of the values: a label that was not recognised, and the colon."""
    row = placed.row
    if placed.left > VALUES_LEFT + 1:
        return placed
    steps = [(g.first + g.last) / 2 for g in row.glyphs]
    at = frame.to_card(np.vstack([step_point(row, step) for step in steps]))[:, 0]
    limit = NIK_LEFT - 4 if abs(placed.y - LABEL_POSITIONS["nik"].y) < 8 else VALUES_LEFT - 8
    start = 0
    while start < len(row.glyphs) and (
        at[start] < limit or (at[start] < limit + 7 and row.glyphs[start].char in _READ_AS_COLON)
    ):
        start += 1
    if start == len(row.glyphs):
        return None
    if start == 0:
        return placed
    first = (row.glyphs[start - 1].last + row.glyphs[start].first + 1) // 2
    return _placed(row.between(first, len(row.probabilities) - 1), frame)


def _field_at(placed: PlacedRow, heights: dict[str, float]) -> str | None:
    """The label on whose row a value stands, or the label above it if the value is an extra row of that one."""
    if abs(placed.y - heights["nik"]) < 9:
        return "nik"
    names = [name for name in LABEL_ORDER if name != "nik"]
    nearest = min(names, key=lambda name: abs(heights[name] - placed.y))
    if abs(heights[nearest] - placed.y) < _SAME_ROW:
        return nearest
    above = [name for name in names if heights[name] < placed.y]
    if not above or placed.y > heights["berlaku_hingga"] + 0.8 * PITCH:
        return None
    last = max(above, key=lambda name: heights[name])
    return last if placed.y - heights[last] < _FARTHEST_EXTRA_ROW else None


def _separate_blood_group(found: dict[str, list[PlacedRow]]) -> None:
    """Take what stands right of the label Gol. Darah from the sex, with which it shares a row."""
    if "jenis_kelamin" not in found:
        return
    label = LABEL_POSITIONS["gol_darah"]
    right = [placed for placed in found["jenis_kelamin"] if placed.left > label.right - 4]
    found["jenis_kelamin"] = [placed for placed in found["jenis_kelamin"] if placed.left < label.left - 12]
    if right and not found.get("gol_darah"):
        found["gol_darah"] = right


def _title_rows(placed: list[PlacedRow]) -> dict[str, list[PlacedRow]]:
    """The two rows of the title among what stands above the NIK."""
    rows = _grouped_by_row(placed, _SAME_TITLE_ROW)
    rows = [row for row in rows if max(p.right for p in row) > 190 and min(p.left for p in row) < 340]
    if len(rows) >= 2:
        first = next((i for i, row in enumerate(rows[:-1]) if _names_province(row)), len(rows) - 2)
        return {"provinsi": rows[first], "kabupaten_kota": rows[first + 1]}
    if len(rows) == 1:
        upper = _names_province(rows[0]) or rows[0][0].y < 31
        return {"provinsi" if upper else "kabupaten_kota": rows[0]}
    return {}


def _title_heights(found: dict[str, list[PlacedRow]]) -> dict[str, float]:
    """The heights of the two title rows; one that was not found is taken from the other."""
    upper, lower = (PRINT_POSITIONS[f"{name} middle"].y for name in TITLE)
    provinsi, kabupaten = (found[name][0].y if name in found else None for name in TITLE)
    if provinsi is None:
        provinsi = upper if kabupaten is None else kabupaten + upper - lower
    return {TITLE[0]: provinsi, TITLE[1]: provinsi + lower - upper if kabupaten is None else kabupaten}


def _names_province(row: list[PlacedRow]) -> bool:
    text = "".join(p.row.text for p in sorted(row, key=lambda p: p.left)).upper()
    return text.replace("0", "O").startswith(("PROV", "PROU"))


def _without_strays(placed: list[PlacedRow]) -> list[PlacedRow]:
    """A value without dirt that was found inside it, and without print far right of it on the same row.

    The place of issue, below the portrait, reaches into the rows of values.
    """
    kept: list[PlacedRow] = []
    for one in placed:
        if any(_is_inside(one, other) for other in placed):
            continue
        same_row = [other for other in kept if abs(other.y - one.y) < _SAME_ROW]
        edge = max((other.right for other in same_row), default=VALUES_LEFT + 60)
        if one.left < edge + _WIDEST_GAP:
            kept.append(one)
    return kept


def _is_inside(placed: PlacedRow, other: PlacedRow) -> bool:
    """Whether a longer row covers the middle of a row."""
    longer = other.right - other.left > placed.right - placed.left
    covers = other.left < (placed.left + placed.right) / 2 < other.right
    return longer and covers and abs(other.y - placed.y) < _SAME_ROW


def _reading_order(placed: list[PlacedRow]) -> list[PlacedRow]:
    """From top to bottom, and on one row from left to right."""
    rows: list[list[PlacedRow]] = []
    for one in sorted(placed, key=lambda p: p.y):
        if rows and one.y - rows[-1][0].y < _SAME_ROW:
            rows[-1].append(one)
        else:
            rows.append([one])
    return [one for row in rows for one in sorted(row, key=lambda p: p.left)]


def _grouped_by_row(placed: list[PlacedRow], same_row: float) -> list[list[PlacedRow]]:
    """Groups from top to bottom, each step within a group smaller than `same_row` card units."""
    rows: list[list[PlacedRow]] = []
    for one in sorted(placed, key=lambda p: p.y):
        if rows and abs(one.y - rows[-1][-1].y) < same_row:
            rows[-1].append(one)
        else:
            rows.append([one])
    return rows

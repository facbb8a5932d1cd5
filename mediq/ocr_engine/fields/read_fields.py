"""Reading the fields of one card: from the rows recognised, then where in doubt again by the frame."""

import statistics
from itertools import islice

from mediq.domain.card import FIELDS
from mediq.ocr_engine.card.frame import LABEL_ORDER, LABEL_POSITIONS, VALUES_LEFT, Frame
from mediq.ocr_engine.card.layout import TITLE, Layout, PlacedRow, analyse_layout
from mediq.ocr_engine.card.split_row import after_label, labels_in, step_point
from mediq.ocr_engine.fields.field_parsers import parse_row
from mediq.ocr_engine.fields.field_value import FieldValue, stronger
from mediq.ocr_engine.fields.read_text import TextEvidence
from mediq.ocr_engine.fields.reread import is_in_photo, reread_strips, strips_for
from mediq.ocr_engine.image.picture import Picture
from mediq.ocr_engine.text.networks import Networks
from mediq.ocr_engine.text.rows import Row

_LABELS: tuple[str, ...] = tuple(
    dict.fromkeys("lahir" if name in ("tempat_lahir", "tgl_lahir") else name for name in FIELDS)
)
"""Every label and title row: every field, but place and date of birth as one."""

_ALWAYS_REREAD = "nama"
"""The one key field that nothing else on the card confirms."""
_SHORTEST_STRIP = 80.0
"""Card units: the least length of a strip for a value that is not well-formed, as it may have lost words."""
_LATE_START = 5.0
"""Card units: a value that begins this far right of the others may have lost its first letter."""
_UNREAD_DASH = TextEvidence(0.5, 0.5, -0.7, 1)


def read_fields(networks: Networks, picture: Picture, rows: list[Row], frame: Frame) -> dict[str, FieldValue]:
    """Read every field of a card from the rows of a photo and the frame fitted to them."""
    layout = analyse_layout(rows, frame)
    alphabet = networks.alphabet
    values: dict[str, FieldValue] = {}
    for name in _LABELS:
        values.update(parse_row(name, layout.rows.get(name, []), alphabet))
    left, late = _value_starts(layout)
    wanted = []
    for name in labels_to_reread(values, late):
        shortest = 0.0 if all(values[field].well_formed for field in _fields_of(name)) else _SHORTEST_STRIP
        strips = strips_for(name, layout.rows.get(name, []), frame, layout.heights, left, shortest=shortest)
        wanted.append((name, [strip for strip in strips if is_in_photo(strip, frame, picture)]))
    # The longest strips first, so that the cores finish at about the same time.
    wanted.sort(key=lambda field: max((strip.right - strip.left for strip in field[1]), default=0.0), reverse=True)
    recognised = reread_strips(networks, picture, frame, [strip for _, strips in wanted for strip in strips])
    for name, strips in wanted:
        placed = list(islice(recognised, len(strips)))  # the rows behind these are recognised meanwhile
        if name == "gol_darah":
            placed = [cut for one in placed if (cut := _without_blood_label(one, frame)) is not None]
        for field, value in parse_row(name, placed, alphabet).items():
            if name in TITLE and not values[field].text and value.well_formed is False:
                continue  # other print above a card whose title is cut off
            values[field] = stronger(values[field], value)
    blood = strips_for("gol_darah", [], frame, layout.heights)[0]
    if not values["gol_darah"].text and is_in_photo(blood, frame, picture):
        # An empty value is printed as a dash, which is faint enough to be missed twice.
        values["gol_darah"] = FieldValue("-", _UNREAD_DASH, None, values["gol_darah"].rows)
    return values


def labels_to_reread(values: dict[str, FieldValue], late: set[str]) -> list[str]:
    """The labels with a doubtful value, those in `late`, as they may lack a letter, and always the name."""
    return [
        name
        for name in _LABELS
        if name == _ALWAYS_REREAD or name in late or any(values[field].doubtful for field in _fields_of(name))
    ]


def _fields_of(name: str) -> tuple[str, ...]:
    """The fields on the row of a label."""
    return ("tempat_lahir", "tgl_lahir") if name == "lahir" else (name,)


def _value_starts(layout: Layout) -> tuple[float, set[str]]:
    """Where the values of this card begin, and the labels whose values begin right of it."""
    starts = {name: rows[0].left for name, rows in layout.rows.items() if name in LABEL_ORDER and name != "nik"}
    if len(starts) < 4:
        return VALUES_LEFT, set()
    usual = statistics.median(starts.values())
    return usual, {name for name, left in starts.items() if left > usual + _LATE_START}


def _without_blood_label(placed: PlacedRow, frame: Frame) -> PlacedRow | None:
    """What follows the label Gol. Darah, or what stands where only the value can."""
    row = placed.row
    for label, part in labels_in(row):
        if label.name == "gol_darah":
            rest = after_label(row, part)
            return PlacedRow(rest, placed.left, placed.right, placed.y) if rest is not None else None
    limit = LABEL_POSITIONS["gol_darah"].right + 2
    for glyph in row.glyphs:
        at = frame.to_card(step_point(row, (glyph.first + glyph.last) / 2))[0][0]
        if at > limit and glyph.char not in ":;.,":
            rest = row.between(max(0, glyph.first - 1), len(row.probabilities) - 1)
            return PlacedRow(rest, placed.left, placed.right, placed.y)
    return None

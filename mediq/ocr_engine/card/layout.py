"""Which row belongs to which field, by where it stands on the card."""

import msgspec
import numpy as np

from mediq.ocr_engine.card.frame import ANCHORS, NIK_LEFT, ORDER, PHOTO_LEFT, PITCH, PLACES, VALUES_LEFT, Frame, Mark
from mediq.ocr_engine.card.labels import Label, find_label
from mediq.ocr_engine.card.row_classifier import telling
from mediq.ocr_engine.image.picture import Points
from mediq.ocr_engine.text.rows import Row

_COLON = ":;.,-'iIlL1|! "
"""What a colon is read as."""
TITLE = ("provinsi", "kabupaten_kota")
"""The two lines above all labels."""
_NIK_DIGITS = 14
"""Digits in a row from which on it is the NIK."""


class Piece(msgspec.Struct, frozen=True):
    """Part of a value: a row without its label, and where it stands in card units."""

    row: Row
    left: float
    right: float
    y: float


class Layout(msgspec.Struct, frozen=True):
    """The pieces of each value in reading order, by the label they belong to, and where each label's row and each line
    of the title stands."""

    pieces: dict[str, list[Piece]]
    slots: dict[str, float]


def marks_of(rows: list[Row]) -> list[Mark]:
    """The labels among rows, as marks to fit the card's frame to."""
    marks = []
    for row in rows:
        for label, part in labelled(row):
            ends = part.line.ends()
            inset = 0.12 * part.line.height
            u, v = part.line.along
            marks.append(
                Mark(
                    label.name,
                    (float(ends[0][0]) + u * inset, float(ends[0][1]) + v * inset),
                    (float(ends[1][0]), float(ends[1][1])),
                    max(0.1, 1 - 2 * label.cost) * min(1.0, len(label.name) / 4),
                )
            )
    return marks


def labelled(row: Row) -> list[tuple[Label, Row]]:
    """The labels in a row, each with its part of the row: mostly none or one, and Gol. Darah after the
    sex."""
    out = []
    label = find_label(row)
    if label is not None:
        out.append((label, row.part(0, _end_of_letters(row, label))))
    start = _blood(row, label.end if label else 0)
    if start is not None:
        rest = row.part(row.glyphs[start].first, len(row.steps) - 1)
        blood = find_label(rest)
        if blood is not None and blood.name == "gol_darah" and (label is None or label.name != "gol_darah"):
            out.append((blood, rest.part(0, _end_of_letters(rest, blood))))
    return out


def _end_of_letters(row: Row, label: Label) -> int:
    last = label.end - 1
    while last > 0 and not row.glyphs[last].char.isalnum():
        last -= 1
    return row.glyphs[last].last


def _blood(row: Row, start: int) -> int | None:
    for place in range(max(1, start), len(row.glyphs) - 4):
        if row.glyphs[place].char in "G6C" and row.glyphs[place + 1].char in "oO0":
            return place
    return None


def assemble(rows: list[Row], frame: Frame) -> Layout:
    """Sort the rows of a card to the labels whose values they are; the two lines of the title go by their own names."""
    seen: dict[str, float] = {}
    found: dict[str, list[Piece]] = {}
    rests: list[Row] = []
    for row in rows:
        rest: Row | None = row
        for label, part in labelled(row):
            at = _place(part, frame)
            if not _plausible(label, at, frame):
                continue
            seen[label.name] = at.y
            if label.name == "gol_darah":
                blood = behind(row, part)
                if blood is not None:
                    found.setdefault("gol_darah", []).append(_place(blood, frame))
                rest = _before(rest, part) if rest is not None else None
            else:
                rest = behind(row, part)
        if rest is not None and rest.glyphs:
            rests.append(rest)
    slots = {name: seen.get(name, frame.row_y(name)) for name in ORDER}
    title: list[Piece] = []
    values: list[Piece] = []
    for rest in rests:
        piece = _place(rest, frame)
        if sum(glyph.char.isdigit() for glyph in rest.glyphs) >= _NIK_DIGITS:
            # Nothing else has as many digits, wherever the frame has its row.
            found.setdefault("nik", []).append(piece)
        elif piece.y < slots["nik"] - 10 and piece.left > 60:
            title.append(piece)
        elif piece.left < PHOTO_LEFT - 8 and piece.right > 100:
            cut = _without_label(piece, frame)
            if cut is not None:
                values.append(cut)
    for piece in values:
        # A row whose label cannot be read may be known by its value.
        name = telling(piece.row.text)
        if name is not None and name not in seen and abs(piece.y - slots[name]) < 1.4 * PITCH:
            slots[name] = seen[name] = piece.y
    for piece in values:
        name = _slot(piece, slots)
        if name is not None:
            found.setdefault(name, []).append(piece)
    if "jenis_kelamin" in found:
        sex = found["jenis_kelamin"]
        far = [piece for piece in sex if piece.left > PLACES["gol_darah"].right - 4]
        found["jenis_kelamin"] = [piece for piece in sex if piece.left < PLACES["gol_darah"].left - 12]
        if far and not found.get("gol_darah"):
            found["gol_darah"] = far
    found.update(_title(title))
    slots |= _title_slots(found)
    slots["gol_darah"] = seen.get("gol_darah", slots["jenis_kelamin"])
    ordered = {name: reading_order(pieces) for name, pieces in found.items()}
    for name in ORDER:
        if name in ordered and name != "nik":
            ordered[name] = _chained(ordered[name])
    return Layout({name: pieces for name, pieces in ordered.items() if pieces}, slots)


def _place(row: Row, frame: Frame) -> Piece:
    ends = frame.to_card(row.line.ends())
    return Piece(row, float(ends[0][0]), float(ends[1][0]), float(ends[:, 1].mean()))


def _plausible(label: Label, at: Piece, frame: Frame) -> bool:
    """Whether a label stands where it can: one read well may be rows away from where the frame has it."""
    name = label.name
    across = 45 if name == "gol_darah" else 20
    down = (2.2 if label.cost < 0.15 and len(name) > 4 else 0.75) * PITCH
    return abs(at.left - PLACES[name].left) < across and abs(at.y - frame.row_y(name)) < down


def behind(row: Row, part: Row) -> Row | None:
    """What follows a label in its row, past the colon."""
    edge = _step_at(row, part)
    rest = [g for g in row.glyphs if g.first > edge]
    while rest and rest[0].char in ":; ":
        rest = rest[1:]
    if not rest:
        return None
    before = [g.last for g in row.glyphs if g.last < rest[0].first]
    first = (max(before) + rest[0].first + 1) // 2 if before else 0
    return row.part(first, len(row.steps) - 1)


def _before(row: Row, part: Row) -> Row | None:
    """What precedes a label within its row."""
    start = len(row.steps) - len(part.steps)
    for glyph in row.glyphs:
        if _same_place(row, glyph.first, part):
            start = glyph.first
            break
    return row.part(0, start - 1) if start > 2 else None


def _same_place(row: Row, step: int, part: Row) -> bool:
    u, v = row.line.along
    offset = (row.along(step) - 0.5) * row.line.length
    x, y = row.line.x + u * offset, row.line.y + v * offset
    left = part.line.ends()[0]
    return float((x - left[0]) * u + (y - left[1]) * v) > -0.2 * row.line.height


def _step_at(row: Row, part: Row) -> float:
    """The step of `row` at which `part` of it ends."""
    u, v = row.line.along
    right = part.line.ends()[1]
    offset = (right[0] - row.line.x) * u + (right[1] - row.line.y) * v
    full = row.line.length + 2 * row.wider * row.line.height
    return float((offset + full / 2) / full * len(row.steps) - 0.75)


def _without_label(piece: Piece, frame: Frame) -> Piece | None:
    """Cut off what stands left of the values: an unrecognised label, the colon, or what it was read as."""
    row = piece.row
    if piece.left > 121:
        return piece
    steps = [(g.first + g.last) / 2 for g in row.glyphs]
    at = frame.to_card(np.vstack([step_point(row, step) for step in steps]))[:, 0]
    limit = NIK_LEFT - 4 if abs(piece.y - PLACES["nik"].y) < 8 else 112.0
    start = 0
    while start < len(row.glyphs) and (
        at[start] < limit or (at[start] < limit + 7 and row.glyphs[start].char in _COLON)
    ):
        start += 1
    if start == len(row.glyphs):
        return None
    if start == 0:
        return piece
    first = (row.glyphs[start - 1].last + row.glyphs[start].first + 1) // 2
    return _place(row.part(first, len(row.steps) - 1), frame)


def step_point(row: Row, step: float) -> Points:
    """Where a step of a row lies in the photo: 1 × 2."""
    u, v = row.line.along
    offset = (row.along(step) - 0.5) * row.line.length
    return np.array([(row.line.x + u * offset, row.line.y + v * offset)])


def _slot(piece: Piece, slots: dict[str, float]) -> str | None:
    """The label whose row a value stands on, or the one above it whose second row it is."""
    if abs(piece.y - slots["nik"]) < 9:
        return "nik"
    names = [name for name in ORDER if name != "nik"]
    nearest = min(names, key=lambda name: abs(slots[name] - piece.y))
    if abs(slots[nearest] - piece.y) < 0.55 * PITCH:
        return nearest
    above = [name for name in names if slots[name] < piece.y]
    if not above or piece.y > slots["berlaku_hingga"] + 0.8 * PITCH:
        return None
    last = max(above, key=lambda name: slots[name])
    return last if piece.y - slots[last] < 3.6 * PITCH else None


def _title(pieces: list[Piece]) -> dict[str, list[Piece]]:
    lines: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda p: p.y):
        if lines and abs(piece.y - lines[-1][-1].y) < 9:
            lines[-1].append(piece)
        else:
            lines.append([piece])
    lines = [line for line in lines if max(p.right for p in line) > 190 and min(p.left for p in line) < 340]
    if len(lines) >= 2:
        first = next((i for i, line in enumerate(lines[:-1]) if _provincial(line)), len(lines) - 2)
        return {"provinsi": lines[first], "kabupaten_kota": lines[first + 1]}
    if len(lines) == 1:
        upper = _provincial(lines[0]) or lines[0][0].y < 31
        return {"provinsi" if upper else "kabupaten_kota": lines[0]}
    return {}


def _title_slots(found: dict[str, list[Piece]]) -> dict[str, float]:
    """Where the two lines of the title stand: one that was not found, by the other."""
    upper, lower = (ANCHORS[f"{name} middle"].y for name in TITLE)
    provinsi, kabupaten = (found[name][0].y if name in found else None for name in TITLE)
    if provinsi is None:
        provinsi = upper if kabupaten is None else kabupaten + upper - lower
    return {TITLE[0]: provinsi, TITLE[1]: provinsi + lower - upper if kabupaten is None else kabupaten}


def _provincial(line: list[Piece]) -> bool:
    text = "".join(p.row.text for p in sorted(line, key=lambda p: p.left)).upper()
    return text.replace("0", "O").startswith(("PROV", "PR0V", "PROU"))


def _chained(pieces: list[Piece]) -> list[Piece]:
    """Without dirt that was found inside a value, and without what stands far right of it on its row: the place of
    issue below the photo reaches in there."""
    kept: list[Piece] = []
    for piece in pieces:
        if any(_inside(piece, other) for other in pieces):
            continue
        same_row = [other for other in kept if abs(other.y - piece.y) < 0.55 * PITCH]
        edge = max((other.right for other in same_row), default=VALUES_LEFT + 60)
        if piece.left < edge + 40:
            kept.append(piece)
    return kept


def _inside(piece: Piece, other: Piece) -> bool:
    """Whether a longer piece covers the middle of a piece."""
    wider = other.right - other.left > piece.right - piece.left
    covers = other.left < (piece.left + piece.right) / 2 < other.right
    return wider and covers and abs(other.y - piece.y) < 0.55 * PITCH


def reading_order(pieces: list[Piece]) -> list[Piece]:
    """From top to bottom, and within a row from left to right."""
    lines: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda p: p.y):
        if lines and piece.y - lines[-1][0].y < 0.55 * PITCH:
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return [piece for line in lines for piece in sorted(line, key=lambda p: p.left)]

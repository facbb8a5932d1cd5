"""The fields of one card: read from the rows found, and where these leave doubt, read again from the frame."""

import statistics
from itertools import islice

from mediq.domain.card import FIELDS
from mediq.ocr_engine.card.frame import ORDER, PLACES, VALUES_LEFT, Frame
from mediq.ocr_engine.card.layout import TITLE, Layout, Piece, assemble, behind, labelled, step_point
from mediq.ocr_engine.fields.formats import read_birth
from mediq.ocr_engine.fields.read_text import Evidence
from mediq.ocr_engine.fields.reread import look_again, shown, strips_for
from mediq.ocr_engine.fields.value import Value, better
from mediq.ocr_engine.fields.values import read_value
from mediq.ocr_engine.image.picture import Picture
from mediq.ocr_engine.text.networks import Models
from mediq.ocr_engine.text.rows import Row

_PRINTED: tuple[str, ...] = tuple(
    dict.fromkeys("lahir" if name in ("tempat_lahir", "tgl_lahir") else name for name in FIELDS)
)
"""What is printed together: every field, but place and date of birth as one."""

_ALWAYS = "nama"
"""The one key field that nothing else on the card bears out, read twice however clear."""
_SHORTEST = 80.0
"""Card units that a row is cut long at least if it reads nothing known: it may be the first word of more."""
_LATE = 5.0
"""Card units right of the others, from which on a value's first letter may be missing."""


def read_fields(models: Models, picture: Picture, rows: list[Row], frame: Frame) -> dict[str, Value]:
    """Every field's value from the rows of a photo and the frame fitted to them."""
    layout = assemble(rows, frame)
    values: dict[str, Value] = {}
    for name in _PRINTED:
        values.update(_value(name, layout.pieces.get(name, []), models))
    left, late = _beginnings(layout)
    again = {_ALWAYS, *late}
    doubtful = [name for name in _PRINTED if name in again or any(values[part].doubtful for part in _parts(name))]
    asked = []
    for name in doubtful:
        shortest = 0.0 if all(values[part].fits for part in _parts(name)) else _SHORTEST
        strips = strips_for(name, layout.pieces.get(name, []), frame, layout.slots, left, shortest=shortest)
        asked.append((name, [strip for strip in strips if shown(strip, frame, picture)]))
    asked.sort(key=lambda field: max((strip.right - strip.left for strip in field[1]), default=0.0), reverse=True)
    pieces = look_again(models, picture, frame, [strip for _, strips in asked for strip in strips])
    for name, strips in asked:
        part = list(islice(pieces, len(strips)))  # while those behind it are being read
        if name == "gol_darah":
            part = [cut for piece in part if (cut := _without_blood_label(piece, frame)) is not None]
        for field, value in _value(name, part, models).items():
            if name in TITLE and not values[field].text and value.fits is False:
                continue  # other print above a card whose title is cut off
            values[field] = better(values[field], value)
    blood = strips_for("gol_darah", [], frame, layout.slots)
    if not values["gol_darah"].text and shown(blood[0], frame, picture):
        # An empty value is printed as a dash, the one mark faint enough to be missed twice.
        values["gol_darah"] = Value("-", Evidence(0.5, 0.5, -0.7, 1), None, values["gol_darah"].pieces)
    return values


def _beginnings(layout: Layout) -> tuple[float, set[str]]:
    """Where the values of this card begin, and the fields that begin right of it: they may have lost a letter."""
    firsts = {name: pieces[0].left for name, pieces in layout.pieces.items() if name in ORDER and name != "nik"}
    if len(firsts) < 4:
        return VALUES_LEFT, set()
    usual = statistics.median(firsts.values())
    return usual, {name for name, left in firsts.items() if left > usual + _LATE}


def _parts(name: str) -> tuple[str, ...]:
    return ("tempat_lahir", "tgl_lahir") if name == "lahir" else (name,)


def _value(name: str, pieces: list[Piece], models: Models) -> dict[str, Value]:
    if name == "lahir":
        place, date = read_birth(pieces, models.alphabet)
        return {"tempat_lahir": place, "tgl_lahir": date}
    return {name: read_value(name, pieces, models.alphabet)}


def _without_blood_label(piece: Piece, frame: Frame) -> Piece | None:
    """What follows the words Gol. Darah, or what stands where only the value can."""
    for label, part in labelled(piece.row):
        if label.name == "gol_darah":
            rest = behind(piece.row, part)
            return Piece(rest, piece.left, piece.right, piece.y) if rest is not None else None
    limit = PLACES["gol_darah"].right + 2
    for glyph in piece.row.glyphs:
        at = frame.to_card(step_point(piece.row, (glyph.first + glyph.last) / 2))[0][0]
        if at > limit and glyph.char not in ":;.,":
            rest = piece.row.part(max(0, glyph.first - 1), len(piece.row.steps) - 1)
            return Piece(rest, piece.left, piece.right, piece.y)
    return None

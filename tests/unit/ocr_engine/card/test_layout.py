"""Rows of a card whose frame is known: which value they belong to."""

import numpy as np

from mediq.ocr_engine.card.frame import PLACES, VALUES_LEFT, Frame
from mediq.ocr_engine.card.layout import assemble
from mediq.ocr_engine.fields.reread import strips_for
from mediq.ocr_engine.text.ctc import Glyph
from mediq.ocr_engine.text.detect import Line
from mediq.ocr_engine.text.rows import Row

FRAME = Frame(np.eye(3), {}, 0.0, 14)


def row(text: str, left: float, right: float, y: float) -> Row:
    """A row that reads `text`, in card units."""
    glyphs = [Glyph(char, 0.99, 2 * place, 2 * place) for place, char in enumerate(text)]
    steps = np.zeros((2 * len(text), 2), np.float32)
    return Row(Line((left + right) / 2, y, right - left, 12.0, 0.0), steps, glyphs, np.zeros(0, np.float32))


def test_dirt_within_a_value_is_no_part_of_it() -> None:
    y = PLACES["pekerjaan"].y
    rows = [row("Pekerjaan", 13, 68, y), row("WIRASWASTA", VALUES_LEFT, 212, y), row("0", 123, 126, y + 1)]
    layout = assemble(rows, FRAME)
    assert [piece.row.text for piece in layout.pieces["pekerjaan"]] == ["WIRASWASTA"]


def test_a_line_of_the_title_that_was_not_found_is_looked_for_above_the_other() -> None:
    layout = assemble([row("KABUPATEN BOGOR", 180, 350, 45.0)], FRAME)
    strip = strips_for("provinsi", layout.pieces.get("provinsi", []), FRAME, layout.slots)[0]
    assert 24 < strip.y < 28
    assert strip.left < 150
    assert strip.right > 370

"""Layout analysis: rows of a card with a known frame are assigned to fields."""

import numpy as np

from mediq.ocr_engine.card.frame import LABEL_POSITIONS, VALUES_LEFT, Frame
from mediq.ocr_engine.card.layout import analyse_layout
from mediq.ocr_engine.fields.reread import strips_for
from mediq.ocr_engine.text.ctc import Glyph
from mediq.ocr_engine.text.detect import TextBox
from mediq.ocr_engine.text.rows import Row

FRAME = Frame(np.eye(3), {}, 0.0, 14)


def row(text: str, left: float, right: float, y: float) -> Row:
    """A row that reads `text`, in card units."""
    glyphs = [Glyph(char, 0.99, 2 * index, 2 * index) for index, char in enumerate(text)]
    probabilities = np.zeros((2 * len(text), 2), np.float32)
    return Row(TextBox((left + right) / 2, y, right - left, 12.0, 0.0), probabilities, glyphs, np.zeros(0, np.float32))


def test_dirt_inside_a_value_is_left_out() -> None:
    y = LABEL_POSITIONS["pekerjaan"].y
    rows = [row("Pekerjaan", 13, 68, y), row("WIRASWASTA", VALUES_LEFT, 212, y), row("0", 123, 126, y + 1)]
    layout = analyse_layout(rows, FRAME)
    assert [placed.row.text for placed in layout.rows["pekerjaan"]] == ["WIRASWASTA"]


def test_a_missing_title_row_is_expected_above_the_other() -> None:
    layout = analyse_layout([row("KABUPATEN BOGOR", 180, 350, 45.0)], FRAME)
    strip = strips_for("provinsi", layout.rows.get("provinsi", []), FRAME, layout.heights)[0]
    assert 24 < strip.y < 28
    assert strip.left < 150
    assert strip.right > 370

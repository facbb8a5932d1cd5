"""Labels are recognised when misread or glued to their value, and values are not taken for labels."""

import numpy as np
import pytest

from mediq.ocr_engine.card.labels import find_label, prefix_distance
from mediq.ocr_engine.card.row_classifier import classify_row
from mediq.ocr_engine.text.ctc import Glyph
from mediq.ocr_engine.text.detect import TextBox
from mediq.ocr_engine.text.rows import Row


def row(text: str) -> Row:
    glyphs = [Glyph(char, 0.9, 2 * index, 2 * index) for index, char in enumerate(text)]
    probabilities = np.zeros((2 * len(text) + 1, 3), np.float32)
    return Row(TextBox(0, 0, 100, 10, 0), probabilities, glyphs, np.zeros(0, np.float32))


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("Nama", "nama", ""),
        ("NIK : 3201", "nik", " 3201"),
        ("Tempat/TgI Lahir- : BOGOR", "lahir", " BOGOR"),
        ("KeVDesa", "kel_desa", ""),
        ("Status Perkawinan:BELUM KAWIN", "status_perkawinan", "BELUM KAWIN"),
        ("Kewarganegaraan WNI", "kewarganegaraan", " WNI"),
        ("Gol. Darah : 0", "gol_darah", " 0"),
        ("8erlaku H1ngga", "berlaku_hingga", ""),
    ],
)
def test_a_label_is_recognised_glued_or_misread(text: str, name: str, value: str) -> None:
    label = find_label(row(text))
    assert label is not None
    assert label.name == name
    assert text[label.end :] == value


@pytest.mark.parametrize("text", ["SLAMET HIDAYAT", "KAWIN", "ISLAM", "BOGOR, 13-03-1989", "001/002", "", "JL. NIAGA"])
def test_a_value_is_not_taken_for_a_label(text: str) -> None:
    assert find_label(row(text)) is None


def test_the_prefix_distance_ignores_the_rest_of_the_text() -> None:
    assert prefix_distance("AGAMAISLAM", "AGAMA") == (0, 5)
    assert prefix_distance("AGMAISLAM", "AGAMA") == (1, 4)
    assert prefix_distance("", "AGAMA") == (5, 0)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (": ISLAM", "agama"),
        ("BELUM KAWIN", "status_perkawinan"),
        ("WNI", "kewarganegaraan"),
        ("SEUMURHIDUP", "berlaku_hingga"),
        ("11-07-2019", "berlaku_hingga"),
        ("BOGOR, 13-03-1989", "lahir"),
        ("001/002", "rt_rw"),
        ("LAKI-LAKI", "jenis_kelamin"),
        ("WIRASWASTA", "pekerjaan"),
        ("CIBENTANG", None),
        ("LUKMAN WIJAYA", None),
    ],
)
def test_a_value_that_only_one_row_can_hold_tells_its_row(text: str, name: str | None) -> None:
    assert classify_row(text) == name

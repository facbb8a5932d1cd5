"""Labels are known however badly they are read, and values are not taken for them."""

import numpy as np
import pytest

from mediq.ocr_engine.card.labels import find_label, prefix_distance
from mediq.ocr_engine.card.row_classifier import telling
from mediq.ocr_engine.text.ctc import Glyph
from mediq.ocr_engine.text.detect import Line
from mediq.ocr_engine.text.rows import Row


def row(text: str) -> Row:
    glyphs = [Glyph(char, 0.9, 2 * place, 2 * place) for place, char in enumerate(text)]
    steps = np.zeros((2 * len(text) + 1, 3), np.float32)
    return Row(Line(0, 0, 100, 10, 0), steps, glyphs, np.zeros(0, np.float32))


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
def test_labels_glued_or_misread(text: str, name: str, value: str) -> None:
    label = find_label(row(text))
    assert label is not None
    assert label.name == name
    assert text[label.end :] == value


@pytest.mark.parametrize("text", ["SLAMET HIDAYAT", "KAWIN", "ISLAM", "BOGOR, 13-03-1989", "001/002", "", "JL. NIAGA"])
def test_values_are_no_labels(text: str) -> None:
    assert find_label(row(text)) is None


def test_the_distance_to_a_prefix_leaves_the_rest_out() -> None:
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
def test_values_that_tell_their_row(text: str, name: str | None) -> None:
    assert telling(text) == name

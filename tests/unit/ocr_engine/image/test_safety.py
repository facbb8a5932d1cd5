"""Damaged files end in a named error or a picture of bounded size, never in anything else.

PDFs, which are opened by processes of their own, and whole readings of damaged cards are tested in
tests/integration/ocr_engine.
"""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mediq.ocr_engine.image.intake import decode
from mediq.ocr_engine.reader import CardReader
from tests.fixtures.damaged_files import check_decoded_or_refused, damaged_files


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@settings(max_examples=100, database=None)
@given(st.data())
def test_a_damaged_file_is_decoded_or_has_a_named_error(kind: str, data: st.DataObject) -> None:
    check_decoded_or_refused(data.draw(damaged_files(kind)))


@settings(max_examples=60, database=None)
@given(st.binary(max_size=600), st.sampled_from((b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")))
def test_noise_behind_any_signature_has_a_named_error(noise: bytes, signature: bytes) -> None:
    check_decoded_or_refused(signature + noise)


def test_a_small_file_of_many_pixels_is_scaled_down(reader: CardReader) -> None:
    out = io.BytesIO()
    Image.new("L", (7000, 7000), 200).save(out, "PNG")
    assert len(out.getvalue()) < 100_000
    picture = decode(out.getvalue(), max_pixels=50_000_000)
    assert max(picture.shape) <= 2600
    assert not reader.read(out.getvalue()).is_ktp

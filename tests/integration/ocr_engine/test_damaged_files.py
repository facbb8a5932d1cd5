"""Damaged PDFs, each opened by processes of its own, and readings of damaged photos of a card."""

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from mediq.domain.card import Reading
from mediq.ocr_engine.reader import CardReader
from tests.fixtures.damaged_files import check_decoded_or_refused, damaged_files
from tests.fixtures.specimens.cards import person, render

_HEADER = 200
"""Bytes of a JPEG before its pixels."""


@cache
def card() -> bytes:
    return render(person(0), seed=0)


@settings(max_examples=20, database=None)
@given(damaged_files("PDF"))
def test_a_damaged_pdf_is_decoded_or_has_a_named_error(data: bytes) -> None:
    check_decoded_or_refused(data)


@settings(max_examples=10, database=None)
@given(st.binary(max_size=600))
def test_noise_behind_the_signature_of_a_pdf_has_a_named_error(noise: bytes) -> None:
    check_decoded_or_refused(b"%PDF-1.7\n" + noise)


@settings(max_examples=5, database=None)
@given(st.floats(0, 1), st.binary(min_size=1, max_size=3))
def test_reading_a_damaged_photo_never_raises(reader: CardReader, where: float, change: bytes) -> None:
    data = card()
    at = _HEADER + round(where * (len(data) - _HEADER - 1))
    assert isinstance(reader.read(data[:at] + change + data[at + len(change) :]), Reading)

"""Damaged files of every kind: a named error or a picture of bounded size, and never anything else."""

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mediq.domain.card import Reading
from mediq.ocr_engine.errors import PictureError
from mediq.ocr_engine.image.intake import decode, inspect
from mediq.ocr_engine.reader import CardReader
from tests.fixtures.specimens.cards import person, render

LIMIT = 3_000_000


def sample(kind: str) -> bytes:
    rng = np.random.default_rng(7)
    noise = np.kron(rng.integers(0, 255, (20, 30, 3)), np.ones((5, 5, 1))).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, kind)
    return out.getvalue()


SAMPLES = {kind: sample(kind) for kind in ("JPEG", "PNG", "PDF")}


@st.composite
def damaged(draw: st.DrawFn, kind: str) -> bytes:
    """A good file with some bytes changed, a part taken out or doubled, or cut off."""
    data = bytearray(SAMPLES[kind])
    for _ in range(draw(st.integers(0, 12))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    how = draw(st.sampled_from(("whole", "cut", "hole", "doubled")))
    start = draw(st.integers(0, len(data) - 1))
    stop = draw(st.integers(start, min(len(data), start + 400)))
    if how == "cut":
        return bytes(data[:start])
    if how == "hole":
        return bytes(data[:start] + data[stop:])
    if how == "doubled":
        return bytes(data[:stop] + data[start:])
    return bytes(data)


def decoded_or_named(data: bytes) -> None:
    try:
        info = inspect(data, allowed=("jpg", "png", "pdf"), max_pixels=LIMIT)
        assert info.width * info.height <= LIMIT
    except PictureError:
        pass
    try:
        picture = decode(data, max_pixels=LIMIT)
    except PictureError:
        return
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    assert max(picture.shape) <= 2600


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "PDF"])
def test_damage_has_a_named_error(kind: str) -> None:
    # Each PDF is opened by two processes of its own.
    @settings(
        max_examples=20 if kind == "PDF" else 150,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(damaged(kind))
    def check(data: bytes) -> None:
        decoded_or_named(data)

    check()


@settings(max_examples=60, deadline=None, database=None)
@given(st.binary(max_size=600), st.sampled_from((b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"%PDF-1.7\n")))
def test_noise_behind_any_signature_has_a_named_error(noise: bytes, start: bytes) -> None:
    decoded_or_named(start + noise)


def test_reading_never_raises(reader: CardReader) -> None:
    card = render(person(0), seed=0)

    @settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.integers(200, len(card) - 1), st.binary(min_size=1, max_size=3))
    def check(place: int, change: bytes) -> None:
        assert isinstance(reader.read(card[:place] + change + card[place + len(change) :]), Reading)

    check()


def test_a_picture_of_one_colour_unpacks_small(reader: CardReader) -> None:
    """A small file that unpacks to many pixels, within the limit: scaled down before anything works on it."""
    out = io.BytesIO()
    Image.new("L", (7000, 7000), 200).save(out, "PNG")
    assert len(out.getvalue()) < 100_000
    picture = decode(out.getvalue(), max_pixels=50_000_000)
    assert max(picture.shape) <= 2600
    assert not reader.read(out.getvalue()).is_ktp

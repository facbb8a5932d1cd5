"""Files are judged by their content, and everything wrong with one has a named error."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mediq.ocr_engine.errors import ImageTooLarge, PictureError, UnreadableImage, UnsupportedImage
from mediq.ocr_engine.image.intake import decode, inspect

ALL = ("jpg", "jpeg", "png", "pdf")
MANY = 50_000_000


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def picture(mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> Image.Image:
    return Image.new(mode, size, 128 if mode in ("L", "I;16", "P") else None)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and carries almost nothing."""
    body = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + body
    data = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", len(body))
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + struct.pack(">I", len(data))
        + b"IDAT"
        + data
        + struct.pack(">I", zlib.crc32(b"IDAT" + data))
        + b"\0\0\0\0IEND\xaeB`\x82"
    )


@pytest.mark.parametrize(("encoder", "name"), [("JPEG", "jpg"), ("PNG", "png"), ("PDF", "pdf")])
def test_the_format_is_known_by_content(encoder: str, name: str) -> None:
    info = inspect(encoded(picture(), encoder), allowed=ALL, max_pixels=MANY)
    assert info.format == name
    if name != "pdf":
        assert (info.width, info.height) == (60, 40)


@pytest.mark.parametrize("data", [b"<?php echo 1; ?>", b"just text", b"GIF89a" + b"\0" * 40, b"\0" * 100])
def test_another_kind_of_content_is_unsupported(data: bytes) -> None:
    with pytest.raises(UnsupportedImage):
        inspect(data, allowed=ALL, max_pixels=MANY)


def test_a_kind_that_the_settings_leave_out_is_unsupported() -> None:
    with pytest.raises(UnsupportedImage):
        inspect(encoded(picture(), "PNG"), allowed=("jpg",), max_pixels=MANY)
    inspect(encoded(picture(), "JPEG"), allowed=("jpeg",), max_pixels=MANY)


def test_an_empty_file_is_unreadable() -> None:
    with pytest.raises(UnreadableImage):
        inspect(b"", allowed=ALL, max_pixels=MANY)


def test_too_many_pixels_are_refused_from_the_header_alone() -> None:
    with pytest.raises(ImageTooLarge):
        inspect(png_header(30_000, 30_000), allowed=ALL, max_pixels=MANY)
    with pytest.raises(ImageTooLarge):
        decode(png_header(30_000, 30_000), max_pixels=MANY)
    with pytest.raises(ImageTooLarge):
        inspect(encoded(picture(size=(200, 100)), "JPEG"), allowed=ALL, max_pixels=19_999)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_picture_is_unreadable(kind: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8))
    data = encoded(noise, kind)
    with pytest.raises(UnreadableImage):
        decode(data[: int(len(data) * share)], max_pixels=MANY)


def test_a_truncated_pdf_is_unreadable() -> None:
    data = encoded(picture(), "PDF")
    with pytest.raises(PictureError):
        decode(data[:60], max_pixels=MANY)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("RGB", "JPEG"),
        ("L", "JPEG"),
        ("CMYK", "JPEG"),
        ("RGBA", "PNG"),
        ("LA", "PNG"),
        ("L", "PNG"),
        ("P", "PNG"),
        ("1", "PNG"),
        ("I;16", "PNG"),
        ("RGB", "PDF"),
    ],
)
def test_a_picture_of_any_mode_becomes_bgr(mode: str, kind: str) -> None:
    array = decode(encoded(picture(mode), kind), max_pixels=MANY)
    assert array.dtype == np.uint8
    assert array.ndim == 3
    assert array.shape[2] == 3


def test_colours_come_in_bgr_order_and_transparency_on_white() -> None:
    red = decode(encoded(Image.new("RGB", (8, 8), (255, 0, 0)), "PNG"), max_pixels=MANY)
    assert red[0, 0].tolist() == [0, 0, 255]
    clear = decode(encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG"), max_pixels=MANY)
    assert clear.min() == 255


def test_sixteen_bits_keep_their_brightness() -> None:
    grey = Image.fromarray(np.full((8, 8), 40_000, np.uint16))
    assert 150 <= decode(encoded(grey, "PNG"), max_pixels=MANY)[0, 0, 0] <= 160


def test_the_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(picture(size=(60, 40)), "JPEG", exif=exif.tobytes())
    assert decode(data, max_pixels=MANY).shape[:2] == (60, 40)


def test_a_huge_picture_is_scaled_down() -> None:
    array = decode(encoded(picture(size=(5000, 3000)), "JPEG"), max_pixels=MANY)
    assert max(array.shape) <= 2600


def test_every_error_is_a_sentence_of_its_own() -> None:
    sentences = {str(error()) for error in (PictureError, UnsupportedImage, ImageTooLarge, UnreadableImage)}
    assert len(sentences) == 4
    assert all(sentence.endswith(".") for sentence in sentences)

"""Decompression bombs: files made to keep a decoder busy or to fill the memory end in a named error, soon."""

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from mediq.ocr_engine.errors import PictureError, UnreadableImage
from mediq.ocr_engine.image import pdf, pdf_page
from mediq.ocr_engine.image.intake import decode, inspect

MANY = 50_000_000
SOON = 5.0
"""Seconds of CPU, which a busy machine does not change; without a limit each of these files takes minutes."""


@contextmanager
def ends_soon() -> Iterator[None]:
    """Fail if the block takes long, counting the CPU of this process and of the processes that it waited for."""
    before = os.times()
    yield
    assert sum(os.times()[:4]) - sum(before[:4]) < SOON


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, data: bytes, *more: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(data, 1)) + chunk(b"IEND", b"")


@cache
def huge_png() -> bytes:
    """A picture of 60,000 by 60,000 pixels in a small file."""
    return png(60_000, 60_000, b"\0" * 20_000_000)


def text_png() -> bytes:
    """A comment that unpacks to 200 MB."""
    text = b"Comment\0\0" + zlib.compress(b"\0" * 200_000_000, 1)
    return png(8, 8, b"\0" * 200, chunk(b"zTXt", text))


def overlong_png() -> bytes:
    """A small picture whose data unpack to 200 MB."""
    return png(8, 8, b"\0" * 200_000_000)[:-20]


@cache
def scans_jpeg() -> bytes:
    """A progressive JPEG of 48 million pixels with two thousand scans."""
    out = io.BytesIO()
    Image.new("L", (8000, 6000), 200).save(out, "JPEG", progressive=True)
    data = out.getvalue()
    last = data[data.rfind(b"\xff\xda") : -2]
    return data[:-2] + last * 2000 + data[-2:]


def made_pdf(*objects: bytes, box: str = "0 0 600 400") -> bytes:
    """A PDF of one page that draws the first of these objects; it has number 4, the next 5."""
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[{box}]/Contents 4 0 R/Resources<</XObject<</A 5 0 R>>>>>>".encode(),
        *objects,
    ]
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, part in enumerate(parts, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, part)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(parts) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(parts) + 1, table)
    return bytes(out)


def stream(body: bytes, entries: bytes = b"", *, packed: bool = False) -> bytes:
    if packed:
        body, entries = zlib.compress(body, 1), entries + b"/Filter/FlateDecode"
    return b"<<%b/Length %d>>stream\n%b\nendstream" % (entries, len(body), body)


def nested_pdf() -> bytes:
    """Twelve nested forms, each drawing the next ten times: a trillion strokes in two kilobytes."""
    forms = []
    for number in range(5, 17):
        entries = b"/Type/XObject/Subtype/Form/BBox[0 0 600 400]/Resources<</XObject<</A %d 0 R>>>>" % (number + 1)
        forms.append(stream(b"/A Do " * 10, entries))
    last = stream(b"0 0 m 600 400 l S", b"/Type/XObject/Subtype/Form/BBox[0 0 600 400]")
    return made_pdf(stream(b"/A Do"), *forms, last)


def strokes_pdf() -> bytes:
    """Millions of wide curves in a small file."""
    return made_pdf(stream(b"0 0 m 900 900 -900 900 600 0 c 9 w S\n" * 3_000_000, packed=True), stream(b""))


def image_pdf() -> bytes:
    """A picture of 30,000 by 30,000 pixels in a few hundred kilobytes."""
    entries = b"/Type/XObject/Subtype/Image/Width 30000/Height 30000/ColorSpace/DeviceRGB/BitsPerComponent 8"
    body = zlib.compress(zlib.compress(b"\0" * 300_000_000, 1), 9)
    picture = b"<<%b/Filter[/FlateDecode/FlateDecode]/Length %d>>stream\n%b\nendstream" % (entries, len(body), body)
    return made_pdf(stream(b"600 0 0 400 0 0 cm /A Do"), picture)


def endless_pdf() -> bytes:
    """A page tree that is its own child."""
    return made_pdf(stream(b"")).replace(b"/Kids[3 0 R]", b"/Kids[2 0 R]")


def lopsided_pdf() -> bytes:
    """A page that is 100,000 times as high as wide."""
    return made_pdf(stream(b""), box="0 0 1 100000")


@pytest.mark.parametrize("make", [huge_png, text_png, scans_jpeg, nested_pdf, strokes_pdf, endless_pdf, lopsided_pdf])
def test_a_bomb_is_refused_soon(make: Callable[[], bytes]) -> None:
    data = make()
    with ends_soon(), pytest.raises(PictureError):
        decode(data, max_pixels=MANY)


def test_data_beyond_the_size_of_a_picture_are_not_unpacked() -> None:
    assert decode(overlong_png(), max_pixels=MANY).shape == (8, 8, 3)


@pytest.mark.parametrize("make", [huge_png, scans_jpeg, endless_pdf, lopsided_pdf])
def test_a_bomb_that_shows_in_the_header_is_refused_without_unpacking(make: Callable[[], bytes]) -> None:
    with pytest.raises(PictureError):
        inspect(make(), allowed=("jpg", "png", "pdf"), max_pixels=MANY)


def test_a_page_with_a_huge_picture_ends_soon() -> None:
    data = image_pdf()
    with ends_soon():
        try:
            picture = decode(data, max_pixels=MANY)
        except UnreadableImage:
            return
    assert max(picture.shape) <= 2000


def test_the_process_that_opens_a_pdf_ends_itself_at_its_time_limit() -> None:
    done = subprocess.run(
        [sys.executable, "-P", str(Path(pdf_page.__file__)), "render", "2000"],
        input=nested_pdf(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stdout == b""


def test_a_process_that_cannot_start_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(UnreadableImage):
        pdf.page_size(made_pdf(stream(b"")), longest=2000)


def test_a_harmless_pdf_made_the_same_way_is_rendered() -> None:
    picture = decode(made_pdf(stream(b"0 0 300 400 re f"), stream(b"")), max_pixels=MANY)
    assert picture.shape in ((1333, 2000, 3), (1334, 2000, 3))
    assert picture[600, 100].tolist() == [0, 0, 0]
    assert picture[600, 1900].tolist() == [255, 255, 255]

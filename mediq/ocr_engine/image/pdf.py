"""The first page of a PDF, opened in a process of its own: PDFium is not thread-safe, and files may be hostile."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np

from mediq.ocr_engine.errors import UnreadableImage
from mediq.ocr_engine.image.picture import Picture

_CHILD = Path(__file__).with_name("pdf_page.py")
_SECONDS = 20.0
"""Time limit for the whole process; within it, opening the file has a shorter limit of its own."""
_HEADER = struct.Struct("<IIII")
_NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""On Windows this keeps a console window from opening."""


def page_size(data: bytes, *, longest: int) -> tuple[int, int]:
    """Width and height of the first page as :func:`render` gives it.

    Raises:
        UnreadableImage: the file is damaged, has no pages or an impossible size, or takes too long to open.
    """
    width, height, _, _ = _HEADER.unpack_from(_ask("size", data, longest))
    return width, height


def render(data: bytes, *, longest: int) -> Picture:
    """The first page, its longer side `longest` pixels: height × width × 3, BGR, uint8.

    Raises:
        UnreadableImage: as :func:`page_size`.
    """
    answer = _ask("render", data, longest)
    width, height, stride, channels = _HEADER.unpack_from(answer)
    rows = np.frombuffer(answer, np.uint8, height * stride, _HEADER.size).reshape(height, stride)
    picture = rows[:, : width * channels].reshape(height, width, channels)
    if channels == 1:
        picture = np.repeat(picture, 3, axis=2)
    return np.ascontiguousarray(picture[:, :, :3])


def _ask(what: str, data: bytes, longest: int) -> bytes:
    command = [sys.executable, "-P", str(_CHILD), what, str(longest)]
    try:
        done = subprocess.run(  # noqa: S603 - our own file, with arguments of our own
            command, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=_SECONDS, check=False,
            creationflags=_NO_WINDOW,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnreadableImage from error
    if done.returncode or len(done.stdout) < _HEADER.size:
        raise UnreadableImage
    return done.stdout

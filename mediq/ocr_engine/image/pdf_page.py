"""A program that reads a PDF from standard input and writes out its first page; `pdf.py` runs it.

A hostile file can harm this process alone. The process ends itself when its time is up, and its memory is bounded on
systems that can do that. It imports nothing of MediQ, so that it starts fast.
"""

import os
import struct
import sys
import threading

import pypdfium2

_SECONDS = 1.5
"""Time limit for opening and rendering; a scanned card takes a tenth of it."""
_MEMORY = 1 << 30
"""Bytes: the limit of the address space, on systems that can set one."""
_MOST_LOPSIDED = 50
"""The greatest ratio of the sides of a page."""
HEADER = struct.Struct("<IIII")
"""Width and height in pixels, bytes for each row, bytes for each pixel."""


def page(data: bytes, longest: int, *, render: bool) -> bytes:
    """The header, and with `render` the pixels, of the first page scaled to `longest` pixels on its longer side.

    Raises:
        ValueError: the document has no pages, or the page an impossible size.
        pypdfium2.PdfiumError: the data are no PDF.
    """
    document = pypdfium2.PdfDocument(data)
    if not len(document):
        raise ValueError("no pages")
    first = document[0]
    width, height = first.get_size()
    if not (0 < width < 1e6 and 0 < height < 1e6) or max(width, height) / min(width, height) > _MOST_LOPSIDED:
        raise ValueError("impossible size")
    scale = longest / max(width, height)
    if not render:
        return HEADER.pack(max(1, round(width * scale)), max(1, round(height * scale)), 0, 0)
    bitmap = first.render(scale=scale, rev_byteorder=False)
    head = HEADER.pack(bitmap.width, bitmap.height, bitmap.stride, bitmap.n_channels)
    return head + bytes(bitmap.buffer)


def main() -> None:
    data = sys.stdin.buffer.read()
    clock = threading.Timer(_SECONDS, os._exit, (1,))
    clock.daemon = True
    clock.start()
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    try:
        out = page(data, int(sys.argv[2]), render=sys.argv[1] == "render")
    except (pypdfium2.PdfiumError, ValueError, MemoryError):
        sys.exit(1)
    sys.stdout.buffer.write(out)


if __name__ == "__main__":
    main()

"""Opens a PDF from standard input in a process of its own and writes out its first page; run by `pdf.py` alone.

Whatever a hostile file does to PDFium, it does here: this process ends itself when its time is up, has its memory
bounded where the system can, and takes nothing down with it. It imports nothing of MediQ, so that it starts fast.
"""

import os
import struct
import sys
import threading

import pypdfium2

_SECONDS = 1.5
"""Time for opening and rendering; a scanned card takes a tenth of it."""
_MEMORY = 1 << 30
"""Bytes of address space, on systems that can bound it."""
_MOST_LOPSIDED = 50
"""How many times longer one side of a page may be than the other."""
HEADER = struct.Struct("<IIIII")
"""Pages, width and height in pixels, bytes a row, bytes a pixel."""


def page(data: bytes, longest: int, *, render: bool) -> bytes:
    """The header, and if `render` the pixels, of the first page with its longer side `longest` pixels long.

    Raises:
        ValueError: no pages, or of an impossible size.
        pypdfium2.PdfiumError: no PDF.
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
        return HEADER.pack(len(document), max(1, round(width * scale)), max(1, round(height * scale)), 0, 0)
    bitmap = first.render(scale=scale, rev_byteorder=False)

    head = HEADER.pack(len(document), bitmap.width, bitmap.height, bitmap.stride, bitmap.n_channels)
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

"""The picture of a card for a person who reviews it: upright, of modest size, without the rest of the file."""

import io
from typing import Final

from PIL import Image

from mediq.ocr_engine.image.intake import decode

_LONGEST: Final = 1600
"""Pixels of the longer side: enough to read every row of a card that fills a third of the picture."""


def preview(data: bytes, *, max_pixels: int) -> bytes:
    """An uploaded file as a JPEG without metadata; a PDF gives its first page.

    Raises:
        PictureError: as :func:`decode`.
    """
    picture = Image.fromarray(decode(data, max_pixels=max_pixels)[:, :, ::-1])
    picture.thumbnail((_LONGEST, _LONGEST))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()

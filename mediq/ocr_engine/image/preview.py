"""The picture of a card as a person reviews it: upright, of a modest size, and nothing else of the uploaded file."""

import io
from typing import Final

from PIL import Image

from mediq.ocr_engine.image.intake import decode

_LONGEST: Final = 1600
"""Pixels of the longer side: enough to read every row of a card that fills a third of the picture."""


def preview(data: bytes, *, max_pixels: int) -> bytes:
    """An uploaded file as a JPEG without metadata; a PDF gives its first page. Raises as `intake.decode`."""
    picture = Image.fromarray(decode(data, max_pixels=max_pixels)[:, :, ::-1])
    picture.thumbnail((_LONGEST, _LONGEST))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()

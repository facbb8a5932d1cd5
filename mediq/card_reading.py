"""The card reader for the rest of the program: its errors become refusals with a sentence for the front desk.

The engine is imported where it is used, so that only a process that handles cards pays for it.
"""

from collections.abc import Callable, Collection

from mediq.domain.card import Reading
from mediq.messages.errors import Invalid, TooLarge, Unsupported


def load_reader(threads: int) -> Callable[[bytes], Reading]:
    """Load the card reader's networks and return the function that reads a card with `threads` threads."""
    from mediq.ocr_engine.reader import CardReader

    reader = CardReader(threads=threads)
    reader.load()
    return reader.read


def check_image(data: bytes, *, allowed: Collection[str], max_pixels: int) -> None:
    """Refuse a file that is no picture, or none that the card reader accepts.

    Raises:
        Unsupported, TooLarge, Invalid: with the sentence for the desk.
    """
    from mediq.ocr_engine import errors
    from mediq.ocr_engine.image import intake

    try:
        intake.inspect(data, allowed=allowed, max_pixels=max_pixels)
    except errors.UnsupportedImage as error:
        raise Unsupported(str(error), code="unsupported-image") from None
    except errors.ImageTooLarge as error:
        raise TooLarge(str(error), code="image-too-large") from None
    except errors.PictureError as error:
        raise Invalid.field("ktp_image", str(error)) from None


def preview(data: bytes, *, max_pixels: int) -> bytes:
    """An uploaded file as a JPEG for review.

    Raises:
        Invalid: with the sentence for the desk, when the file cannot be opened.
    """
    from mediq.ocr_engine import errors
    from mediq.ocr_engine.image.preview import preview

    try:
        return preview(data, max_pixels=max_pixels)
    except errors.PictureError as error:
        raise Invalid.field("ktp_image", str(error)) from None

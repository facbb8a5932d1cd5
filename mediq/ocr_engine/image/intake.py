"""Taking in a file: what it is by its content, and its picture as an array.

Names and declared types are not trusted.
"""

import io
import warnings
from collections.abc import Collection

import msgspec
import numpy as np
from PIL import Image, ImageOps

from mediq.ocr_engine.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from mediq.ocr_engine.image import pdf
from mediq.ocr_engine.image.picture import Picture

_PAGE_LONGEST = 2000
"""Pixels of the longer side of a rendered PDF page; a card scanned on A4 is then about 800 wide."""
_SCAN_MARKER = b"\xff\xda"
"""The first bytes of each scan of a JPEG. A progressive JPEG has about ten scans, each over all pixels."""
_MOST_PIXELS_IN_SCANS = 600_000_000
"""Limit of pixels times scans: thousands of scans, a few bytes each, would keep the decoder busy for minutes."""
_LONGEST = 2600
"""Pixels of the longer side to which a picture is scaled down after decoding: no card needs more."""


class ImageInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the header of a file says: its format (jpg, png or pdf) and its size in pixels.

    Width and height of a PDF are those of its first page as rendered.
    """

    format: str
    width: int
    height: int


def _format(data: bytes) -> str | None:
    """The format of a file by its first bytes."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if b"%PDF-" in data[:1024]:
        return "pdf"
    return None


def inspect(data: bytes, *, allowed: Collection[str], max_pixels: int) -> ImageInfo:
    """Judge a file by its first bytes and its header, without unpacking pixels.

    `allowed` names formats as the settings do: jpg, jpeg, png, pdf.

    Raises:
        UnreadableImage: the file is empty, or its header makes no sense.
        UnsupportedImage: the file has a format that is not allowed.
        ImageTooLarge: the picture has more than `max_pixels`, or too many scans.
    """
    if not data:
        raise UnreadableImage
    file_format = _format(data)
    wanted = {"jpg" if name.lower() == "jpeg" else name.lower() for name in allowed}
    if file_format not in wanted:
        raise UnsupportedImage
    if file_format == "pdf":
        width, height = pdf.page_size(data, longest=_PAGE_LONGEST)
        info = ImageInfo(format="pdf", width=width, height=height)
    else:
        with _open(data, file_format, max_pixels) as image:
            info = ImageInfo(format=file_format, width=image.width, height=image.height)
        if file_format == "jpg" and data.count(_SCAN_MARKER) * info.width * info.height > _MOST_PIXELS_IN_SCANS:
            raise ImageTooLarge
    if info.width * info.height > max_pixels:
        raise ImageTooLarge
    return info


def decode(data: bytes, *, max_pixels: int) -> Picture:
    """The picture in a file as height × width × channel, BGR, uint8, upright by its EXIF orientation.

    A PDF gives its first page. Transparency becomes white. Pictures are scaled down to 2600 pixels a side.

    Raises:
        UnreadableImage, UnsupportedImage, ImageTooLarge: as :func:`inspect`; `UnreadableImage` also for damage that
            only unpacking shows.
    """
    if _format(data) == "pdf":
        return pdf.render(data, longest=_PAGE_LONGEST)
    info = inspect(data, allowed=("jpg", "png"), max_pixels=max_pixels)
    with _open(data, info.format, max_pixels) as image:
        try:
            if info.format == "jpg" and max(image.size) > 2 * _LONGEST:
                image.draft("RGB", (_LONGEST, _LONGEST))
            image.load()
            return _fitted(_bgr(ImageOps.exif_transpose(_reduced(image))))
        except Exception as error:  # damaged files raise many errors
            raise UnreadableImage from error


def _open(data: bytes, file_format: str, max_pixels: int) -> Image.Image:
    """Read the header alone; Pillow unpacks pixels later."""
    formats = {"jpg": ("JPEG", "MPO"), "png": ("PNG",)}[file_format]
    try:
        with warnings.catch_warnings():
            # Pillow's own limit is one setting for the whole module; the argument is checked below instead.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)
            image: Image.Image = Image.open(io.BytesIO(data), formats=formats)
    except Image.DecompressionBombError as error:
        raise ImageTooLarge from error
    except Exception as error:  # damaged headers raise many errors
        raise UnreadableImage from error
    if image.width * image.height > max_pixels:
        image.close()
        raise ImageTooLarge
    return image


def _reduced(image: Image.Image) -> Image.Image:
    """A picture of more than twice the useful size, reduced before it is copied."""
    factor = max(image.size) // _LONGEST
    if factor < 2 or image.mode not in ("RGB", "RGBA", "L", "LA", "CMYK"):
        return image
    exif = image.info.get("exif")
    smaller = image.reduce(factor)
    if exif is not None:
        smaller.info["exif"] = exif
    return smaller


def _fitted(picture: Picture) -> Picture:
    """The picture scaled down to the useful size, if it is larger."""
    height, width = picture.shape[:2]
    factor = _LONGEST / max(height, width)
    if factor >= 1:
        return picture
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX), np.uint8)


def _bgr(image: Image.Image) -> Picture:
    """An image of any mode in BGR, eight bits a channel, transparency on white."""
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image, np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        deep = np.asarray(image, np.float32)
        top = 65535.0 if deep.max(initial=0) > 255 else 255.0
        grey = (deep * (255.0 / top)).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, layered)
    rgb = np.asarray(image.convert("RGB"), np.uint8)
    return np.ascontiguousarray(rgb[:, :, ::-1])

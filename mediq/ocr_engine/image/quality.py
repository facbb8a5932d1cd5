"""The quality of a photo, without reading it: how light and how sharp it is."""

import cv2
import numpy as np

from mediq.ocr_engine.image.picture import Floats, Picture

_DIM = 110.0
"""Brightness, of 255: a photo whose light parts stay below it is brightened before it is read."""
_MOST_GAIN = 8.0
"""Brightening amplifies noise as well."""


def light(picture: Picture) -> float:
    """The brightness, 0 to 255, that the brightest twentieth of the photo reaches or exceeds."""
    return float(np.percentile(_grey(picture), 95))


def brightened(picture: Picture) -> Picture:
    """A dim photo with its range of brightness stretched, at most eight times; other photos unchanged."""
    grey = _grey(picture)
    low, high = (float(v) for v in np.percentile(grey, [1, 97]))
    if high >= _DIM or high - low < 4:
        return picture
    gain = min(_MOST_GAIN, 205 / (high - low))
    table = np.clip((np.arange(256) - low) * gain + 10, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, table), np.uint8)


def smeared(picture: Picture) -> bool:
    """Whether a photo has light and dark parts but no sharp edge between them, so that it cannot show text.

    Sharpness is the standard deviation of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield
    microscopy", 2000), compared with the contrast of the photo.
    """
    grey = _grey(picture)
    contrast = float(grey.std())
    if contrast < 12:
        return False
    soft = cv2.GaussianBlur(grey, (0, 0), 1.0)
    return float(cv2.Laplacian(soft, cv2.CV_32F).std()) < 0.035 * contrast


def _grey(picture: Picture) -> Floats:
    """The photo in grey, at most 640 pixels a side: height × width, 0 to 255."""
    height, width = picture.shape[:2]
    factor = 640 / max(height, width)
    small = picture
    if factor < 1:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    grey: Floats = small.mean(axis=2).astype(np.float32)
    return grey

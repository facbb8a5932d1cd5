"""Reading a card anew from a rectified picture, for cards that leave much in doubt.

Rectifying undoes turn and perspective: the picture shows the card as if scanned flat.
"""

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from mediq.ocr_engine.card.find_cards import Card, cards_in, rows_on
from mediq.ocr_engine.card.frame import HEIGHT, WIDTH, Frame
from mediq.ocr_engine.card.layout import PlacedRow
from mediq.ocr_engine.fields.field_value import FieldValue
from mediq.ocr_engine.fields.read_fields import read_fields
from mediq.ocr_engine.fields.reread import smoothed
from mediq.ocr_engine.image.picture import Picture
from mediq.ocr_engine.text.detect import TextBox, detect_text
from mediq.ocr_engine.text.networks import Networks
from mediq.ocr_engine.text.rows import recognise_rows

_SCALE = 2.0
"""Pixels for each card unit: the rectified card is 1000 wide, and its rows are 30 apart."""
_MARGIN = 10.0
"""Card units kept around the card."""
_LEVEL = 0.2
"""Radians: boxes with a greater angle are not print of the card."""


def read_rectified(networks: Networks, picture: Picture, card: Card) -> dict[str, FieldValue] | None:
    """Read every field from the rectified card; None if no card is recognised there."""
    level, homography = rectify(picture, card.frame)
    boxes = detect_text(networks, level, longest=max(level.shape[:2]))
    rows = list(recognise_rows(networks, level, [box for box in boxes if abs(box.angle) < _LEVEL]))
    height, width = level.shape[:2]
    cards = cards_in(rows, width, height)
    if not cards:
        return None
    values = read_fields(networks, level, rows_on(cards[0], rows), cards[0].frame)
    to_photo = np.linalg.inv(homography).astype(np.float64)
    return {name: _in_photo(value, to_photo) for name, value in values.items()}


def rectify(picture: Picture, frame: Frame) -> tuple[Picture, NDArray[np.float64]]:
    """The card as it lies in its frame, 670 × 1040 × 3, and the homography (3 × 3) that takes the photo to it."""
    scaling = np.array([[_SCALE, 0, _MARGIN * _SCALE], [0, _SCALE, _MARGIN * _SCALE], [0, 0, 1]])
    homography = scaling @ frame.homography
    size = (round((WIDTH + 2 * _MARGIN) * _SCALE), round((HEIGHT + 2 * _MARGIN) * _SCALE))
    ends = frame.to_photo(np.array([(0, 0), (WIDTH, 0)], np.float64))
    source = smoothed(picture, float(np.hypot(*(ends[1] - ends[0]))) / (WIDTH * _SCALE))
    level = cv2.warpPerspective(source, homography, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(level, np.uint8), homography


def _in_photo(value: FieldValue, to_photo: NDArray[np.float64]) -> FieldValue:
    """The value with the boxes of its rows where they stand in the photo."""
    rows = tuple(
        msgspec.structs.replace(placed, row=msgspec.structs.replace(placed.row, box=_box_in_photo(placed, to_photo)))
        for placed in value.rows
    )
    return msgspec.structs.replace(value, rows=rows)


def _box_in_photo(placed: PlacedRow, to_photo: NDArray[np.float64]) -> TextBox:
    corners = np.asarray(cv2.perspectiveTransform(placed.row.box.corners()[None], to_photo)[0], np.float64)
    top_left, top_right, bottom_right, bottom_left = corners
    along = (top_right - top_left + bottom_right - bottom_left) / 2
    down = (bottom_left - top_left + bottom_right - top_right) / 2
    x, y = corners.mean(axis=0)
    angle = float(np.arctan2(along[1], along[0]))
    size = float(np.hypot(*along)), float(np.hypot(*down))
    return TextBox(float(x), float(y), *size, angle, placed.row.box.score)

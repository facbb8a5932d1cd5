"""Text detection: from the detection network's map to one box for each row of print.

The boxes follow "Real-time Scene Text Detection with Differentiable Binarization" (Liao et al., 2020). The network
marks the shrunken core of each row of print; the box grows it back by area × ratio / perimeter.
"""

import math

import cv2
import msgspec
import numpy as np

from mediq.ocr_engine.image.picture import Floats, Picture, Points
from mediq.ocr_engine.text.networks import Networks

_CORE_THRESHOLD = 0.3
"""A pixel of the map above this belongs to a core."""
_LEAST_SCORE = 0.45
"""A core with a lower mean probability is no text."""
_GROWTH_RATIO = 1.5
"""The ratio by which cores are grown back."""
_MOST_CORES = 400
"""Cores looked at, the longest outlines first."""
_CROP_HEIGHT = 64
"""Pixels: the most that a crop is high, a margin above the 48 that the recognition network uses."""


class TextBox(msgspec.Struct, frozen=True):
    """A rectangle around a row of print, turned any way, in pixels of the picture it was found in.

    `x` and `y` are its middle, `length` runs along the reading direction. `angle` is the reading direction against
    the x axis in radians, clockwise, as y points down. Detection gives angles from -45° up to 135° along the longer
    side; the caller decides which way round the text runs. `score` is the mean probability of its core.
    """

    x: float
    y: float
    length: float
    height: float
    angle: float
    score: float = 1.0

    @property
    def direction(self) -> tuple[float, float]:
        """The unit vector of the reading direction."""
        return math.cos(self.angle), math.sin(self.angle)

    def corners(self) -> Points:
        """4 × 2: top left, top right, bottom right, bottom left, as seen by a reader of the text."""
        u, v = self.direction
        a, b = self.length / 2, self.height / 2
        return np.array(
            [
                (self.x - a * u + b * v, self.y - a * v - b * u),
                (self.x + a * u + b * v, self.y + a * v - b * u),
                (self.x + a * u - b * v, self.y + a * v + b * u),
                (self.x - a * u - b * v, self.y - a * v + b * u),
            ]
        )

    def ends(self) -> Points:
        """2 × 2: the middle of the left side and of the right side."""
        u, v = self.direction
        a = self.length / 2
        return np.array([(self.x - a * u, self.y - a * v), (self.x + a * u, self.y + a * v)])

    def turned(self) -> "TextBox":
        """The same box, read the other way round."""
        return TextBox(self.x, self.y, self.length, self.height, self.angle + math.pi, self.score)


def detect_text(networks: Networks, picture: Picture, *, longest: int, enlarge: float = 1.0) -> list[TextBox]:
    """Find the rows of print in a picture, in no order.

    The network sees the picture scaled to `longest` pixels on its longer side, enlarged at most `enlarge` times. The
    boxes are in pixels of `picture`.
    """
    scaled, scale_x, scale_y = _scaled(picture, longest=longest, enlarge=enlarge)
    return _boxes_of(networks.text_map(scaled), scale_x, scale_y)


def _scaled(picture: Picture, *, longest: int, enlarge: float) -> tuple[Picture, float, float]:
    """The picture with sides that are multiples of 32, and the factors that take its x and y back."""
    height, width = picture.shape[:2]
    scale = min(longest / max(height, width), enlarge)
    new_width = max(32, round(width * scale / 32) * 32)
    new_height = max(32, round(height * scale / 32) * 32)
    kernel = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(picture, (new_width, new_height), interpolation=kernel)
    return scaled.astype(np.uint8, copy=False), width / new_width, height / new_height


def _boxes_of(text_map: Floats, scale_x: float, scale_y: float) -> list[TextBox]:
    """The boxes of a map of text probability (height × width), scaled by the two factors."""
    mask = (text_map > _CORE_THRESHOLD).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    boxes = []
    for contour in sorted(contours, key=len, reverse=True)[:_MOST_CORES]:
        corners = np.asarray(cv2.boxPoints(cv2.minAreaRect(contour)), np.float64)
        sides = (float(np.hypot(*(corners[1] - corners[0]))), float(np.hypot(*(corners[2] - corners[1]))))
        if min(sides) < 2:
            continue
        score = _mean_inside(text_map, corners)
        if score < _LEAST_SCORE:
            continue
        growth = sides[0] * sides[1] * _GROWTH_RATIO / (2 * (sides[0] + sides[1]))
        boxes.append(_grown_box(corners, growth, scale_x, scale_y, score))
    return boxes


def _grown_box(corners: Points, growth: float, scale_x: float, scale_y: float, score: float) -> TextBox:
    centre = corners.mean(axis=0)
    first, second = corners[1] - corners[0], corners[2] - corners[1]
    longer, shorter = (first, second) if np.hypot(*first) >= np.hypot(*second) else (second, first)
    length, height = float(np.hypot(*longer)) + 2 * growth, float(np.hypot(*shorter)) + 2 * growth
    # Nearly square cores have no direction of their own; they are taken as level.
    if length < 1.3 * height and abs(longer[0]) < abs(longer[1]):
        longer, length, height = shorter, height, length
    direction = longer * (scale_x, scale_y)
    angle = math.atan2(direction[1], direction[0])
    while angle < -math.pi / 4:
        angle += math.pi
    while angle >= 3 * math.pi / 4:
        angle -= math.pi
    scale = float(np.hypot(*direction) / np.hypot(*longer))
    return TextBox(
        float(centre[0] * scale_x),
        float(centre[1] * scale_y),
        length * scale,
        height * (scale_x * scale_y) / scale,
        angle,
        score,
    )


def _mean_inside(text_map: Floats, corners: Points) -> float:
    """The mean of the map inside a box."""
    height, width = text_map.shape
    left, top = np.floor(corners.min(axis=0)).astype(int).clip(0, (width - 1, height - 1))
    right, bottom = np.ceil(corners.max(axis=0)).astype(int).clip(0, (width - 1, height - 1))
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [(corners - (left, top)).round().astype(np.int32)], 1)
    return float(cv2.mean(text_map[top : bottom + 1, left : right + 1], mask)[0])


def crop(picture: Picture, box: TextBox, *, padding: float) -> Picture:
    """Cut a box out of a picture, level, with `padding` heights more at both ends.

    The crop has the picture's resolution, but is at most 64 pixels high. Outside the picture its edge is repeated.
    """
    length = box.length + 2 * padding * box.height
    scale = min(1.0, _CROP_HEIGHT / box.height) if box.height > 0 else 1.0
    padded = TextBox(box.x, box.y, length, box.height, box.angle)
    width, height = max(4, round(length * scale)), max(4, round(box.height * scale))
    top_left, top_right, _, bottom_left = padded.corners()
    source = np.array([top_left, top_right, bottom_left], np.float32)
    target = np.array([(0, 0), (width, 0), (0, height)], np.float32)
    matrix = cv2.getAffineTransform(source, target)
    kernel = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_CUBIC
    cut = cv2.warpAffine(picture, matrix, (width, height), flags=kernel, borderMode=cv2.BORDER_REPLICATE)
    return cut.astype(np.uint8, copy=False)

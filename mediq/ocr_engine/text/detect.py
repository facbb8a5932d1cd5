"""Where text stands in a picture: the detecting network's map turned into lines with a direction.

The boxes follow "Real-time Scene Text Detection with Differentiable Binarization" (Liao et al., 2020): what
the network marks is the shrunken core of a line, grown back by area × ratio / perimeter.
"""

import math

import cv2
import msgspec
import numpy as np

from mediq.ocr_engine.image.picture import Floats, Picture, Points
from mediq.ocr_engine.text.networks import Models

_CORE = 0.3
"""A pixel of the map above this belongs to a line."""
_SURE = 0.45
"""A line whose core is less likely than this on average is no text."""
_GROW = 1.5
"""Ratio by which cores are grown back."""


class Line(msgspec.Struct, frozen=True):
    """A line of text as a rectangle lying in any direction, in pixels of the picture it was found in.

    `angle` is that of the reading direction against the x axis, in radians, clockwise as y points down. A
    line found is read along its longer side, from -45° up to 135°; which of the two ways round is up to the
    caller.
    """

    x: float
    y: float
    length: float
    height: float
    angle: float
    score: float = 1.0

    @property
    def along(self) -> tuple[float, float]:
        """The unit vector of the reading direction."""
        return math.cos(self.angle), math.sin(self.angle)

    def corners(self) -> Points:
        """4 × 2: top left, top right, bottom right, bottom left, as the reader of the line sees them."""
        u, v = self.along
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
        """2 × 2: the middle of the left and of the right side."""
        u, v = self.along
        a = self.length / 2
        return np.array([(self.x - a * u, self.y - a * v), (self.x + a * u, self.y + a * v)])


def fit(picture: Picture, *, longest: int, enlarge: float = 1.0) -> tuple[Picture, float, float]:
    """Scale so that the longer side is at most `longest`, and at most `enlarge` times as before, in steps of
    32.

    Gives the scaled picture and what to multiply its x and y by to come back.
    """
    height, width = picture.shape[:2]
    scale = min(longest / max(height, width), enlarge)
    new_width = max(32, round(width * scale / 32) * 32)
    new_height = max(32, round(height * scale / 32) * 32)
    kernel = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(picture, (new_width, new_height), interpolation=kernel)
    return scaled.astype(np.uint8, copy=False), width / new_width, height / new_height


def find_lines(models: Models, picture: Picture, *, longest: int, enlarge: float = 1.0) -> list[Line]:
    """The lines of text in `picture`, in its pixels, in no order.

    The network sees it scaled to `longest` pixels on its longer side, enlarged at most `enlarge` times.
    """
    scaled, back_x, back_y = fit(picture, longest=longest, enlarge=enlarge)
    likely = models.text_map(scaled)
    return lines_of(likely, back_x, back_y)


def lines_of(likely: Floats, back_x: float = 1.0, back_y: float = 1.0) -> list[Line]:
    """The lines in a map of text likelihood, height × width, scaled back by `back_x` and `back_y`."""
    mask = (likely > _CORE).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    lines = []
    for contour in sorted(contours, key=len, reverse=True)[:400]:
        corners = np.asarray(cv2.boxPoints(cv2.minAreaRect(contour)), np.float64)
        sides = (float(np.hypot(*(corners[1] - corners[0]))), float(np.hypot(*(corners[2] - corners[1]))))
        if min(sides) < 2:
            continue
        score = _inside(likely, corners)
        if score < _SURE:
            continue
        grow = sides[0] * sides[1] * _GROW / (2 * (sides[0] + sides[1]))
        centre = corners.mean(axis=0)
        lines.append(_line(corners, centre, grow, back_x, back_y, score))
    return lines


def _line(corners: Points, centre: Points, grow: float, back_x: float, back_y: float, score: float) -> Line:
    first, second = corners[1] - corners[0], corners[2] - corners[1]
    longer, shorter = (first, second) if np.hypot(*first) >= np.hypot(*second) else (second, first)
    length, height = float(np.hypot(*longer)) + 2 * grow, float(np.hypot(*shorter)) + 2 * grow
    # Square cores have no direction of their own; they are taken as level.
    if length < 1.3 * height and abs(longer[0]) < abs(longer[1]):
        longer, length, height = shorter, height, length
    along = longer * (back_x, back_y)
    angle = math.atan2(along[1], along[0])
    while angle < -math.pi / 4:
        angle += math.pi
    while angle >= 3 * math.pi / 4:
        angle -= math.pi
    scale = float(np.hypot(*along) / np.hypot(*longer))
    return Line(
        float(centre[0] * back_x),
        float(centre[1] * back_y),
        length * scale,
        height * (back_x * back_y) / scale,
        angle,
        score,
    )


def _inside(likely: Floats, corners: Points) -> float:
    height, width = likely.shape
    left, top = np.floor(corners.min(axis=0)).astype(int).clip(0, (width - 1, height - 1))
    right, bottom = np.ceil(corners.max(axis=0)).astype(int).clip(0, (width - 1, height - 1))
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [(corners - (left, top)).round().astype(np.int32)], 1)
    return float(cv2.mean(likely[top : bottom + 1, left : right + 1], mask)[0])


def cut(picture: Picture, line: Line, *, wider: float = 0.0, taller: float = 1.0) -> Picture:
    """The line as an upright row, cut from `picture` at its own resolution, grown by `wider` heights at both
    ends.

    What lies outside the picture repeats its edge.
    """
    height = line.height * taller
    length = line.length + 2 * wider * line.height
    # Never more pixels than the reading network can use: 64 a row keeps a margin over its 48.
    scale = min(1.0, 64 / height) if height > 0 else 1.0
    grown = Line(line.x, line.y, length, height, line.angle)
    out_width, out_height = max(4, round(length * scale)), max(4, round(height * scale))
    top_left, top_right, _, bottom_left = grown.corners()
    source = np.array([top_left, top_right, bottom_left], np.float32)
    target = np.array([(0, 0), (out_width, 0), (0, out_height)], np.float32)
    matrix = cv2.getAffineTransform(source, target)
    kernel = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_CUBIC
    return cv2.warpAffine(
        picture, matrix, (out_width, out_height), flags=kernel, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.uint8, copy=False)

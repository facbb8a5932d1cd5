"""Finding the text of a card in a photo: its direction, which way up it is, and the size at which to look for it."""

import math
from itertools import islice

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from mediq.ocr_engine.card.labels import find_label
from mediq.ocr_engine.card.row_classifier import classify_row
from mediq.ocr_engine.image.picture import Picture
from mediq.ocr_engine.text.detect import TextBox, detect_text
from mediq.ocr_engine.text.networks import Networks
from mediq.ocr_engine.text.rows import Row, recognise_rows

COARSE = 736
"""Pixels: the longer side at which text is detected in the whole photo."""
ENLARGED = 4.0
"""The most that a small photo is enlarged for that."""
_FINE = 960
"""Pixels: the longer side at which small text is detected again, in the block of text alone."""
_LEAST_HEIGHT = 12.0
"""Pixels: boxes lower than this on average are detected again."""
_PROBES = 6
"""Rows recognised to decide which way up a photo is."""
_CARD_LABELS = 4
"""Labels that make a card."""
_CARD_VALUES = 2
"""Values that still speak for a card where labels are missing."""
_CLEAR = 0.7
"""Mean probability from which a row counts as text."""
_UPRIGHT, _ANY_WAY_UP = 0.9, 0.96
"""Mean probability of the probes that settles which way up a photo is, for text near level and for other text."""
_LABELS_WIDTH = 0.4
"""Width of the column of labels, as a share of the width of the column of values."""
_DIRECTIONS = 2
"""Directions of text that are tried."""
_SAME_DIRECTION = math.radians(7)
"""Boxes this near to a direction that was tried are not tried in another."""
_MOST_BOXES = 90
"""Boxes recognised in one direction, the largest first; a card has about 30."""


class PhotoText(msgspec.Struct, frozen=True):
    """The text of a photo that runs in one direction; `angle` is the reading direction in radians."""

    rows: list[Row]
    angle: float

    @property
    def labels(self) -> int:
        """How many different labels were recognised."""
        return len({label.name for row in self.rows if (label := find_label(row)) is not None})

    @property
    def values(self) -> int:
        """How many different fields are told by their value alone."""
        return len({name for row in self.rows if (name := classify_row(row.text)) is not None})


def locate_text(networks: Networks, picture: Picture) -> PhotoText:
    """Detect and recognise the text that runs in the main direction of the photo, the right way up.

    Where that shows no card, text in another direction is tried: a card may lie on a printed form.
    """
    boxes = detect_text(networks, picture, longest=COARSE, enlarge=ENLARGED)
    best = PhotoText([], 0.0)
    for _ in range(_DIRECTIONS):
        if len(boxes) < 2 and best.rows:
            break
        chosen, angle = _in_main_direction(boxes)
        if not chosen:
            break
        found = _recognised_along(networks, picture, chosen, angle)
        if not best.rows or found.labels > best.labels:
            best = found
        if best.labels >= _CARD_LABELS:
            break
        # Boxes that run only roughly in the first direction may belong to a card that lies askew on a page.
        boxes = [box for box in boxes if abs(_difference(box.angle, angle)) > _SAME_DIRECTION]
        if len(boxes) < _CARD_LABELS:
            break
    return best


def _recognised_along(networks: Networks, picture: Picture, boxes: list[TextBox], angle: float) -> PhotoText:
    """Recognise the boxes of one direction, after detecting them again if they are small."""
    height = float(np.median([box.height for box in boxes])) * min(COARSE / max(picture.shape[:2]), ENLARGED)
    if height < _LEAST_HEIGHT and len(boxes) >= 4:
        closer, closer_angle = _detected_closer(networks, picture, boxes, angle)
        if len(closer) >= len(boxes) // 2:
            boxes, angle = closer, closer_angle
    found = _right_way_up(networks, picture, boxes, angle)
    if found.labels >= _CARD_LABELS or not found.rows:
        return found
    clear = [row.box for row in found.rows if row.mean_probability > _CLEAR]
    if found.values >= _CARD_VALUES and len(clear) >= _CARD_VALUES:
        # This is a card, but its labels, the faintest print on it, were not detected.
        closer, closer_angle = _detected_closer(networks, picture, clear, angle, wider=_LABELS_WIDTH)
        again = _right_way_up(networks, picture, closer, closer_angle)
        if again.labels > found.labels:
            found = again
    if found.labels < _CARD_LABELS:
        # The probes may have misled; all rows together leave no doubt which way up the photo is.
        turned = list(recognise_rows(networks, picture, [row.box.turned() for row in found.rows]))
        upside_down = PhotoText(turned, found.angle + math.pi)
        if upside_down.labels > found.labels:
            return upside_down
    return found


def _in_main_direction(boxes: list[TextBox]) -> tuple[list[TextBox], float]:
    """The boxes that run like most of the text, and that direction, from -45° to 135°."""
    long = [box for box in boxes if box.length > 2.5 * box.height]
    if not long:
        return boxes, 0.0
    angles = np.array([box.angle for box in long])
    weights = np.array([box.length for box in long])
    # Directions repeat after half a turn; the one that most of the text agrees with wins.
    apart = np.abs((angles[:, None] - angles[None, :] + math.pi / 2) % math.pi - math.pi / 2)
    votes = (weights[None, :] * (apart < math.radians(12))).sum(axis=1)
    near = apart[int(votes.argmax())] < math.radians(12)
    doubled = np.exp(2j * angles[near]) * weights[near]
    angle = float(np.angle(doubled.sum())) / 2
    if angle < -math.pi / 4:
        angle += math.pi
    kept = []
    for box in boxes:
        off = _difference(box.angle, angle)
        nearly_square = box.length < 2.2 * box.height
        if nearly_square and abs(off) > math.radians(25):
            across = abs(off) > math.radians(60)
            length, height = (box.height, box.length) if across else (box.length, box.height)
            kept.append(TextBox(box.x, box.y, length, height, angle, box.score))
        elif abs(off) < math.radians(25):
            kept.append(TextBox(box.x, box.y, box.length, box.height, angle + off, box.score))
    return kept, angle


def _difference(angle: float, other: float) -> float:
    """By how much two directions differ, from -90° to 90° in radians: text may run either way along each."""
    return (angle - other + math.pi / 2) % math.pi - math.pi / 2


def _detected_closer(
    networks: Networks, picture: Picture, boxes: list[TextBox], angle: float, *, wider: float = 0.0
) -> tuple[list[TextBox], float]:
    """Detect text again in the block of these boxes alone, cut out level and with a margin.

    `wider` is the share of its width by which the block is first extended at both ends.
    """
    points = np.array([corner for box in boxes for corner in box.corners()])
    u = np.array([math.cos(angle), math.sin(angle)])
    v = np.array([-u[1], u[0]])
    left, right = _range_without_strays(points @ u)
    top, bottom = _range_without_strays(points @ v)
    extension = wider * (right - left)
    left, right = left - extension, right + extension
    margin = 0.06 * max(right - left, bottom - top)
    left, right, top, bottom = left - margin, right + margin, top - margin, bottom + margin
    width, height = right - left, bottom - top
    longest = _FINE * (1 + wider)
    scale = min(longest / max(width, height), 3.0)
    matrix = np.array([[u[0] * scale, u[1] * scale, -left * scale], [v[0] * scale, v[1] * scale, -top * scale]])
    size = (max(32, round(width * scale)), max(32, round(height * scale)))
    kernel = cv2.INTER_AREA if scale < 0.7 else cv2.INTER_CUBIC
    block = cv2.warpAffine(picture, matrix, size, flags=kernel, borderMode=cv2.BORDER_REPLICATE)
    closer = detect_text(networks, block.astype(np.uint8, copy=False), longest=round(longest))
    in_photo = []
    for box in closer:
        x, y = u * (box.x / scale + left) + v * (box.y / scale + top)
        length, height = box.length / scale, box.height / scale
        in_photo.append(TextBox(float(x), float(y), length, height, box.angle + angle, box.score))
    return _in_main_direction(in_photo)


def _range_without_strays(values: NDArray[np.float64]) -> tuple[float, float]:
    """The least and greatest value, without strays far beyond the middle nine tenths."""
    low, high = np.percentile(values, [5, 95])
    reach = 0.35 * (high - low) + 1
    inside = values[(values > low - reach) & (values < high + reach)]
    return float(inside.min()), float(inside.max())


def _right_way_up(networks: Networks, picture: Picture, boxes: list[TextBox], angle: float) -> PhotoText:
    """Recognise the boxes, all in the direction in which the largest of them read better."""
    largest = sorted(boxes, key=lambda box: box.length * box.height, reverse=True)[:_MOST_BOXES]
    order = sorted(largest, key=lambda box: box.length * box.score, reverse=True)
    # Most photos are upright, so all rows are begun that way, and given up if the probes do not bear it out.
    recognised = recognise_rows(networks, picture, order)
    upright = list(islice(recognised, _PROBES))
    clear = _mean_probability(upright)
    if (abs(angle) < math.pi / 4 and clear > _UPRIGHT) or clear > _ANY_WAY_UP:
        return PhotoText([*upright, *recognised], angle)
    recognised.close()
    probes, rest = order[:_PROBES], order[_PROBES:]
    turned = list(recognise_rows(networks, picture, [box.turned() for box in probes]))
    if _likeness(turned) > _likeness(upright):
        others = recognise_rows(networks, picture, [box.turned() for box in rest])
        return PhotoText([*turned, *others], angle + math.pi)
    return PhotoText([*upright, *recognise_rows(networks, picture, rest)], angle)


def _mean_probability(rows: list[Row]) -> float:
    return sum(row.mean_probability for row in rows) / max(1, len(rows))


def _likeness(rows: list[Row]) -> float:
    """How much rows read like the text of a card: labels above all, then likely characters."""
    labels = sum(1 for row in rows if find_label(row) is not None)
    return labels + sum((row.mean_probability - 0.5) * min(12, len(row.glyphs)) / 6 for row in rows)

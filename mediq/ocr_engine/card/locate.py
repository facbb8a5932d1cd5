"""Finding the text of a card in a photo: which way it runs, which way up, and at what size to look for it."""

import math
from itertools import islice

import cv2
import msgspec
import numpy as np

from mediq.ocr_engine.card.labels import find_label
from mediq.ocr_engine.card.row_classifier import telling
from mediq.ocr_engine.image.picture import Picture
from mediq.ocr_engine.text.detect import Line, find_lines
from mediq.ocr_engine.text.networks import Models
from mediq.ocr_engine.text.rows import Row, read_lines

COARSE = 736
"""Longer side, in pixels, at which the whole photo is looked at first."""
FINE = 960
"""Longer side at which a block of text too small in the first look is looked at again."""
_LEAST_HEIGHT = 12.0
"""Pixels: lines found lower than this in the first look are looked at again, closer."""
_PROBES = 6
"""Lines read to decide which way up a photo is."""
_ENOUGH = 4
"""Labels that make a card."""
_TELLING = 2
"""Rows of values without labels that still speak for a card."""
_LABELS_WIDTH = 0.4
"""Width of the column of labels, as a share of that of the values beside it."""
_DIRECTIONS = 2
"""Directions of text that are tried."""
_ALONG = math.radians(7)
"""Lines this near to a direction tried belong to it for good."""
_MOST_LINES = 90
"""Lines read in one direction, the largest first; a card has about 30."""


class Found(msgspec.Struct, frozen=True):
    """The text of a photo, read along one direction. `angle` in radians is that of the reading direction."""

    rows: list[Row]
    angle: float

    @property
    def labels(self) -> int:
        return len({label.name for row in self.rows if (label := find_label(row)) is not None})

    @property
    def values(self) -> int:
        """How many rows read as only a value on a card does."""
        return len({name for row in self.rows if (name := telling(row.text)) is not None})


def locate(models: Models, picture: Picture) -> Found:
    """Find and read every line of text that runs the way most of the text does, right way up.

    Where that shows no card, the text that runs another way is tried: a card may lie on a printed form.
    """
    lines = find_lines(models, picture, longest=COARSE, enlarge=4.0)
    best = Found([], 0.0)
    for _ in range(_DIRECTIONS):
        if len(lines) < 2 and best.rows:
            break
        chosen, angle = _one_direction(lines)
        if not chosen:
            break
        found = _along(models, picture, chosen, angle)
        if not best.rows or found.labels > best.labels:
            best = found
        if best.labels >= _ENOUGH:
            break
        # Lines only roughly along the first direction may be the card's, askew on a printed page.
        lines = [line for line in lines if abs(_off(line.angle, angle)) > _ALONG]
        if len(lines) < _ENOUGH:
            break
    return best


def _along(models: Models, picture: Picture, lines: list[Line], angle: float) -> Found:
    """Read the lines of one direction, after a closer look if they are small."""
    height = float(np.median([line.height for line in lines])) * min(COARSE / max(picture.shape[:2]), 4.0)
    if height < _LEAST_HEIGHT and len(lines) >= 4:
        closer, turned = _look_closer(models, picture, lines, angle)
        if len(closer) >= len(lines) // 2:
            lines, angle = closer, turned
    found = _right_way_up(models, picture, lines, angle)
    if found.labels >= _ENOUGH or not found.rows:
        return found
    sure = [row.line for row in found.rows if row.sure > 0.7]
    if found.values >= _TELLING and len(sure) >= _TELLING:
        # A card for sure, but its labels, the faintest print on it, were not seen: look closer for them.
        closer, turned = _look_closer(models, picture, sure, angle, wider=_LABELS_WIDTH)
        again = _right_way_up(models, picture, closer, turned)
        if again.labels > found.labels:
            found = again
    if found.labels < _ENOUGH:
        # The few lines that decided may have misled: with all of them the other way round there is no doubt left.
        other = list(read_lines(models, picture, [_turn(row.line) for row in found.rows]))
        upside_down = Found(other, found.angle + math.pi)
        if upside_down.labels > found.labels:
            return upside_down
    return found


def _one_direction(lines: list[Line]) -> tuple[list[Line], float]:
    """The lines that run like most of the text, and that direction, from -45° to 135°."""
    long = [line for line in lines if line.length > 2.5 * line.height]
    if not long:
        return lines, 0.0
    angles = np.array([line.angle for line in long])
    weights = np.array([line.length for line in long])
    # Directions are the same half a turn on; of the candidates, the one most of the text agrees with.
    apart = np.abs((angles[:, None] - angles[None, :] + math.pi / 2) % math.pi - math.pi / 2)
    votes = (weights[None, :] * (apart < math.radians(12))).sum(axis=1)
    near = apart[int(votes.argmax())] < math.radians(12)
    doubled = np.exp(2j * angles[near]) * weights[near]
    angle = float(np.angle(doubled.sum())) / 2
    if angle < -math.pi / 4:
        angle += math.pi
    kept = []
    for line in lines:
        off = _off(line.angle, angle)
        square = line.length < 2.2 * line.height
        if square and abs(off) > math.radians(25):
            across = abs(off) > math.radians(60)
            length, height = (line.height, line.length) if across else (line.length, line.height)
            kept.append(Line(line.x, line.y, length, height, angle, line.score))
        elif abs(off) < math.radians(25):
            kept.append(Line(line.x, line.y, line.length, line.height, angle + off, line.score))
    return kept, angle


def _off(angle: float, other: float) -> float:
    """By how much one direction differs from another, from -90° to 90°: text may run either way along it."""
    return (angle - other + math.pi / 2) % math.pi - math.pi / 2


def _look_closer(
    models: Models, picture: Picture, lines: list[Line], angle: float, *, wider: float = 0.0
) -> tuple[list[Line], float]:
    """Turn the block of text level, cut it out with a margin, and look for lines in that alone.

    `wider` is the share of its width by which the block is first extended at both ends.
    """
    points = np.array([corner for line in lines for corner in line.corners()])
    u = np.array([math.cos(angle), math.sin(angle)])
    v = np.array([-u[1], u[0]])
    along, across = points @ u, points @ v
    low_a, high_a = _trimmed(along)
    more = wider * (high_a - low_a)
    low_a, high_a = low_a - more, high_a + more
    low_b, high_b = _trimmed(across)
    margin = 0.06 * max(high_a - low_a, high_b - low_b)
    low_a, high_a, low_b, high_b = low_a - margin, high_a + margin, low_b - margin, high_b + margin
    width, height = high_a - low_a, high_b - low_b
    longest = FINE * (1 + wider)
    scale = min(longest / max(width, height), 3.0)
    matrix = np.array([[u[0] * scale, u[1] * scale, -low_a * scale], [v[0] * scale, v[1] * scale, -low_b * scale]])
    size = (max(32, round(width * scale)), max(32, round(height * scale)))
    kernel = cv2.INTER_AREA if scale < 0.7 else cv2.INTER_CUBIC
    part = cv2.warpAffine(picture, matrix, size, flags=kernel, borderMode=cv2.BORDER_REPLICATE)
    closer = find_lines(models, part.astype(np.uint8, copy=False), longest=round(longest), enlarge=1.0)
    back = []
    for line in closer:
        at = u * (line.x / scale + low_a) + v * (line.y / scale + low_b)
        back.append(
            Line(
                float(at[0]),
                float(at[1]),
                line.length / scale,
                line.height / scale,
                line.angle + angle,
                line.score,
            )
        )
    return _one_direction(back)


def _trimmed(values: np.typing.NDArray[np.float64]) -> tuple[float, float]:
    """The range of values without strays: those more than a quarter of the bulk's width beyond it."""
    low, high = np.percentile(values, [5, 95])
    reach = 0.35 * (high - low) + 1
    inside = values[(values > low - reach) & (values < high + reach)]
    return float(inside.min()), float(inside.max())


def _right_way_up(models: Models, picture: Picture, lines: list[Line], angle: float) -> Found:
    largest = sorted(lines, key=lambda line: line.length * line.height, reverse=True)[:_MOST_LINES]
    order = sorted(largest, key=lambda line: line.length * line.score, reverse=True)
    # Most photos are taken upright: all lines are read that way at once, and dropped if the longest do not bear it out.
    reading = read_lines(models, picture, order)
    upright = list(islice(reading, _PROBES))
    if (abs(angle) < math.pi / 4 and _mean_sure(upright) > 0.9) or _mean_sure(upright) > 0.96:
        return Found([*upright, *reading], angle)
    reading.close()
    probes, rest = order[:_PROBES], order[_PROBES:]
    turned = list(read_lines(models, picture, [_turn(line) for line in probes]))
    if _worth(turned) > _worth(upright):
        return Found([*turned, *read_lines(models, picture, [_turn(line) for line in rest])], angle + math.pi)
    return Found([*upright, *read_lines(models, picture, rest)], angle)


def _turn(line: Line) -> Line:
    return Line(line.x, line.y, line.length, line.height, line.angle + math.pi, line.score)


def _mean_sure(rows: list[Row]) -> float:
    return sum(row.sure for row in rows) / max(1, len(rows))


def _worth(rows: list[Row]) -> float:
    """How much like text of a card rows read: sure characters, and labels above all."""
    labels = sum(1 for row in rows if find_label(row) is not None)
    return labels + sum((row.sure - 0.5) * min(12, len(row.glyphs)) / 6 for row in rows)

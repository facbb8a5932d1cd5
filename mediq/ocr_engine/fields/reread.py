"""Rereading doubtful fields, cut straight out of the photo by the card's frame.

The first reading follows the boxes of text detection. Where these were cut short, joined or missed, the frame still
tells where a row must stand.
"""

from collections.abc import Iterator
from contextlib import closing

import cv2
import msgspec
import numpy as np

from mediq.ocr_engine.card.frame import LABEL_POSITIONS, NIK_LEFT, NIK_RIGHT, PORTRAIT_LEFT, VALUES_LEFT, Frame
from mediq.ocr_engine.card.layout import TITLE, PlacedRow
from mediq.ocr_engine.image.picture import Picture
from mediq.ocr_engine.text.ctc import greedy_decode
from mediq.ocr_engine.text.detect import TextBox
from mediq.ocr_engine.text.networks import ROW_HEIGHT, Networks
from mediq.ocr_engine.text.rows import Row

_STRIP_HEIGHT = 14.5
_STRIP_HEIGHTS = {"nik": 24.0, "provinsi": 19.5, "kabupaten_kota": 19.5}
"""Card units: the height of the strips of most fields, and of those in larger print."""
_TITLE_LEFT, _TITLE_RIGHT = 118.0, 392.0
"""Card units between which the title rows stand, centred."""
_SAME_ROW = 6.0
"""Card units: rows nearer than this in height are cut out together."""
_BACKGROUND = (25, 41)
"""Pixels, down and across: an area of this size shows bare card somewhere."""
_SMOOTHED_ABOVE = 1.6
"""Photo pixels for each pixel of the cut above which the photo is smoothed first, or sampling would skip some."""


class CardStrip(msgspec.Struct, frozen=True):
    """A level rectangle of the card, in card units: its left and right end, the middle of its height, its height."""

    left: float
    right: float
    y: float
    height: float


def strips_for(
    name: str,
    rows: list[PlacedRow],
    frame: Frame,
    heights: dict[str, float],
    left: float = VALUES_LEFT,
    *,
    shortest: float = 0.0,
) -> list[CardStrip]:
    """Where the rows of a field stand: where they were found, or else where the field's label says.

    `heights` are those of the labels. `left` is where the values of this card begin, `shortest` the least length of a
    strip from there.
    """
    height = _STRIP_HEIGHTS.get(name, _STRIP_HEIGHT)
    if name in TITLE:
        ends = [end for placed in rows for end in (placed.left - 3, placed.right + 3)]
        return [CardStrip(min([_TITLE_LEFT, *ends]), max([_TITLE_RIGHT, *ends]), heights[name], height)]
    if name == "nik":
        return [CardStrip(NIK_LEFT - 5, NIK_RIGHT + 8, rows[0].y if rows else heights["nik"], height)]
    blood = LABEL_POSITIONS["gol_darah"]
    if name == "gol_darah":
        return [CardStrip(blood.left - 5, PORTRAIT_LEFT - 4, heights.get(name, frame.row_y(name)), height)]
    limit = blood.left - 4 if name == "jenis_kelamin" else PORTRAIT_LEFT + 3
    if not rows:
        return [CardStrip(left - 2, limit, heights[name], height)]
    return [
        CardStrip(
            min(left - 1.5, placed.left - 1.5), min(max(placed.right + 18, left + shortest), limit), placed.y, height
        )
        for placed in _joined(rows)
    ]


def is_in_photo(strip: CardStrip, frame: Frame, picture: Picture) -> bool:
    """Whether the photo shows the start of a strip."""
    x, y = frame.to_photo(np.array([(strip.left + 6, strip.y)]))[0]
    height, width = picture.shape[:2]
    return bool(0 <= x < width and 0 <= y < height)


def reread_strips(networks: Networks, picture: Picture, frame: Frame, strips: list[CardStrip]) -> Iterator[PlacedRow]:
    """Recognise strips of the card, in their order; they are worked on in the background, see `Networks.recognise`."""
    characters = networks.alphabet.characters
    crops = [_enhanced(cut_strip(picture, frame, strip)) for strip in strips]
    with closing(networks.recognise(crops)) as recognised:
        for strip, (probabilities, ink) in zip(strips, recognised, strict=True):
            row = Row(_box_of(frame, strip), probabilities, greedy_decode(probabilities, characters), ink)
            yield PlacedRow(row, strip.left, strip.right, strip.y)


def cut_strip(picture: Picture, frame: Frame, strip: CardStrip) -> Picture:
    """Cut a strip out of the photo, level and 48 pixels high: 48 × width × 3, BGR, uint8."""
    scale = ROW_HEIGHT / strip.height
    width = max(16, round((strip.right - strip.left) * scale))
    top = strip.y - strip.height / 2
    to_strip = np.array([[scale, 0, -strip.left * scale], [0, scale, -top * scale], [0, 0, 1]]) @ frame.homography
    ends = frame.to_photo(np.array([(strip.left, strip.y), (strip.right, strip.y)]))
    source = smoothed(picture, float(np.hypot(*(ends[1] - ends[0]))) / width)
    row = cv2.warpPerspective(
        source, to_strip, (width, ROW_HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(row, np.uint8)


def smoothed(picture: Picture, shrinking: float) -> Picture:
    """The photo smoothed for a cut with `shrinking` times fewer pixels; unchanged if that is few."""
    if shrinking <= _SMOOTHED_ABOVE:
        return picture
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.4 * shrinking), np.uint8)


def _joined(rows: list[PlacedRow]) -> list[PlacedRow]:
    """Parts on one row joined, so that they are cut out whole."""
    out: list[PlacedRow] = []
    for placed in rows:
        if out and abs(out[-1].y - placed.y) < _SAME_ROW:
            before = out[-1]
            right = max(before.right, placed.right)
            out[-1] = PlacedRow(before.row, before.left, right, (before.y + placed.y) / 2)
        else:
            out.append(placed)
    return out


def _enhanced(row: Picture) -> Picture:
    """The row in grey, evenly lit and with full contrast, so that dark, faded and glaring print becomes black on white.

    Colour is left out: the JPEG of a small photo keeps little of it but stains.
    """
    grey = cv2.cvtColor(row, cv2.COLOR_BGR2GRAY).astype(np.float32)
    background = cv2.GaussianBlur(cv2.dilate(grey, np.ones(_BACKGROUND, np.uint8)), (0, 0), _BACKGROUND[0] * 0.6)
    even = grey / np.maximum(background, 20)
    low, high = np.percentile(even, [1, 80])
    stretched = (even - low) * (215 / max(0.05, high - low)) + 10
    return np.repeat(np.clip(stretched, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def _box_of(frame: Frame, strip: CardStrip) -> TextBox:
    """The strip as a box in the photo."""
    half = strip.height / 2
    middle = (strip.left + strip.right) / 2
    left, right, top, bottom = frame.to_photo(
        np.array([(strip.left, strip.y), (strip.right, strip.y), (middle, strip.y - half), (middle, strip.y + half)])
    )
    x, y = np.array([left, right]).mean(axis=0)
    along, down = right - left, bottom - top
    angle = float(np.arctan2(along[1], along[0]))
    return TextBox(float(x), float(y), float(np.hypot(*along)), float(np.hypot(*down)), angle)

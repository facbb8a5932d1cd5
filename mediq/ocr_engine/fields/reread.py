"""Reading doubtful rows again, cut straight out of the photo by the card's frame.

The first reading follows the boxes of the detecting network; where these were cut short, joined or missed,
the frame still tells where a row must stand.
"""

from collections.abc import Iterator
from contextlib import closing

import cv2
import msgspec
import numpy as np

from mediq.ocr_engine.card.frame import NIK_LEFT, NIK_RIGHT, PHOTO_LEFT, PLACES, VALUES_LEFT, Frame
from mediq.ocr_engine.card.layout import TITLE, Piece
from mediq.ocr_engine.image.picture import Picture
from mediq.ocr_engine.text.ctc import greedy
from mediq.ocr_engine.text.detect import Line
from mediq.ocr_engine.text.networks import ROW_HEIGHT, Models
from mediq.ocr_engine.text.rows import Row

_TALL = {"nik": 24.0, "provinsi": 19.5, "kabupaten_kota": 19.5}
"""Height in card units at which the rows of a field are cut; 14.5 for the others."""

_TITLE_ENDS = (118.0, 392.0)
"""Between where in card units the lines of the title stand, centred."""
_PATCH = (25, 41)
"""Pixels, down and across, within which a row shows its paper somewhere."""


class Strip(msgspec.Struct, frozen=True):
    """A level rectangle of the card, in card units: left, right, middle height, and how tall."""

    left: float
    right: float
    y: float
    tall: float


def strips_for(
    name: str,
    pieces: list[Piece],
    frame: Frame,
    slots: dict[str, float],
    left: float = VALUES_LEFT,
    *,
    shortest: float = 0.0,
) -> list[Strip]:
    """Where the rows of a field must stand: where they were found, or where its label says.

    `left` is where the values of this card begin, `shortest` how far from there its rows are cut out at least.
    """
    tall = _TALL.get(name, 14.5)
    if name in TITLE:
        left, right = _TITLE_ENDS
        ends = [end for piece in pieces for end in (piece.left - 3, piece.right + 3)]
        return [Strip(min([left, *ends]), max([right, *ends]), slots[name], tall)]
    if name == "nik":
        y = pieces[0].y if pieces else slots["nik"]
        return [Strip(NIK_LEFT - 5, NIK_RIGHT + 8, y, tall)]
    if name == "gol_darah":
        return [Strip(PLACES[name].left - 5, PHOTO_LEFT - 4, slots.get(name, frame.row_y(name)), tall)]
    limit = PLACES["gol_darah"].left - 4 if name == "jenis_kelamin" else PHOTO_LEFT + 3
    if pieces:
        return [
            Strip(min(left - 1.5, piece.left - 1.5), min(max(piece.right + 18, left + shortest), limit), piece.y, tall)
            for piece in _rows(pieces)
        ]
    return [Strip(left - 2, limit, slots[name], tall)]


def shown(strip: Strip, frame: Frame, picture: Picture) -> bool:
    """Whether the photo shows where a strip begins."""
    x, y = frame.to_photo(np.array([(strip.left + 6, strip.y)]))[0]
    height, width = picture.shape[:2]
    return bool(0 <= x < width and 0 <= y < height)


def _rows(pieces: list[Piece]) -> list[Piece]:
    """Pieces on one row joined to one, to be cut out whole."""
    rows: list[Piece] = []
    for piece in pieces:
        if rows and abs(rows[-1].y - piece.y) < 6:
            right = max(rows[-1].right, piece.right)
            rows[-1] = Piece(rows[-1].row, rows[-1].left, right, (rows[-1].y + piece.y) / 2)
        else:
            rows.append(piece)
    return rows


def look_again(models: Models, picture: Picture, frame: Frame, strips: list[Strip]) -> Iterator[Piece]:
    """Read strips of the card; a piece for each, in their order; see `Models.read_rows`."""
    characters = models.alphabet.characters
    with closing(models.read_rows([_enhanced(cut_strip(picture, frame, strip)) for strip in strips])) as found:
        for strip, (steps, ink) in zip(strips, found, strict=True):
            row = Row(_line(frame, strip), steps, greedy(steps, characters), ink)
            yield Piece(row, strip.left, strip.right, strip.y)


def cut_strip(picture: Picture, frame: Frame, strip: Strip) -> Picture:
    """The strip, level, with rows 48 pixels high."""
    scale = ROW_HEIGHT / strip.tall
    width = max(16, round((strip.right - strip.left) * scale))
    top = strip.y - strip.tall / 2
    to_strip = np.array([[scale, 0, -strip.left * scale], [0, scale, -top * scale], [0, 0, 1]]) @ frame.matrix
    # Where the photo has many more pixels than the strip, plain sampling would skip some.
    corners = frame.to_photo(np.array([(strip.left, strip.y), (strip.right, strip.y)]))
    finer = float(np.hypot(*(corners[1] - corners[0]))) / width
    source = picture
    if finer > 1.6:
        source = cv2.GaussianBlur(picture, (0, 0), 0.4 * finer).astype(np.uint8, copy=False)
    row = cv2.warpPerspective(
        source, to_strip, (width, ROW_HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(row, np.uint8)


def _enhanced(row: Picture) -> Picture:
    """The row in grey, evenly lit, with its full range of brightness: dark, faded and glaring print alike become black
    on white. Colour is left out, as the JPEG of a small photo keeps little of it but stains."""
    grey = cv2.cvtColor(row, cv2.COLOR_BGR2GRAY).astype(np.float32)
    paper = cv2.GaussianBlur(cv2.dilate(grey, np.ones(_PATCH, np.uint8)), (0, 0), _PATCH[0] * 0.6)
    even = grey / np.maximum(paper, 20)
    low, high = np.percentile(even, [1, 80])
    stretched = (even - low) * (215 / max(0.05, high - low)) + 10
    return np.repeat(np.clip(stretched, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def _line(frame: Frame, strip: Strip) -> Line:
    """The strip as a line in the photo."""
    half = strip.tall / 2
    points = frame.to_photo(
        np.array(
            [
                (strip.left, strip.y),
                (strip.right, strip.y),
                ((strip.left + strip.right) / 2, strip.y - half),
                ((strip.left + strip.right) / 2, strip.y + half),
            ]
        )
    )
    along = points[1] - points[0]
    middle = points[:2].mean(axis=0)
    return Line(
        float(middle[0]),
        float(middle[1]),
        float(np.hypot(*along)),
        float(np.hypot(*(points[3] - points[2]))),
        float(np.arctan2(along[1], along[0])),
    )

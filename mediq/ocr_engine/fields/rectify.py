"""A card that leaves much in doubt is straightened to its fixed frame and read anew."""

import cv2
import msgspec
import numpy as np

from mediq.ocr_engine.card.cards import Card, cards_in, rows_of
from mediq.ocr_engine.card.frame import HEIGHT, WIDTH, Frame
from mediq.ocr_engine.card.layout import Piece
from mediq.ocr_engine.fields.fields import read_fields
from mediq.ocr_engine.fields.value import Value, better
from mediq.ocr_engine.image.picture import Picture
from mediq.ocr_engine.text.detect import Line, find_lines
from mediq.ocr_engine.text.networks import Models
from mediq.ocr_engine.text.rows import read_lines

_SCALE = 2.0
"""Pixels a card unit: the straightened card is 1000 wide, its rows 30 apart."""
_RIM = 10.0
"""Card units kept around the card."""


def read_straightened(models: Models, picture: Picture, card: Card) -> dict[str, Value] | None:
    """Every field's value out of the straightened card, or None if it shows no card any more."""
    level, to_level = straighten(picture, card.frame)
    lines = [line for line in find_lines(models, level, longest=max(level.shape[:2])) if abs(line.angle) < 0.2]
    rows = list(read_lines(models, level, lines))
    height, width = level.shape[:2]
    cards = cards_in(rows, width, height)
    if not cards:
        return None
    values = read_fields(models, level, rows_of(cards[0], rows), cards[0].frame)
    back = np.linalg.inv(to_level).astype(np.float64)
    return {name: _moved(value, back) for name, value in values.items()}


def combined(first: dict[str, Value], second: dict[str, Value]) -> dict[str, Value]:
    """Field by field the stronger value."""
    return {name: better(value, second[name]) for name, value in first.items()}


def straighten(picture: Picture, frame: Frame) -> tuple[Picture, np.typing.NDArray[np.float64]]:
    """The card as it lies in its frame, 1040 × 670 pixels, and the 3 × 3 matrix that takes the photo to it."""
    shift = np.array([[_SCALE, 0, _RIM * _SCALE], [0, _SCALE, _RIM * _SCALE], [0, 0, 1]])
    matrix = shift @ frame.matrix
    size = (round((WIDTH + 2 * _RIM) * _SCALE), round((HEIGHT + 2 * _RIM) * _SCALE))
    corners = frame.to_photo(np.array([(0, 0), (WIDTH, 0)], np.float64))
    finer = float(np.hypot(*(corners[1] - corners[0]))) / (WIDTH * _SCALE)
    source = picture
    if finer > 1.6:
        source = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.4 * finer), np.uint8)
    level = cv2.warpPerspective(source, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(level, np.uint8), matrix


def _moved(value: Value, back: np.typing.NDArray[np.float64]) -> Value:
    """The value with its pieces where they stand in the photo."""
    pieces = tuple(
        msgspec.structs.replace(piece, row=msgspec.structs.replace(piece.row, line=_line(piece, back)))
        for piece in value.pieces
    )
    return msgspec.structs.replace(value, pieces=pieces)


def _line(piece: Piece, back: np.typing.NDArray[np.float64]) -> Line:
    corners = np.asarray(cv2.perspectiveTransform(piece.row.line.corners()[None], back)[0], np.float64)
    along = (corners[1] - corners[0] + corners[2] - corners[3]) / 2
    down = (corners[3] - corners[0] + corners[2] - corners[1]) / 2
    middle = corners.mean(axis=0)
    return Line(
        float(middle[0]),
        float(middle[1]),
        float(np.hypot(*along)),
        float(np.hypot(*down)),
        float(np.arctan2(along[1], along[0])),
        piece.row.line.score,
    )

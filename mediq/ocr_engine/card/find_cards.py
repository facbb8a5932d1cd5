"""Telling the cards of one photo apart, and choosing the one to read."""

import cv2
import msgspec
import numpy as np

from mediq.ocr_engine.card.fiducials import label_fiducials, print_fiducials
from mediq.ocr_engine.card.fit_frame import fit_frame
from mediq.ocr_engine.card.frame import (
    CORNERS,
    HEIGHT,
    LABEL_ORDER,
    LABEL_POSITIONS,
    NIK_LEFT,
    NIK_RIGHT,
    PITCH,
    WIDTH,
    Fiducial,
    Frame,
)
from mediq.ocr_engine.text.detect import TextBox
from mediq.ocr_engine.text.rows import Row

_LEAST_FIDUCIALS = 4
"""Fiducials that a second card needs; the first card of a photo may have fewer."""
_LEAST_OF_FIRST = 3
_MOST_CARDS = 4
_NEAR = 16.0
"""Card units that a label may miss its position and still belong to a card."""
_HALF_DIGIT = 7.0
"""Card units: half the width of one digit of the NIK."""
_FEW_LABELS = 6
"""With fewer labels than this, other print helps to hold the frame."""
_WHOLE, _NEARLY_WHOLE = 0.93, 0.9
"""Shares of a card inside the photo: to count as whole, and to be preferred to larger cards."""

_DEPTH: dict[str, int] = {name: index for index, name in enumerate(LABEL_ORDER)} | {
    "gol_darah": LABEL_ORDER.index("jenis_kelamin")
}
"""How many labels stand above a label."""


class Card(msgspec.Struct, frozen=True):
    """One card in a photo: its frame, its area in square pixels, and the share of it inside the photo."""

    frame: Frame
    area: float
    inside: float

    @property
    def whole(self) -> bool:
        return self.inside > _WHOLE


def cards_in(rows: list[Row], width: int, height: int) -> list[Card]:
    """The cards of a photo with these rows and this size in pixels; the one to read comes first.

    Cards are found by their labels, and where few labels could be read by other print as well.
    """
    labels, boxes = label_fiducials(rows), [row.box for row in rows]
    cards = find_cards(labels, boxes, width, height)
    if cards and cards[0].frame.fitted >= _FEW_LABELS:
        return cards
    return find_cards([*labels, *print_fiducials(rows)], boxes, width, height) or cards


def shows_nik(card: Card, width: int, height: int) -> bool:
    """Whether all sixteen digits of the NIK lie inside a photo of this size."""
    y = LABEL_POSITIONS["nik"].y
    ends = card.frame.to_photo(np.array([(NIK_LEFT + _HALF_DIGIT, y), (NIK_RIGHT - _HALF_DIGIT, y)]))
    return bool((ends >= 0).all() and (ends[:, 0] < width).all() and (ends[:, 1] < height).all())


def rows_on(card: Card, rows: list[Row]) -> list[Row]:
    """The rows that stand on a card."""
    return [row for row in rows if _holds(card.frame, row.box)]


def find_cards(fiducials: list[Fiducial], boxes: list[TextBox], width: int, height: int) -> list[Card]:
    """Group fiducials into cards and fit a frame to each.

    Whole cards come first, and of these the largest. If there is too little for a card, the frame is fitted to what
    there is.
    """
    cards: list[Card] = []
    left = fiducials
    while len({fiducial.name for fiducial in left}) >= (_LEAST_FIDUCIALS if cards else _LEAST_OF_FIRST):
        group = _largest_group(left)
        frame = fit_frame(group, [])
        # Only the print of this card tells its direction; another card lies in another direction.
        own_boxes = [box for box in boxes if frame is not None and _holds(frame, box)]
        frame = fit_frame(group, own_boxes)
        if frame is not None and (more := _completed(group, left, frame)) != group:
            group = more
            frame = fit_frame(group, own_boxes)
        if frame is None:
            break
        cards.append(_card(frame, width, height))
        left = [fiducial for fiducial in left if fiducial not in group and not _is_on(fiducial, frame)]
        if len(group) < _LEAST_FIDUCIALS or len(cards) == _MOST_CARDS:
            break
    return sorted(cards, key=lambda card: (card.inside > _NEARLY_WHOLE, card.area), reverse=True)


def _completed(group: list[Fiducial], fiducials: list[Fiducial], frame: Frame) -> list[Fiducial]:
    """The group with the fiducials that are near their positions in its frame.

    Grouping goes by one label, which foretells the others less well than the frame of several does.
    """
    names = {fiducial.name for fiducial in group}
    more = []
    for fiducial in fiducials:
        if fiducial.name not in names:
            x, y = frame.to_card(np.array([fiducial.left]))[0]
            lowered = PITCH * frame.extra_rows.get(fiducial.label, 0)
            if abs(x - fiducial.position.left) < _NEAR and abs(y - fiducial.position.y - lowered) < _NEAR:
                more.append(fiducial)
    return [*group, *more]


def _holds(frame: Frame, box: TextBox) -> bool:
    """Whether the middle of a box stands on the card."""
    x, y = frame.to_card(np.array([(box.x, box.y)]))[0]
    return bool(-10 < x < WIDTH + 10 and -8 < y < HEIGHT + 12)


def _is_on(fiducial: Fiducial, frame: Frame) -> bool:
    """Whether a fiducial begins on the card or just beside it."""
    x, y = frame.to_card(np.array([fiducial.left]))[0]
    return bool(-20 < x < WIDTH and -20 < y < HEIGHT + 20)


def _card(frame: Frame, width: int, height: int) -> Card:
    corners = frame.to_photo(CORNERS)
    area = float(abs(cv2.contourArea(corners.astype(np.float32))))
    photo = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    common, _ = cv2.intersectConvexConvex(corners.astype(np.float32), photo)
    return Card(frame, area, min(1.0, float(common) / max(1.0, area)))


def _largest_group(fiducials: list[Fiducial]) -> list[Fiducial]:
    """The heaviest group of fiducials that stand to one another as on a card."""
    best: list[Fiducial] = []
    most = -1.0
    for seed in fiducials:
        group = _agreeing(seed, fiducials)
        weight = sum(fiducial.weight for fiducial in group)
        if weight > most:
            best, most = group, weight
    return best


def _agreeing(seed: Fiducial, fiducials: list[Fiducial]) -> list[Fiducial]:
    """The fiducials that stand where one of them, with its two ends, foretells; at most one of each name.

    The two ends give a similarity map (turn, scale and shift), computed with complex numbers. It is less exact for
    fiducials farther away.
    """
    position = seed.position
    start, stop = complex(*seed.left), complex(*seed.right)
    if abs(stop - start) < 2 or not seed.has_two_ends:
        return [seed]
    scale = (position.right - position.left) / (stop - start)
    nearest: dict[str, tuple[float, Fiducial]] = {}
    for other in fiducials:
        at = complex(position.left, position.y) + (complex(*other.left) - start) * scale
        off = at - complex(other.position.left, other.position.y)
        apart = abs(other.position.y - position.y) + 0.5 * abs(other.position.left - position.left)
        room = 9 + 0.2 * apart
        # Extra rows push labels apart by up to three rows, never together.
        below = _DEPTH.get(other.label, 0) > _DEPTH.get(seed.label, 0)
        low, high = (-room, room + 3 * PITCH) if below else (-room - 3 * PITCH, room)
        if other.label == seed.label:
            low, high = -room, room
        if abs(off.real) < room and low < off.imag < high:
            miss = abs(off.real) + min(abs(off.imag), abs(off.imag - low), abs(high - off.imag))
            if other.name not in nearest or miss < nearest[other.name][0]:
                nearest[other.name] = (miss, other)
    return [fiducial for _, fiducial in nearest.values()]

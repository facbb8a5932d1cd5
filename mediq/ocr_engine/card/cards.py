"""Telling the cards of one photo apart, and choosing the one to read."""

import cv2
import msgspec
import numpy as np

from mediq.ocr_engine.card.fiducials import anchors_of
from mediq.ocr_engine.card.frame import HEIGHT, NIK_LEFT, NIK_RIGHT, ORDER, PITCH, PLACES, WIDTH, Frame, Mark, fit_frame
from mediq.ocr_engine.card.layout import marks_of
from mediq.ocr_engine.text.detect import Line
from mediq.ocr_engine.text.rows import Row

_LEAST_MARKS = 4
"""Labels that a group needs to count as a card."""

_ROOM = 16.0
"""Card units that a label may be off the frame of the others and still belong to it."""
_HALF_DIGIT = 7.0
"""Card units: half the room of one digit of the NIK."""
_FEW_LABELS = 6
"""Labels that hold a frame, below which other print must help them."""

_DEPTH: dict[str, int] = {name: place for place, name in enumerate(ORDER)} | {"gol_darah": ORDER.index("jenis_kelamin")}
"""How far down the card a label stands."""


class Card(msgspec.Struct, frozen=True):
    """One card in a photo. `area` is in square pixels; `inside` is the share of it that the photo shows."""

    frame: Frame
    area: float
    inside: float

    @property
    def whole(self) -> bool:
        return self.inside > 0.93


def cards_in(rows: list[Row], width: int, height: int) -> list[Card]:
    """The cards among the rows of a photo of that size: found by their labels, and where few of these could be read,
    by what else is printed on every card."""
    labels, lines = marks_of(rows), [row.line for row in rows]
    cards = find_cards(labels, lines, width, height)
    if cards and cards[0].frame.marks >= _FEW_LABELS:
        return cards
    return find_cards([*labels, *anchors_of(rows)], lines, width, height) or cards


def shows_nik(card: Card, width: int, height: int) -> bool:
    """Whether all sixteen digits of the NIK lie in the photo."""
    y = PLACES["nik"].y
    ends = card.frame.to_photo(np.array([(NIK_LEFT + _HALF_DIGIT, y), (NIK_RIGHT - _HALF_DIGIT, y)]))
    return bool((ends >= 0).all() and (ends[:, 0] < width).all() and (ends[:, 1] < height).all())


def find_cards(marks: list[Mark], lines: list[Line], width: int, height: int) -> list[Card]:
    """Group labels into cards and fit a frame to each; the one to read comes first: whole, then large.

    With labels for less than one card, a frame is fitted to what there is.
    """
    cards: list[Card] = []
    left = marks
    while len({mark.name for mark in left}) >= (_LEAST_MARKS if cards else 3):
        group = _largest_group(left)
        frame = fit_frame(group, [])
        # Lines of another card run another way: only those on this one may pull.
        own = [line for line in lines if frame is not None and _holds(frame, line)]
        frame = fit_frame(group, own)
        if frame is not None and (more := _rejoined(group, left, frame)) != group:
            group = more
            frame = fit_frame(group, own)
        if frame is None:
            break
        cards.append(_card(frame, width, height))
        left = [mark for mark in left if mark not in group and not _on(mark, frame)]
        if len(group) < _LEAST_MARKS or len(cards) == 4:
            break
    return sorted(cards, key=lambda card: (card.inside > 0.9, card.area), reverse=True)


def _rejoined(group: list[Mark], marks: list[Mark], frame: Frame) -> list[Mark]:
    """The group, with the labels that one label alone could not foretell but the frame of the others can."""
    names = {mark.name for mark in group}
    more = []
    for mark in marks:
        if mark.name not in names:
            x, y = frame.to_card(np.array([mark.left]))[0]
            shifted = PITCH * frame.shifts.get(mark.row, 0)
            if abs(x - mark.place.left) < _ROOM and abs(y - mark.place.y - shifted) < _ROOM:
                more.append(mark)
    return [*group, *more]


def rows_of(card: Card, rows: list[Row]) -> list[Row]:
    """The rows that stand on a card."""
    return [row for row in rows if _holds(card.frame, row.line)]


def _holds(frame: Frame, line: Line) -> bool:
    x, y = frame.to_card(np.array([(line.x, line.y)]))[0]
    return bool(-10 < x < WIDTH + 10 and -8 < y < HEIGHT + 12)


def _card(frame: Frame, width: int, height: int) -> Card:
    corners = frame.to_photo(np.array([(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)], np.float64))
    area = float(abs(cv2.contourArea(corners.astype(np.float32))))
    photo = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    common, _ = cv2.intersectConvexConvex(corners.astype(np.float32), photo)
    return Card(frame, area, min(1.0, float(common) / max(1.0, area)))


def _on(mark: Mark, frame: Frame) -> bool:
    x, y = frame.to_card(np.array([mark.left]))[0]
    return bool(-20 < x < WIDTH and -20 < y < HEIGHT + 20)


def _largest_group(marks: list[Mark]) -> list[Mark]:
    """The labels that stand to one another as on a card, seen from the label that most agree with."""
    best: list[Mark] = []
    score = -1.0
    for seed in marks:
        group = _agreeing(seed, marks)
        weight = sum(mark.weight for mark in group)
        if weight > score:
            best, score = group, weight
    return best


def _agreeing(seed: Mark, marks: list[Mark]) -> list[Mark]:
    """One label alone fixes where the others must stand, near ones better than far ones."""
    place = seed.place
    start, stop = complex(*seed.left), complex(*seed.right)
    if abs(stop - start) < 2 or not seed.wide:
        return [seed]
    scale = (place.right - place.left) / (stop - start)
    nearest: dict[str, tuple[float, Mark]] = {}
    for mark in marks:
        at = complex(place.left, place.y) + (complex(*mark.left) - start) * scale
        off = at - complex(mark.place.left, mark.place.y)
        apart = abs(mark.place.y - place.y) + 0.5 * abs(mark.place.left - place.left)
        room = 9 + 0.2 * apart
        # Second rows push labels apart by up to three rows, never together.
        below = _DEPTH.get(mark.row, 0) > _DEPTH.get(seed.row, 0)
        low, high = (-room, room + 3 * PITCH) if below else (-room - 3 * PITCH, room)
        if mark.row == seed.row:
            low, high = -room, room
        if abs(off.real) < room and low < off.imag < high:
            miss = abs(off.real) + min(abs(off.imag), abs(off.imag - low), abs(high - off.imag))
            if mark.name not in nearest or miss < nearest[mark.name][0]:
                nearest[mark.name] = (miss, mark)
    return [mark for _, mark in nearest.values()]

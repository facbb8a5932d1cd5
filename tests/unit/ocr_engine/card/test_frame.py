"""The frame is found from labels alone, whatever way the card lies, and whatever rows have moved."""

import cv2
import numpy as np
import pytest

from mediq.ocr_engine.card.cards import find_cards
from mediq.ocr_engine.card.frame import ORDER, PITCH, PLACES, Mark, fit_frame


def seen(
    corners: list[tuple[float, float]], *, moved: dict[str, int] | None = None, names: tuple[str, ...] = ORDER
) -> list[Mark]:
    """The labels of a card whose corners lie at `corners` of a photo; rows after a long value moved down."""
    card = np.array([(0, 0), (500, 0), (500, 315), (0, 315)], np.float32)
    matrix = cv2.getPerspectiveTransform(card, np.array(corners, np.float32))
    marks = []
    shift = 0
    for name in ORDER:
        place = PLACES[name]
        y = place.y + PITCH * shift
        if name in names:
            ends = cv2.perspectiveTransform(np.array([[(place.left, y), (place.right, y)]], np.float64), matrix)[0]
            marks.append(Mark(name, tuple(ends[0]), tuple(ends[1])))
        shift += (moved or {}).get(name, 0)
    return marks


FLAT = [(100.0, 100.0), (1100.0, 100.0), (1100.0, 730.0), (100.0, 730.0)]
LEANING = [(300.0, 100.0), (1150.0, 300.0), (1050.0, 850.0), (120.0, 650.0)]
UPSIDE_DOWN = [(1100.0, 730.0), (100.0, 730.0), (100.0, 100.0), (1100.0, 100.0)]


@pytest.mark.parametrize("corners", [FLAT, LEANING, UPSIDE_DOWN])
@pytest.mark.parametrize("moved", [{}, {"alamat": 1}, {"alamat": 3}, {"nama": 1, "alamat": 2}, {"lahir": 1}])
def test_places_come_back(corners: list[tuple[float, float]], moved: dict[str, int]) -> None:
    marks = seen(corners, moved=moved)
    frame = fit_frame(marks, [])
    assert frame is not None
    assert frame.error < 2
    assert sum(moved.values()) == frame.shifts["berlaku_hingga"]
    found = frame.to_photo(np.array([(0, 0), (500, 0), (500, 315), (0, 315)], np.float64))
    # Labels stand on the left: the far side is known less well without lines of text.
    assert np.hypot(*(found[[0, 3]] - np.array(corners)[[0, 3]]).T).max() < 40


def test_a_wrong_label_is_outweighed() -> None:
    marks = seen(FLAT)
    wrong = [Mark("agama", (900.0, 150.0), (980.0, 150.0)) if mark.name == "agama" else mark for mark in marks]
    frame = fit_frame(wrong, [])
    assert frame is not None
    y = frame.to_card(np.array([marks[0].left]))[0][1]
    assert abs(y - PLACES["nik"].y) < 4


def test_too_few_labels_give_no_frame() -> None:
    assert fit_frame(seen(FLAT, names=("nama", "agama")), []) is None


def test_two_cards_are_told_apart_and_the_larger_comes_first() -> None:
    small = [(100.0, 900.0), (600.0, 900.0), (600.0, 1215.0), (100.0, 1215.0)]
    cards = find_cards([*seen(small), *seen(FLAT)], [], 1300, 1300)
    assert len(cards) == 2
    assert cards[0].area > 3 * cards[1].area
    assert cards[0].whole


def test_a_card_that_leans_far_away_keeps_the_labels_of_its_far_side() -> None:
    # One label alone foretells the others without perspective, and so loses the NIK's first.
    leaning = [(430.0, 95.0), (1035.0, 385.0), (985.0, 845.0), (12.0, 582.0)]
    card = find_cards(seen(leaning), [], 1400, 1035)[0]
    nik = seen(leaning, names=("nik",))[0]
    at = card.frame.to_card(np.array([nik.left]))[0]
    assert abs(at[1] - PLACES["nik"].y) < 5


def test_a_card_cut_off_is_not_whole() -> None:
    cards = find_cards(seen(FLAT), [], 800, 800)
    assert not cards[0].whole

"""The frame is found from labels alone, for cards lying any way, with extra rows, and for two cards at once."""

import cv2
import numpy as np
import pytest

from mediq.ocr_engine.card.find_cards import find_cards
from mediq.ocr_engine.card.fit_frame import fit_frame
from mediq.ocr_engine.card.frame import CORNERS, LABEL_ORDER, LABEL_POSITIONS, PITCH, Fiducial

Corners = list[tuple[float, float]]


def labels_of(
    corners: Corners, *, extra_rows: dict[str, int] | None = None, names: tuple[str, ...] = LABEL_ORDER
) -> list[Fiducial]:
    """The labels of a card with these corners in the photo; `extra_rows` are those of its long values."""
    homography = cv2.getPerspectiveTransform(CORNERS.astype(np.float32), np.array(corners, np.float32))
    labels = []
    above = 0
    for name in LABEL_ORDER:
        position = LABEL_POSITIONS[name]
        y = position.y + PITCH * above
        if name in names:
            on_card = np.array([[(position.left, y), (position.right, y)]], np.float64)
            (left_x, left_y), (right_x, right_y) = cv2.perspectiveTransform(on_card, homography)[0].tolist()
            labels.append(Fiducial(name, (left_x, left_y), (right_x, right_y)))
        above += (extra_rows or {}).get(name, 0)
    return labels


FLAT = [(100.0, 100.0), (1100.0, 100.0), (1100.0, 730.0), (100.0, 730.0)]
LEANING = [(300.0, 100.0), (1150.0, 300.0), (1050.0, 850.0), (120.0, 650.0)]
UPSIDE_DOWN = [(1100.0, 730.0), (100.0, 730.0), (100.0, 100.0), (1100.0, 100.0)]


@pytest.mark.parametrize("corners", [FLAT, LEANING, UPSIDE_DOWN])
@pytest.mark.parametrize("extra_rows", [{}, {"alamat": 1}, {"alamat": 3}, {"nama": 1, "alamat": 2}, {"lahir": 1}])
def test_the_corners_and_the_extra_rows_are_recovered(corners: Corners, extra_rows: dict[str, int]) -> None:
    frame = fit_frame(labels_of(corners, extra_rows=extra_rows), [])
    assert frame is not None
    assert frame.error < 2
    assert sum(extra_rows.values()) == frame.extra_rows["berlaku_hingga"]
    found = frame.to_photo(CORNERS)
    # Labels stand on the left, so without other print the right side is known less well.
    assert np.hypot(*(found[[0, 3]] - np.array(corners)[[0, 3]]).T).max() < 40


def test_one_misplaced_label_does_not_disturb_the_frame() -> None:
    labels = labels_of(FLAT)
    misplaced = Fiducial("agama", (900.0, 150.0), (980.0, 150.0))
    frame = fit_frame([misplaced if label.name == "agama" else label for label in labels], [])
    assert frame is not None
    y = frame.to_card(np.array([labels[0].left]))[0][1]
    assert abs(y - LABEL_POSITIONS["nik"].y) < 4


def test_too_few_labels_give_no_frame() -> None:
    assert fit_frame(labels_of(FLAT, names=("nama", "agama")), []) is None


def test_two_cards_are_told_apart_and_the_larger_comes_first() -> None:
    small = [(100.0, 900.0), (600.0, 900.0), (600.0, 1215.0), (100.0, 1215.0)]
    cards = find_cards([*labels_of(small), *labels_of(FLAT)], [], 1300, 1300)
    assert len(cards) == 2
    assert cards[0].area > 3 * cards[1].area
    assert cards[0].whole


def test_a_strongly_leaning_card_keeps_the_labels_of_its_far_side() -> None:
    # Grouping by one label ignores perspective, so the label of the NIK is lost at first.
    leaning = [(430.0, 95.0), (1035.0, 385.0), (985.0, 845.0), (12.0, 582.0)]
    card = find_cards(labels_of(leaning), [], 1400, 1035)[0]
    nik = labels_of(leaning, names=("nik",))[0]
    at = card.frame.to_card(np.array([nik.left]))[0]
    assert abs(at[1] - LABEL_POSITIONS["nik"].y) < 5


def test_a_card_that_reaches_out_of_the_photo_is_not_whole() -> None:
    cards = find_cards(labels_of(FLAT), [], 800, 800)
    assert not cards[0].whole

"""Sorted tuples of places, compared with a plain sorted list."""

from bisect import bisect_right
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediq.actors.queue.rules.sorted_tickets import Place, Places, by_turn, index, insert, remove
from mediq.actors.queue.rules.ticket import Priority
from tests.fixtures.queue.journal import MORNING


def place(name: str, minutes: int) -> Place:
    """A waiting place; places of the same minute have the same key."""
    turn = MORNING + timedelta(minutes=minutes)
    return Place(ticket_id=name, priority=Priority.NORMAL, turn=turn, since=turn, order=0)


@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 99)), max_size=120))
def test_places_stay_in_the_order_of_a_sorted_list(steps: list[tuple[bool, int, int]]) -> None:
    plain: list[Place] = []
    places: Places = ()
    for number, (comes, minutes, which) in enumerate(steps):
        if comes or not plain:
            new = place(f"t{number}", minutes)
            plain.insert(bisect_right(plain, by_turn(new), key=by_turn), new)
            places = insert(places, new, by_turn)
        else:
            places = remove(places, plain.pop(which % len(plain)), by_turn)
        assert list(places) == plain
        assert [index(places, each, by_turn) for each in plain] == list(range(len(plain)))


@given(minutes=st.lists(st.integers(0, 5), max_size=30).map(sorted), missing=st.integers(0, 5))
def test_an_unknown_place_is_not_found(minutes: list[int], missing: int) -> None:
    places = tuple(place(f"t{number}", each) for number, each in enumerate(minutes))
    stranger = place("stranger", missing)
    with pytest.raises(KeyError):
        index(places, stranger, by_turn)
    with pytest.raises(KeyError):
        remove(places, stranger, by_turn)

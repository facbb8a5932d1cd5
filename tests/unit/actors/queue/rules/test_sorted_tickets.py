"""A row of places beside a plain sorted list, which is what it stands for."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediq.actors.queue.rules import sorted_tickets as row
from mediq.actors.queue.rules.sorted_tickets import Place, Row, by_turn
from mediq.actors.queue.rules.ticket import Priority
from tests.fixtures.queue.journal import MORNING


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row, "_BLOCK", 4)
        yield


def place(name: str, minutes: int) -> Place:
    """Many share their key."""
    turn = MORNING + timedelta(minutes=minutes)
    return Place(ticket_id=name, priority=Priority.NORMAL, turn=turn, since=turn, order=0)


@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 99)), max_size=120))
def test_it_is_what_a_sorted_list_would_be(steps: list[tuple[bool, int, int]]) -> None:
    plain: list[Place] = []
    places, before = Row(by_turn), list[tuple[Row, list[Place]]]()
    for number, (comes, minutes, which) in enumerate(steps):
        before.append((places, list(plain)))
        if comes or not plain:
            new = place(f"t{number}", minutes)
            plain.insert(bisect_right(plain, by_turn(new), key=by_turn), new)
            places = places.add(new)
        else:
            places = places.remove(plain.pop(which % len(plain)))
        assert list(places) == plain
        assert len(places) == len(plain)
        assert (places.first, places.last) == ((plain[0], plain[-1]) if plain else (None, None))
        assert [places.index(each) for each in plain] == list(range(len(plain)))
        assert places == Row(by_turn, plain)
    for earlier, then in before:
        assert list(earlier) == then, "a change has changed the row that it was made from"


@given(minutes=st.lists(st.integers(0, 5), max_size=30).map(sorted), missing=st.integers(0, 5))
def test_who_is_not_there_is_not_found(minutes: list[int], missing: int) -> None:
    places = Row(by_turn, [place(f"t{number}", each) for number, each in enumerate(minutes)])
    stranger = place("stranger", missing)
    with pytest.raises(KeyError):
        places.index(stranger)
    with pytest.raises(KeyError):
        places.remove(stranger)

"""The sliding-window counter: this window counts in full, the previous one by the part that is still covered."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediq.http.sliding_window_counter import SlidingWindowCounter

LENGTH = 60.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000 * LENGTH

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_calls_beyond_the_limit_of_a_window_are_refused(clock: Clock) -> None:
    windows = SlidingWindowCounter(LENGTH, clock)
    found = [windows.count("a", 3) for _ in range(4)]
    assert [(each.allowed, each.left) for each in found] == [(True, 2), (True, 1), (True, 0), (False, 0)]
    assert windows.count("b", 3).left == 2, "each for themselves"


def test_a_check_without_a_hit_counts_nothing(clock: Clock) -> None:
    windows = SlidingWindowCounter(LENGTH, clock)
    assert windows.count("a", 1, hit=False) == windows.count("a", 1, hit=False)
    assert windows.count("a", 1, hit=False).allowed
    assert windows.count("a", 1).allowed
    assert not windows.count("a", 1, hit=False).allowed


def test_the_previous_window_counts_less_and_less(clock: Clock) -> None:
    windows = SlidingWindowCounter(LENGTH, clock)
    for _ in range(4):
        windows.count("a", 4)
    clock.now += LENGTH
    assert not windows.count("a", 4).allowed, "nobody doubles the limit at the turn of a window"
    clock.now += LENGTH / 2
    assert [windows.count("a", 4).allowed for _ in range(3)] == [True, True, False]
    clock.now += 2 * LENGTH
    assert windows.count("a", 4).left == 3, "two windows later nothing is left of it"


def test_refused_calls_do_not_count(clock: Clock) -> None:
    windows = SlidingWindowCounter(LENGTH, clock)
    for _ in range(100):
        windows.count("a", 4)
    clock.now += 1.5 * LENGTH
    assert windows.count("a", 4).left == 1


def test_old_windows_are_forgotten(clock: Clock) -> None:
    windows = SlidingWindowCounter(LENGTH, clock)
    for number in range(1000):
        windows.count(f"caller {number}", 1)
    clock.now += LENGTH
    windows.count("a", 2)
    clock.now += LENGTH
    windows.count("a", 2)
    assert sum(map(len, (windows._calls, windows._before))) == 2


@given(
    limit=st.integers(1, 20),
    steps=st.lists(st.tuples(st.floats(0.0, LENGTH), st.integers(1, 30)), min_size=1, max_size=8),
)
def test_a_caller_that_waits_as_told_is_allowed(limit: int, steps: list[tuple[float, int]]) -> None:
    clock = Clock()
    windows = SlidingWindowCounter(LENGTH, clock)
    for seconds, calls in steps:
        clock.now += seconds
        found = [windows.count("a", limit) for _ in range(calls)][-1]
        if not found.allowed:
            assert 0 <= found.seconds <= LENGTH
            clock.now += found.seconds + 1e-6
            assert windows.count("a", limit, hit=False).allowed
        else:
            assert found.left < limit
            clock.now += math.ceil(found.seconds) + 1e-6
            assert windows.count("a", limit, hit=False).left > found.left

"""Sliding-window counter: limits the calls of a caller within any window of time.

The calls of the previous fixed window count by the part of that window which the sliding window still covers, as if
they had come evenly. The counter needs two numbers a caller, and errs by little.
"""

import time
from collections.abc import Callable

import msgspec


class WindowCount(msgspec.Struct, frozen=True):
    """The result of a count: was the call `allowed`, how many are `left`, in how many `seconds` there is one more."""

    allowed: bool
    left: int
    seconds: float


def window_count(allowed: bool, limit: int, calls: int, before: int, rest: float, length: float) -> WindowCount:
    """The result for `calls` in this window and `before` in the previous one; `rest` of the `length` seconds remain."""
    taken = min(limit, int(before * rest / length + calls))
    seconds = rest if taken else 0.0
    if taken > calls:  # calls of the previous window are counting less already
        seconds -= (taken - calls) * length / before
    return WindowCount(allowed, limit - taken, seconds)


class SlidingWindowCounter:
    """Counts the calls that this process has seen, and forgets those older than two windows.

    `seconds` is the length of a window; `clock` gives monotonic seconds.

        counter = SlidingWindowCounter(60)
        counter.count("address:203.0.113.7", limit=100).allowed
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._number = 0
        self._calls: dict[str, int] = {}
        self._before: dict[str, int] = {}

    def count(self, caller: str, limit: int, *, hit: bool = True) -> WindowCount:
        """Whether `caller` may call, with at most `limit` calls in any window; counts the call if `hit`."""
        number, passed = divmod(self._clock(), self._seconds)
        if number != self._number:
            self._before = self._calls if number == self._number + 1 else {}
            self._calls = {}
            self._number = int(number)
        rest = self._seconds - passed
        calls, before = self._calls.get(caller, 0), self._before.get(caller, 0)
        allowed = before * rest / self._seconds + calls < limit
        if allowed and hit:
            calls += 1
            self._calls[caller] = calls
        return window_count(allowed, limit, calls, before, rest, self._seconds)

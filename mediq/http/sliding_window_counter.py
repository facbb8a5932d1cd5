"""Calls counted in windows of time, each of them with what is left of the window before.

A sliding window counter: the calls of the window before count by the part of it that the last so many seconds still
cover, as if they had come evenly. It needs two numbers a caller, and errs by little.
"""

import time
from collections.abc import Callable

import msgspec


class WindowCount(msgspec.Struct, frozen=True):
    """Whether a call was let through, how many more may come now, and in how many seconds there will be one more."""

    allowed: bool
    left: int
    seconds: float


def window_count(allowed: bool, limit: int, calls: int, before: int, rest: float, length: float) -> WindowCount:
    """What follows from so many `calls` in a window with `rest` of its `length` to come, and `before` in the last."""
    taken = min(limit, int(before * rest / length + calls))
    seconds = rest if taken else 0.0
    if taken > calls:  # those of the window before fade already
        seconds -= (taken - calls) * length / before
    return WindowCount(allowed, limit - taken, seconds)


class SlidingWindowCounter:
    """The calls that this process alone has seen; what is two windows old is forgotten.

    `seconds` is a window's length; `clock` gives seconds that only grow.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._number = 0
        self._calls: dict[str, int] = {}
        self._before: dict[str, int] = {}

    def count(self, caller: str, limit: int, *, hit: bool = True) -> WindowCount:
        """Whether `caller`, of whom `limit` calls are let through in any window, may call; counts it if `hit`."""
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

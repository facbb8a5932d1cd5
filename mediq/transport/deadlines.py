"""One timer for many deadlines, nearly all of which are met long before they expire."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

_GRAIN: Final = 0.01
"""Least seconds between two checks: a wait ends at most this much late."""


class Deadlines:
    """Checks all waits when the nearest deadline comes. One timer for each wait would nearly always be cancelled.

    `check(now)` ends the waits whose deadline has passed and returns the nearest deadline of the others, infinity if
    there is none. Times are seconds of `clock`.
    """

    def __init__(self, check: Callable[[float], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._check = check
        self._clock = clock
        self._nearest = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def add(self, deadline: float) -> None:
        """Check no later than `deadline`."""
        if deadline < self._nearest:
            self._set(deadline, self._clock())

    def clear(self) -> None:
        """Stop the timer: there are no waits left."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._nearest = math.inf

    def _set(self, deadline: float, now: float) -> None:
        self.clear()
        self._nearest = deadline
        self._timer = asyncio.get_running_loop().call_later(deadline - now, self._expire)

    def _expire(self) -> None:
        self.clear()
        now = self._clock()
        nearest = self._check(now)
        if nearest < self._nearest:  # `_nearest` is infinity, unless `check` added a deadline
            self._set(max(nearest, now + _GRAIN), now)

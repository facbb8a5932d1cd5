"""One timer for many deadlines, of which nearly all are met long before they come."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

_GRAIN: Final = 0.01
"""The least seconds between two looks, and so the most by which a wait ends late."""


class Deadlines:
    """Looks at all who wait when the nearest of their deadlines comes: a timer each would be made to be cancelled.

    `look(now)` ends the wait of those whose time has come, and returns the nearest deadline of the others, infinity if
    there is none. Times are seconds of `clock`.
    """

    def __init__(self, look: Callable[[float], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._clock = clock
        self._nearest = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def add(self, deadline: float) -> None:
        """Look no later than then."""
        if deadline < self._nearest:
            self._set(deadline, self._clock())

    def clear(self) -> None:
        """Nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._nearest = math.inf

    def _set(self, deadline: float, now: float) -> None:
        self.clear()
        self._nearest = deadline
        self._timer = asyncio.get_running_loop().call_later(deadline - now, self._ring)

    def _ring(self) -> None:
        self.clear()
        now = self._clock()
        nearest = self._look(now)
        if nearest < self._nearest:  # infinity, unless `look` has let someone in
            self._set(max(nearest, now + _GRAIN), now)

"""The asks of a process that wait for their replies, and until when each of them does."""

import asyncio
import math
from typing import Final

from mediq.messages.errors import Expired, Fault
from mediq.transport.base import Delivery
from mediq.transport.envelope import Envelope

_GRAIN: Final = 0.01
"""The least seconds between two looks at the deadlines, and so the most by which an ask ends late."""


class Replies:
    """The future of each reply, by the id of its ask.

    One timer serves all deadlines: nearly every ask is answered long before its own, so that a timer each would be
    made in order to be cancelled. It is set for the nearest deadline of those that wait, and looks at them all.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[float, asyncio.Future[Envelope]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = math.inf

    def __len__(self) -> int:
        return len(self._waiting)

    def expect(self, ask: str, seconds: float) -> asyncio.Future[Envelope]:
        """The reply to an ask, or Expired after so many seconds. Whoever waited forgets it, however it came out."""
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Envelope] = loop.create_future()
        deadline = loop.time() + seconds
        self._waiting[ask] = deadline, reply
        if deadline < self._next:
            self._look_at(deadline)
        return reply

    def forget(self, ask: str) -> None:
        self._waiting.pop(ask, None)

    def take(self, delivery: Delivery) -> None:
        """Hand an answer to whoever waits for it; for one that comes too late, or twice, nobody does."""
        answer = delivery.envelope
        found = self._waiting.get(answer.correlation_id or "")
        if found is not None and not found[1].done():
            found[1].set_result(answer)

    def fail(self, error: type[Fault]) -> None:
        """Let nobody wait any longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._next = math.inf
        for _, reply in self._waiting.values():
            _fail(reply, error)

    def _look_at(self, time: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = time
        self._timer = asyncio.get_running_loop().call_at(time, self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        self._next = math.inf
        nearest = math.inf
        for deadline, reply in self._waiting.values():
            if deadline <= now:
                _fail(reply, Expired)
            else:
                nearest = min(nearest, deadline)
        if nearest < math.inf:
            self._look_at(max(nearest, now + _GRAIN))


def _fail(reply: asyncio.Future[Envelope], error: type[Fault]) -> None:
    if not reply.done():
        reply.set_exception(error())
        reply.exception()  # counts as seen: whoever asked may be cancelled in this very turn, or wait for room yet

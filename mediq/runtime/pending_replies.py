"""The asks of a process that wait for their replies, and until when each of them does."""

import asyncio
import math
import time

from mediq.messages.errors import Expired, Fault
from mediq.transport.base import Delivery
from mediq.transport.deadlines import Deadlines
from mediq.transport.envelope import Envelope


class Replies:
    """The future of each reply, by the id of its ask."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[float, asyncio.Future[Envelope]]] = {}
        self._deadlines = Deadlines(self._look)

    def __len__(self) -> int:
        return len(self._waiting)

    def expect(self, ask: str, seconds: float) -> asyncio.Future[Envelope]:
        """The reply to an ask, or Expired after so many seconds. Whoever waited forgets it, however it came out."""
        reply: asyncio.Future[Envelope] = asyncio.get_running_loop().create_future()
        deadline = time.monotonic() + seconds
        self._waiting[ask] = deadline, reply
        self._deadlines.add(deadline)
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
        self._deadlines.clear()
        for _, reply in self._waiting.values():
            _fail(reply, error)

    def _look(self, now: float) -> float:
        nearest = math.inf
        for deadline, reply in self._waiting.values():
            if deadline <= now:
                _fail(reply, Expired)
            else:
                nearest = min(nearest, deadline)
        return nearest


def _fail(reply: asyncio.Future[Envelope], error: type[Fault]) -> None:
    if not reply.done():
        reply.set_exception(error())
        reply.exception()  # counts as seen: whoever asked may be cancelled in this very turn, or wait for room yet

"""The asks of a process that still wait for a reply, each with its deadline."""

import asyncio
import math
import time

from mediq.messages.errors import Expired, Fault
from mediq.transport.base import Delivery
from mediq.transport.deadlines import Deadlines
from mediq.transport.envelope import Envelope


class PendingReplies:
    """One future for each reply that is still awaited, found by the id of its ask."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[float, asyncio.Future[Envelope]]] = {}
        self._deadlines = Deadlines(self._expire)

    def __len__(self) -> int:
        return len(self._waiting)

    def expect(self, ask_id: str, seconds: float) -> asyncio.Future[Envelope]:
        """Return the future of a reply; it raises Expired after `seconds`. The caller must call `forget` afterwards."""
        reply: asyncio.Future[Envelope] = asyncio.get_running_loop().create_future()
        deadline = time.monotonic() + seconds
        self._waiting[ask_id] = deadline, reply
        self._deadlines.add(deadline)
        return reply

    def forget(self, ask_id: str) -> None:
        """Stop waiting for the reply to an ask."""
        self._waiting.pop(ask_id, None)

    def receive(self, delivery: Delivery) -> None:
        """Pass a reply to its ask. A reply that is late, or comes twice, is dropped."""
        reply = delivery.envelope
        found = self._waiting.get(reply.correlation_id or "")
        if found is not None and not found[1].done():
            found[1].set_result(reply)

    def fail(self, error: type[Fault]) -> None:
        """Raise `error` in every ask that still waits."""
        self._deadlines.clear()
        for _, reply in self._waiting.values():
            _fail(reply, error)

    def _expire(self, now: float) -> float:
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
        reply.exception()  # mark as retrieved: the asker may be cancelled in this turn, or still wait for room

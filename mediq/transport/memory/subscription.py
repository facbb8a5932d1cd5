"""A subscription of the in-memory transport: events that match a topic pattern, up to a limit."""

import asyncio
import re
from collections import deque
from typing import TYPE_CHECKING

from mediq.observability import metrics
from mediq.transport.base import Binding, OnEvent
from mediq.transport.envelope import decode_frame

if TYPE_CHECKING:
    from mediq.transport.memory.transport import MemoryBroker


class Subscription(Binding):
    """Passes matching events to `on_event` in the next turn of the loop; the oldest are lost above the limit."""

    def __init__(self, pattern: str, on_event: OnEvent, broker: "MemoryBroker") -> None:
        self._topics = _compile(pattern)
        self._on_event = on_event
        self._broker = broker
        self._pending: deque[tuple[str, bytes]] = deque()
        self._scheduled = False

    def matches(self, topic: str) -> bool:
        """Whether the subscription's pattern matches a topic."""
        return self._topics.fullmatch(topic + ".") is not None

    def put(self, topic: str, frame: bytes) -> None:
        """Queue an event for `on_event`."""
        if len(self._pending) >= self._broker.event_capacity:
            lost, _ = self._pending.popleft()
            metrics.events_dropped.labels(lost).inc()
        self._pending.append((topic, frame))
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        while self._pending:
            for envelope in decode_frame(self._pending.popleft()[1]):
                self._on_event(envelope)

    async def close(self) -> None:
        self._pending.clear()
        if self in self._broker.subscriptions:
            self._broker.subscriptions.remove(self)


def _compile(pattern: str) -> re.Pattern[str]:
    """Turn an AMQP topic pattern into a regular expression for topics that have a dot after every word."""
    expressions = {"*": r"[^.]+\.", "#": r"(?:[^.]+\.)*"}
    return re.compile("".join(expressions.get(word) or re.escape(word) + r"\." for word in pattern.split(".")))

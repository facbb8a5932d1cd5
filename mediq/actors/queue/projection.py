"""The gateway's projection of the queue: a fold of its events, so that boards cost the queue service nothing."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from mediq.actors.queue.messages import GetEvents, GetSnapshot
from mediq.actors.queue.rules import queue
from mediq.actors.queue.rules.events import Recorded
from mediq.actors.queue.rules.state import Queue
from mediq.messages.errors import DomainError, Fault
from mediq.observability import logging
from mediq.runtime.bus import Bus

_log = logging.logger("projection")
_LOOK_AGAIN: Final = 5.0
"""Seconds after which to ask for events that no later event has shown to be missing."""
_MOST_EARLY: Final = 10_000


class QueueProjection:
    """Follows the queue's published events, and asks for those that were missed or came out of order.

    `on_event` is called with every event, once and in the order of versions, after `state` includes it;
    `on_snapshot` when events were lost for good and `state` has jumped.
    """

    def __init__(self, bus: Bus, *, on_event: Callable[[Recorded], None], on_snapshot: Callable[[], None]) -> None:
        self.state: Queue | None = None
        self._bus = bus
        self._on_event = on_event
        self._on_snapshot = on_snapshot
        self._early: dict[int, Recorded] = {}
        self._gap = asyncio.Event()

    async def run(self) -> None:
        """Follow until cancelled; while the queue service is away, the copy stays as it was."""
        binding = await self._bus.subscribe("queue.*", self._receive)
        try:
            while True:
                await self._look()
        finally:
            await binding.close()

    async def _look(self) -> None:
        """Catch up, then wait until a gap shows or it is time to look again."""
        self._gap.clear()
        try:
            await self._catch_up()
        except (DomainError, Fault) as error:
            _log.warning("queue not reached", error=str(error))
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AGAIN):
                await self._gap.wait()

    async def _catch_up(self) -> None:
        while self.state is not None:
            asked = self.state.version  # events may come in while the answer is on its way
            missed = await self._bus.ask(GetEvents(after_version=asked))
            if missed.trimmed or missed.version < asked:
                break  # those events are gone, or the log is another one, as after a restore
            for recorded in missed.events:
                self._receive(recorded)
            if not missed.events:
                return
        snapshot = await self._bus.ask(GetSnapshot())
        self.state = queue.load(snapshot.state)
        self._on_snapshot()
        self._take_early()

    def _receive(self, recorded: Recorded) -> None:
        if self.state is not None and recorded.version == self.state.version + 1:
            self._apply(recorded)
            self._take_early()
        elif self.state is None or recorded.version > self.state.version:
            if len(self._early) < _MOST_EARLY:
                self._early[recorded.version] = recorded
            self._gap.set()

    def _apply(self, recorded: Recorded) -> None:
        assert self.state is not None
        self.state = queue.evolve(self.state, recorded)
        self._on_event(recorded)

    def _take_early(self) -> None:
        assert self.state is not None
        while (recorded := self._early.pop(self.state.version + 1, None)) is not None:
            self._apply(recorded)
        for version in [v for v in self._early if v <= self.state.version]:
            del self._early[version]

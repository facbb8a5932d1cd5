"""The gateway's copy of the queue, followed over a bus whose events and answers cross each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from mediq.actors.queue import messages as wire
from mediq.actors.queue.projection import QueueProjection
from mediq.actors.queue.rules import queue
from mediq.runtime.actor import Actor, handles
from mediq.runtime.bus import Bus
from mediq.runtime.context import Context
from tests.fixtures.queue.journal import Journal
from tests.fixtures.runtime import AT_ONCE, Application, settle, until


class Following:
    """A projection and what it has told: the versions of its events, and how often it jumped."""

    def __init__(self, bus: Bus) -> None:
        self.versions: list[int] = []
        self.jumps = 0
        self.projection = QueueProjection(
            bus, on_event=lambda recorded: self.versions.append(recorded.version), on_snapshot=self._jumped
        )

    def _jumped(self) -> None:
        self.jumps += 1

    @property
    def version(self) -> int:
        return self.projection.state.version if self.projection.state is not None else -1


class BusyQueue(Actor):
    """Answers from a journal; while an answer about events is on its way, more of them come to `following`."""

    name = "queue"

    def __init__(self, bus: Bus, journal: Journal) -> None:
        super().__init__(bus)
        self.journal = journal
        self.following: Following | None = None
        self.meanwhile = 0

    @handles(wire.GetSnapshot)
    async def snapshot(self, message: wire.GetSnapshot, context: Context) -> wire.QueueSnapshot:
        return wire.QueueSnapshot(version=self.journal.queue.version, state=queue.dump(self.journal.queue))

    @handles(wire.GetEvents)
    async def events(self, message: wire.GetEvents, context: Context) -> wire.EventList:
        log = self.journal.log
        answer = wire.EventList(version=len(log), events=tuple(log[message.after_version :]))
        for recorded in log[message.after_version :]:
            await self.bus.publish(recorded, topic=wire.topic_of(recorded))
        while self.meanwhile:
            self.meanwhile -= 1
            self.journal.add()
            await self.bus.publish(log[-1], topic=wire.topic_of(log[-1]))
        following = self.following
        assert following is not None
        await until(lambda: following.version == len(log))
        return answer


@pytest.fixture
async def application() -> AsyncIterator[Application]:
    application = Application()
    application.bus = Bus(
        application.transport, {"queue": "queue", "gateway": "gateway"}, retry=AT_ONCE, clock=application.clock
    )
    async with application:
        yield application


async def test_events_that_come_in_while_it_asks_are_no_reason_to_jump(application: Application) -> None:
    service = BusyQueue(application.bus, Journal())
    await application.add_actor(service)
    service.following = following = Following(application.bus)
    task = asyncio.create_task(following.projection.run())
    await until(lambda: following.jumps == 1)
    service.journal.add()  # nobody tells it of this one
    service.journal.add()
    service.meanwhile = 3
    await application.bus.publish(service.journal.log[-1], topic=wire.topic_of(service.journal.log[-1]))
    await until(lambda: following.version == 5)
    await settle()  # the answer arrives after them
    assert (following.versions, following.jumps) == ([1, 2, 3, 4, 5], 1)
    assert following.projection.state == service.journal.queue
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

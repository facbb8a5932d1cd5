"""The gateway's projection of the queue, while events and answers cross each other on the bus."""

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


class Follower:
    """A projection, the versions of the events that it reported, and the number of its jumps to a snapshot."""

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
    """A queue service over a journal. It publishes further events while its answer to `GetEvents` is on its way."""

    name = "queue"

    def __init__(self, bus: Bus, journal: Journal) -> None:
        super().__init__(bus)
        self.journal = journal
        self.follower: Follower | None = None
        self.meanwhile = 0
        """The number of tickets to issue during the next answer."""

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
        follower = self.follower
        assert follower is not None
        await until(lambda: follower.version == len(log))
        return answer


@pytest.fixture
async def application() -> AsyncIterator[Application]:
    application = Application()
    application.bus = Bus(
        application.transport, {"queue": "queue", "gateway": "gateway"}, retry=AT_ONCE, clock=application.clock
    )
    async with application:
        yield application


async def test_events_during_a_request_for_events_cause_no_jump(application: Application) -> None:
    service = BusyQueue(application.bus, Journal())
    await application.add_actor(service)
    service.follower = follower = Follower(application.bus)
    task = asyncio.create_task(follower.projection.run())
    await until(lambda: follower.jumps == 1)
    service.journal.add()  # this event is not published
    service.journal.add()
    service.meanwhile = 3
    await application.bus.publish(service.journal.log[-1], topic=wire.topic_of(service.journal.log[-1]))
    await until(lambda: follower.version == 5)
    await settle()  # the answer arrives after the events
    assert (follower.versions, follower.jumps) == ([1, 2, 3, 4, 5], 1)
    assert follower.projection.state == service.journal.queue
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

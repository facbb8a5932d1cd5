"""Bus, cells and supervisor together, as in a process."""

import asyncio
from typing import Any

import pytest

from mediq.messages.errors import Unavailable
from mediq.runtime.bus import Bus
from mediq.runtime.cell import ActorCell
from mediq.runtime.context import Context
from mediq.runtime.supervisor import Child, ChildSpec, Escalated, Intensity, Strategy, Supervisor
from mediq.transport.memory import MemoryBroker, MemoryTransport
from tests.fixtures.runtime import AT_ONCE, Clock, Echo, Echoed, Scripted, settle, until


class Frail(Scripted):
    """An actor whose background work fails when told to."""

    concurrency = 1

    def __init__(self, bus: Bus, script: Any) -> None:
        super().__init__(bus, script)
        self.breakdown = asyncio.Event()

    async def run(self) -> None:
        await self.breakdown.wait()
        raise OSError("the disk is gone")


class Process:
    """Bus and one actor under a supervisor, over a transport."""

    def __init__(self, script: Any, *, intensity: Intensity | None = None) -> None:
        self.clock = Clock()
        self.broker = MemoryBroker(clock=self.clock)
        self.transport = MemoryTransport(self.broker)
        self.bus = Bus(self.transport, {"test": "test"}, retry=AT_ONCE, clock=self.clock)
        self.actors: list[Frail] = []
        self.script = script
        self.supervisor = Supervisor(
            "top",
            [ChildSpec(name="bus", factory=lambda: self.bus), ChildSpec(name="actor", factory=self._actor)],
            Strategy.REST_FOR_ONE,
            intensity=intensity,
            sleep=lambda seconds: asyncio.sleep(0),
            clock=self.clock,
        )

    def _actor(self) -> Child:
        actor = Frail(self.bus, self.script)
        self.actors.append(actor)
        return ActorCell(actor, self.transport, "test", retry=AT_ONCE, clock=self.clock)

    async def start(self) -> asyncio.Task[None]:
        await self.transport.start()
        await self.supervisor.start()
        return asyncio.create_task(self.supervisor.run())


class Gated:
    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun: list[tuple[str, int]] = []

    async def __call__(self, message: Any, context: Context) -> Echoed:
        self.begun.append((message.text, context.attempt))
        await self.gate.wait()
        return Echoed(message.text)


async def test_asks_survive_a_crash_of_the_actor_that_handles_them() -> None:
    process = Process(script := Gated())
    running = await process.start()
    asks = [asyncio.create_task(process.bus.ask(Echo(text=str(n)))) for n in range(4)]
    await until(lambda: script.begun == [("0", 1)])
    process.actors[0].breakdown.set()
    await until(lambda: script.begun == [("0", 1), ("0", 1)])
    script.gate.set()
    assert [(await ask).text for ask in asks] == ["0", "1", "2", "3"]
    assert [text for text, _ in script.begun] == ["0", "0", "1", "2", "3"]
    assert len(process.actors) == 2
    assert process.actors[0].journal == ["on_start", "on_stop"]
    await process.supervisor.stop()
    await running
    await process.transport.stop()


async def test_a_stop_finishes_the_messages_that_were_received() -> None:
    process = Process(script := Gated())
    running = await process.start()
    ask = asyncio.create_task(process.bus.ask(Echo(text="x")))
    await until(lambda: len(script.begun) == 1)
    await process.supervisor.stop()
    await settle()
    assert not running.done()
    script.gate.set()
    assert await ask == Echoed("x")
    await running
    await process.transport.stop()


async def test_a_supervisor_that_escalates_fails_every_pending_ask() -> None:
    process = Process(script := Gated(), intensity=Intensity(restarts=0))
    running = await process.start()
    ask = asyncio.create_task(process.bus.ask(Echo(text="x")))
    await until(lambda: len(script.begun) == 1)
    process.actors[0].breakdown.set()
    with pytest.raises(Escalated):
        await running
    with pytest.raises(Unavailable):
        await ask
    await process.transport.stop()


async def test_a_restarted_bus_gets_each_reply_once() -> None:
    script = Gated()
    script.gate.set()
    process = Process(script)
    running = await process.start()
    await process.bus.stop()  # a permanent child: it is restarted, and the actor with it
    await until(lambda: len(process.actors) == 2)
    await settle()
    assert await process.bus.ask(Echo(text="x")) == Echoed("x")
    assert len(script.begun) == 1
    await process.supervisor.stop()
    await running
    await process.transport.stop()

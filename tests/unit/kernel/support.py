"""A small house for the kernel's tests: a clock by hand, messages of their own, actors that follow a script."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from mediq.kernel.actor import Actor, handles
from mediq.kernel.breaker import BreakerPolicy
from mediq.kernel.bus import Bus
from mediq.kernel.cell import ActorCell
from mediq.kernel.context import Context, current
from mediq.kernel.retry import RetryPolicy
from mediq.messages.registry import Event, Request, event, request
from mediq.transport.base import Binding, Delivery, OnDelivery, OnEvent, Transport
from mediq.transport.envelope import Envelope, Kind, new_id
from mediq.transport.memory import MemoryBroker, MemoryTransport

AT_ONCE = RetryPolicy(attempts=3, initial=0.0, jitter=0.0)


class Echoed(msgspec.Struct, frozen=True):
    text: str
    by: str = ""


@request("test.echo", service="test")
class Echo(Request[Echoed], frozen=True, kw_only=True):
    """Not to be repeated without a key."""

    text: str = ""


@request("test.look", service="test", idempotent=True)
class Look(Request[Echoed], frozen=True, kw_only=True):
    """May be repeated."""

    text: str = ""


@request("other.echo", service="other")
class OtherEcho(Request[Echoed], frozen=True, kw_only=True):
    text: str = ""


@event("test.happened")
class Happened(Event, frozen=True, kw_only=True):
    text: str = ""


class Clock:
    """Seconds that pass when told to."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


Script = Callable[[Any, Context], Awaitable[Any]]


async def echo(message: Any, context: Context) -> Echoed:
    return Echoed(message.text)


class Scripted(Actor):
    """Answers every message as its script says."""

    name = "test"

    def __init__(self, bus: Bus, script: Script = echo) -> None:
        super().__init__(bus)
        self.script = script
        self.journal: list[str] = []

    @handles(Echo)
    async def echo(self, message: Echo, context: Context) -> Echoed:
        return await self._follow(message, context)

    @handles(Look)
    async def look(self, message: Look, context: Context) -> Echoed:
        return await self._follow(message, context)

    async def _follow(self, message: Any, context: Context) -> Echoed:
        answer: Echoed = await self.script(message, context)
        return answer

    async def on_start(self) -> None:
        self.journal.append("on_start")

    async def on_stop(self) -> None:
        self.journal.append("on_stop")


class Other(Actor):
    name = "other"

    def __init__(self, bus: Bus, script: Script = echo) -> None:
        super().__init__(bus)
        self.script = script

    @handles(OtherEcho)
    async def other(self, message: OtherEcho, context: Context) -> Echoed:
        answer: Echoed = await self.script(message, context)
        return answer


class House:
    """A bus over the in-memory transport, and the actors that are taken on."""

    def __init__(
        self,
        *,
        retry: RetryPolicy = AT_ONCE,
        breaker: BreakerPolicy | None = None,
        timeout: float = 5.0,
        broker: MemoryBroker | None = None,
    ) -> None:
        self.clock = Clock()
        self.broker = broker or MemoryBroker(clock=self.clock)
        self.transport = MemoryTransport(self.broker)
        self.bus = Bus(
            self.transport,
            {"test": "test", "other": "other"},
            timeout=timeout,
            retry=retry,
            breaker=breaker,
            clock=self.clock,
        )
        self._cells: list[tuple[ActorCell, asyncio.Task[None]]] = []

    async def __aenter__(self) -> "House":
        await self.transport.start()
        await self.bus.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for cell, task in self._cells:
            await cell.stop()
            await task
        await self.bus.stop()
        await self.transport.stop()

    async def employ(self, actor: Actor) -> None:
        cell = ActorCell(actor, self.transport, actor.name, retry=AT_ONCE, clock=self.clock)
        await cell.start()
        self._cells.append((cell, asyncio.create_task(cell.run())))

    async def employ_script(self, script: Script) -> None:
        await self.employ(Scripted(self.bus, script))


@contextmanager
def acting(context: Context) -> Iterator[None]:
    token = current.set(context)
    try:
        yield
    finally:
        current.reset(token)


async def until(so: Callable[[], bool], turns: int = 2000) -> None:
    """Let the loop turn until it is so; everything here happens in memory, so it is a matter of turns, not of time."""
    for _ in range(turns):
        if so():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come to pass")


async def settle(turns: int = 50) -> None:
    """Let everything happen that can happen by itself."""
    for _ in range(turns):
        await asyncio.sleep(0)


class StubDelivery(Delivery):
    """Notes how it was settled."""

    def __init__(self, envelope: Envelope, journal: list[Any] | None = None) -> None:
        self.envelope = envelope
        self.settled: list[tuple[Any, ...]] = []
        self.journal = journal if journal is not None else []
        self.failure: Exception | None = None

    async def ack(self) -> None:
        if self.failure is not None:
            raise self.failure
        self._note("ack")

    async def retry(self, delay: float) -> None:
        self._note("retry", delay)

    async def dead(self, reason: str) -> None:
        self._note("dead", reason)

    async def requeue(self) -> None:
        self._note("requeue")

    def _note(self, *how: Any) -> None:
        self.settled.append(how)
        self.journal.append((self.envelope.id, *how))


class StubTransport(Transport, Binding):
    """Hands over what the test gives it, and keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Envelope]] = []
        self.bound: list[tuple[str, int, bool]] = []
        self.open = False
        self.failure: Exception | None = None
        self.hand_over: OnDelivery

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def ping(self) -> None: ...

    async def bind(self, mailbox: str, on_delivery: OnDelivery, prefetch: int, *, private: bool = False) -> Binding:
        if self.failure is not None:
            raise self.failure
        self.bound.append((mailbox, prefetch, private))
        self.hand_over = on_delivery
        self.open = True
        return self

    async def close(self) -> None:
        self.open = False

    async def send(self, mailbox: str, envelope: Envelope) -> None:
        if self.failure is not None:
            raise self.failure
        self.sent.append((mailbox, envelope))

    async def publish(self, topic: str, envelope: Envelope) -> None:
        raise NotImplementedError

    async def subscribe(self, pattern: str, on_event: OnEvent) -> Binding:
        raise NotImplementedError


def asked(message: Any = None, **fields: Any) -> Envelope:
    """An ask of `test.echo`, or of whatever the fields say."""
    given: dict[str, Any] = {
        "id": new_id(),
        "pattern": "test.echo",
        "kind": Kind.ASK,
        "body": msgspec.msgpack.encode(message or Echo(text="hello")),
        "reply_to": "replies",
        "deadline": 1_700_000_100.0,
    } | fields
    return Envelope(**given)


def told(message: Any = None, **fields: Any) -> Envelope:
    given: dict[str, Any] = {"kind": Kind.TELL, "reply_to": None, "deadline": None} | fields
    return asked(message, **given)

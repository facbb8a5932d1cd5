"""What the transport contract suite must know of a back end beyond the interface, and what its cases share."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from mediq.transport.base import Binding, DeadLetter, Delivery, Transport
from mediq.transport.envelope import Envelope, Kind, new_id
from mediq.transport.memory import MemoryBroker, MemoryTransport

PATIENCE = 10.0
"""Seconds after which something that must come counts as never coming. No case waits for this unless it fails."""


class Backend(ABC):
    """One broker. Its transports are stopped by :meth:`close`."""

    def __init__(self) -> None:
        self.transports: list[Transport] = []

    @abstractmethod
    def make(self) -> Transport:
        """One more transport on this broker, not yet started."""

    @abstractmethod
    async def inject(self, mailbox: str, raw: bytes) -> None:
        """Put bytes of any kind into an existing mailbox."""

    @abstractmethod
    async def dead_letters(self, mailbox: str) -> list[DeadLetter]:
        """What was given up in a mailbox, oldest first."""

    @abstractmethod
    async def shrink(self, *, capacity: int | None = None, event_capacity: int | None = None) -> None:
        """Bound mailboxes and subscriptions that do not exist yet to so many messages."""

    @abstractmethod
    async def quiet(self) -> None:
        """Return when all that can be handed out has been handed out."""

    @abstractmethod
    def now(self) -> float:
        """Seconds since the epoch, by the clock that the broker measures deadlines with."""

    @abstractmethod
    async def pass_time(self, seconds: float) -> None:
        """Let so much time pass on that clock."""

    async def transport(self) -> Transport:
        """One more transport on this broker, started."""
        transport = self.make()
        await transport.start()
        self.transports.append(transport)
        return transport

    async def close(self) -> None:
        for transport in self.transports:
            await transport.stop()


class MemoryBackend(Backend):
    def __init__(self) -> None:
        super().__init__()
        self._time = time.time()
        self.broker = MemoryBroker(clock=lambda: self._time)

    def make(self) -> Transport:
        return MemoryTransport(self.broker)

    async def inject(self, mailbox: str, raw: bytes) -> None:
        sender = self.transports[0]
        assert isinstance(sender, MemoryTransport)
        await self.broker.mailboxes[mailbox].put(raw, None, sender)

    async def dead_letters(self, mailbox: str) -> list[DeadLetter]:
        return [letter for letter in self.broker.dead_letters if letter.mailbox == mailbox]

    async def shrink(self, *, capacity: int | None = None, event_capacity: int | None = None) -> None:
        self.broker.capacity = capacity or self.broker.capacity
        self.broker.event_capacity = event_capacity or self.broker.event_capacity

    async def quiet(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    def now(self) -> float:
        return self._time

    async def pass_time(self, seconds: float) -> None:
        self._time += seconds


BACKENDS: dict[str, Callable[[], Backend]] = {"memory": MemoryBackend}


class Inbox:
    """Collects what a binding hands over; give it as the callback."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Any] = asyncio.Queue()
        self.binding: Binding

    def __call__(self, item: Any) -> None:
        self._waiting.put_nowait(item)

    @property
    def size(self) -> int:
        """How many are here that nobody has taken."""
        return self._waiting.qsize()

    async def next(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            return await self._waiting.get()

    async def take(self, count: int) -> list[Any]:
        return [await self.next() for _ in range(count)]

    async def bodies(self, count: int) -> list[bytes]:
        """The bodies of the next so many, each of them acknowledged in turn if it is a delivery."""
        found = []
        for _ in range(count):
            item = await self.next()
            if isinstance(item, Delivery):
                await item.ack()
                item = item.envelope
            found.append(item.body)
        return found


async def consume(transport: Transport, mailbox: str, *, prefetch: int = 100, private: bool = False) -> Inbox:
    inbox = Inbox()
    inbox.binding = await transport.bind(mailbox, inbox, prefetch, private=private)
    return inbox


async def listen(transport: Transport, pattern: str) -> Inbox:
    inbox = Inbox()
    inbox.binding = await transport.subscribe(pattern, inbox)
    return inbox


def letter(body: bytes | str = b"", **fields: Any) -> Envelope:
    raw = body.encode() if isinstance(body, str) else body
    given: dict[str, Any] = {"id": new_id(), "pattern": "test.echo", "kind": Kind.TELL, "body": raw} | fields
    return Envelope(**given)


def named(count: int, start: int = 0) -> list[bytes]:
    return [str(n).encode() for n in range(start, start + count)]


async def send_all(transport: Transport, mailbox: str, bodies: list[bytes], **fields: Any) -> None:
    for body in bodies:
        await transport.send(mailbox, letter(body, **fields))

"""Bindings that outlive a connection: the queues of a process's own, and what every kind of binding has in common."""

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from mediq.messages.errors import Unavailable
from mediq.observability import logging
from mediq.transport.base import Binding, Delivery, OnDelivery, OnEvent
from mediq.transport.envelope import Envelope, Undecodable, decode_frame
from mediq.transport.rabbitmq.connection import CONNECTING, Link, broker_errors
from mediq.transport.rabbitmq.topology import declare_private, declare_subscription

PATIENCE: Final = 2.0
"""Seconds that the broker may take to end what it is told to end."""

Clock = Callable[[], float]
_log = logging.logger("rabbitmq")


class Attachment(Binding):
    """A binding that is attached to one link after another, until it is closed."""

    def __init__(self) -> None:
        self.open = True
        self._attaching = asyncio.Lock()
        self._link: Link | None = None
        self._channel: Channel

    async def attach(self, link: Link) -> None:
        """Declare and consume over this link; does nothing if it does so already. Raises Unavailable."""
        async with self._attaching:
            if not self.open or self._link is link:
                return
            async with link.topology() as channel:
                await self._declare(channel)
            with broker_errors():
                async with asyncio.timeout(CONNECTING):
                    channel = await link.channel()
                    link.watch(channel)
                    channel.on_consumer_cancel_callbacks.add(link.lose)  # its queue was deleted
                    await self._consume(link, channel)
            self._channel = channel
            self._link = link

    async def close(self) -> None:
        if not self.open:
            return
        self.open = False
        async with self._attaching:
            link = self._link
            if link is not None and not link.lost.is_set():
                with suppress(Unavailable), broker_errors():
                    async with asyncio.timeout(PATIENCE):
                        for tag in list(self._channel.consumers):
                            await self._channel.basic_cancel(tag)
                        await self._closed(link)

    @property
    def owing(self) -> bool:
        """Whether there is something left to end, although it is closed."""
        return False

    async def end(self) -> None:
        """The transport stops: leave nothing at the broker that is this process's own."""

    @abstractmethod
    async def _declare(self, channel: Channel) -> None:
        """Make sure that the queue exists."""

    @abstractmethod
    async def _consume(self, link: Link, channel: Channel) -> None:
        """Begin to take from it."""

    @abstractmethod
    async def _closed(self, link: Link) -> None:
        """Nothing more comes."""


class Subscription(Attachment):
    """The events of one pattern, by way of a queue of this process's own."""

    def __init__(self, name: str, pattern: str, on_event: OnEvent, capacity: int) -> None:
        super().__init__()
        self._name = name
        self._pattern = pattern
        self._on_event = on_event
        self._capacity = capacity

    async def _declare(self, channel: Channel) -> None:
        await declare_subscription(channel, self._name, self._pattern, self._capacity)

    async def _consume(self, link: Link, channel: Channel) -> None:
        await channel.basic_consume(self._name, self._receive, no_ack=True)

    async def _closed(self, link: Link) -> None:
        await self._channel.queue_delete(self._name)
        await link.release(self._channel)

    async def _receive(self, message: DeliveredMessage) -> None:
        for envelope in _understood(message, self._name):
            if self.open:
                self._on_event(envelope)


class PrivateConsumer(Attachment):
    """A mailbox of this process's own, whose messages are settled when they arrive."""

    def __init__(
        self,
        mailbox: str,
        on_delivery: OnDelivery,
        capacity: int,
        clock: Clock,
    ) -> None:
        super().__init__()
        self._mailbox = mailbox
        self._on_delivery = on_delivery
        self._capacity = capacity
        self._clock = clock

    async def _declare(self, channel: Channel) -> None:
        await declare_private(channel, self._mailbox, self._capacity)

    async def _consume(self, link: Link, channel: Channel) -> None:
        await channel.basic_consume(self._mailbox, self._receive, no_ack=True)

    async def _closed(self, link: Link) -> None:
        await link.release(self._channel)

    @property
    def owing(self) -> bool:
        return self._link is not None and not self._link.lost.is_set()

    async def end(self) -> None:
        """The broker would delete it too, a little after the connection has closed."""
        if self._link is not None:
            with suppress(Unavailable):
                async with self._link.topology(PATIENCE) as channel:
                    await channel.queue_delete(self._mailbox)

    async def _receive(self, message: DeliveredMessage) -> None:
        now = self._clock()
        for envelope in _understood(message, self._mailbox):
            if not expired(envelope, now):
                self._on_delivery(_Settled(envelope))


class _Settled(Delivery):
    """A delivery that there is nothing to do about."""

    __slots__ = ("envelope",)

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = envelope

    async def ack(self) -> None:
        pass

    async def retry(self, delay: float) -> None:
        pass

    async def dead_letter(self, reason: str) -> None:
        pass

    async def requeue(self) -> None:
        pass


def expired(envelope: Envelope, now: float) -> bool:
    return envelope.deadline is not None and envelope.deadline <= now


def _understood(message: DeliveredMessage, queue: str) -> list[Envelope]:
    try:
        return decode_frame(message.body)
    except Undecodable as error:
        _log.warning("not understood", queue=queue, error=str(error))
        return []

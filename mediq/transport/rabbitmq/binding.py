"""Bindings that survive a reconnection: the base class, and the queues that belong to one process."""

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import Final

from aio_pika.abc import AbstractRobustChannel, AbstractRobustQueue
from aiormq import spec
from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.channel import Channel

from mediq.messages.errors import Unavailable
from mediq.observability import logging
from mediq.transport.base import Binding, Delivery, OnDelivery, OnEvent
from mediq.transport.envelope import Envelope, Undecodable, decode_frame
from mediq.transport.rabbitmq.connection import CLOSING, CONNECTING, WatchedConnection, broker_errors, close_channel
from mediq.transport.rabbitmq.topology import declare_private, declare_subscription

Clock = Callable[[], float]
_log: Final = logging.logger("rabbitmq")


class ReconnectingBinding(Binding):
    """A binding to one queue that survives reconnections, until it is closed.

    aio-pika restores the channel and the queue. Messages are consumed over aiormq, the layer below: aio-pika's consumer
    wraps each message in a second task and an object with all of its properties, which costs 32 of 36 µs.
    """

    def __init__(self) -> None:
        self.open = True
        self.connection: WatchedConnection
        self.channel: AbstractRobustChannel | None = None
        """The channel that the queue is consumed on."""
        self._queue: AbstractRobustQueue
        self._no_ack = False

    @property
    def unsettled(self) -> bool:
        """Whether deliveries remain to be settled, although the binding is closed."""
        return False

    async def attach(self, connection: WatchedConnection) -> None:
        """Declare the queue and consume it. Raises Unavailable."""
        self.connection = connection
        try:
            with broker_errors():
                async with asyncio.timeout(CONNECTING):
                    await self._begin()
        except BaseException:
            self.open = False
            await self._release()
            raise

    async def close(self) -> None:
        if not self.open:
            return
        self.open = False
        try:
            async with self.connection.alive(), asyncio.timeout(CLOSING):
                await self._cancel()
            await self._finish()
        except Unavailable:
            await self._release()  # else aio-pika would restore the channel

    async def end(self) -> None:
        """The transport stops, after all bindings are closed: return unsettled deliveries."""

    @abstractmethod
    async def _begin(self) -> None:
        """Declare the queue and start to consume it."""

    @abstractmethod
    async def _cancel(self) -> None:
        """Stop to consume the queue."""

    async def _finish(self) -> None:
        """Complete what is under way, after the queue is no longer consumed."""

    @abstractmethod
    async def _receive(self, message: DeliveredMessage) -> None:
        """Take a message from the broker."""

    async def _consume(self) -> None:
        """Consume the queue, now and whenever aio-pika has reopened the channel."""
        assert self.channel is not None
        self.channel.reopen_callbacks.add(self._resume)
        await self._consume_once(await self.channel.get_underlay_channel())

    async def _consume_once(self, channel: AbstractChannel) -> None:
        assert isinstance(channel, Channel)
        channel.on_consumer_cancel_callbacks.add(self._cancelled)
        await channel.basic_consume(self._queue.name, self._receive, no_ack=self._no_ack)

    async def _resume(self, *_: object) -> None:
        if not self.open or self.channel is None:
            return
        channel = await self.channel.get_underlay_channel()
        try:
            with broker_errors():
                await self._consume_once(channel)
        except Unavailable as error:
            _log.warning("not consumed again", queue=self._queue.name, error=repr(error.__cause__))
            self.connection.drop()  # to begin anew; a channel closed here, amid its restoration, would stay closed

    def _cancelled(self, frame: spec.Basic.Cancel) -> None:
        """The broker cancelled the consumer because its queue was deleted: begin anew, so that aio-pika restores both.

        To close the channel here would wait for the broker's answer, which is read only after this returns.
        """
        if self.open:
            _log.warning("queue deleted", queue=self._queue.name)
            self.connection.drop()

    async def _release(self) -> None:
        """Close the channels that are open."""
        if self.channel is not None:
            await close_channel(self.channel)


class ExclusiveQueue(ReconnectingBinding):
    """Consumes a queue of this process. Its messages are settled as soon as they arrive."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._no_ack = True

    async def _begin(self) -> None:
        self.channel = await self.connection.channel()
        self._queue = await self._declare(self.channel)
        await self._consume()

    async def _cancel(self) -> None:
        await self._queue.delete(if_unused=False, if_empty=False)
        await self._release()

    async def _receive(self, message: DeliveredMessage) -> None:
        try:
            envelopes = decode_frame(message.body)
        except Undecodable as error:
            _log.warning("not understood", queue=self._name, error=str(error))
            return
        for envelope in envelopes:
            if self.open:
                self._deliver(envelope)

    @abstractmethod
    async def _declare(self, channel: AbstractRobustChannel) -> AbstractRobustQueue:
        """Declare the queue on a channel."""

    @abstractmethod
    def _deliver(self, envelope: Envelope) -> None:
        """Pass an envelope to the callback."""


class Subscription(ExclusiveQueue):
    """The events that match one topic pattern."""

    def __init__(self, name: str, pattern: str, on_event: OnEvent, capacity: int) -> None:
        super().__init__(name)
        self._pattern = pattern
        self._deliver_event = on_event
        self._capacity = capacity

    async def _declare(self, channel: AbstractRobustChannel) -> AbstractRobustQueue:
        return await declare_subscription(channel, self._name, self._pattern, self._capacity)

    def _deliver(self, envelope: Envelope) -> None:
        self._deliver_event(envelope)


class PrivateConsumer(ExclusiveQueue):
    """A mailbox of this process, for example the one for replies."""

    def __init__(self, mailbox: str, on_delivery: OnDelivery, capacity: int, clock: Clock) -> None:
        super().__init__(mailbox)
        self._on_delivery = on_delivery
        self._capacity = capacity
        self._clock = clock

    async def _declare(self, channel: AbstractRobustChannel) -> AbstractRobustQueue:
        return await declare_private(channel, self._name, self._capacity)

    def _deliver(self, envelope: Envelope) -> None:
        if not expired(envelope, self._clock()):
            self._on_delivery(_Settled(envelope))


class _Settled(Delivery):
    """A delivery that is already settled."""

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
    """Whether the deadline of an envelope has passed."""
    return envelope.deadline is not None and envelope.deadline <= now

"""Tracks the deliveries of one channel until they are settled."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from aiormq.abc import DeliveredMessage

from mediq.messages.errors import Fault, Unavailable
from mediq.observability import logging
from mediq.transport.base import MAX_ATTEMPTS, Delivery, OnDelivery
from mediq.transport.envelope import Envelope, Undecodable, decode_frame, encode_frame
from mediq.transport.rabbitmq.binding import Clock, expired
from mediq.transport.rabbitmq.connection import CLOSING, Refused, WatchedConnection
from mediq.transport.rabbitmq.redelivery import Redelivery
from mediq.transport.rabbitmq.topology import DELIVERIES

_log: Final = logging.logger("rabbitmq")


class DeliveryTracker:
    """Unpacks the broker's messages, hands out their envelopes and settles them.

    A message of the broker is a batch of envelopes. At most `prefetch` envelopes are handed out at a time; the rest is
    held here. A message is acknowledged when all of its envelopes are settled. An envelope that must be delivered again
    is published anew, alone, before that: a crash in between delivers it twice rather than never. When the channel is
    lost, the broker delivers everything unsettled again, and settlements on this tracker have no effect.
    """

    def __init__(
        self,
        mailbox: str,
        on_delivery: OnDelivery,
        prefetch: int,
        clock: Clock,
        connection: WatchedConnection,
        redelivery: Redelivery,
    ) -> None:
        self._mailbox = mailbox
        self._on_delivery = on_delivery
        self._prefetch = prefetch
        self._clock = clock
        self._connection = connection
        self._redelivery = redelivery
        self._lost = False
        self.open = True
        """Whether further messages are taken."""
        self._held: deque[tuple[Envelope, _Batch]] = deque()
        self._out: dict[_Delivery, _Batch] = {}
        self._working = 0
        self.settled = asyncio.Event()
        """Set while no delivery and no settlement is in progress."""
        self.settled.set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def unsettled(self) -> bool:
        """Whether anything remains to be settled on this channel."""
        return not self._lost and bool(self._out or self._held or self._working)

    def lose(self) -> None:
        """The channel is lost: forget everything, since the broker delivers it again."""
        self._lost = True
        self._held.clear()
        self._out.clear()
        self.settled.set()

    async def receive(self, message: DeliveredMessage) -> None:
        """Take a message from the broker. It usually awaits nothing, so messages stay in order."""
        if not self.open:
            await self._settle_message(message, ack=False)
            return
        try:
            envelopes = decode_frame(message.body)
        except Undecodable as error:
            await self._replace(message, self._redelivery.dead_letter(message.body, f"undecodable: {error}"))
            return
        now = self._clock()
        live = [each for each in envelopes if not expired(each, now)]
        returns: Any = (message.header.properties.headers or {}).get("x-delivery-count") or 0
        if len(live) > 1 and (returns or len(live) > self._prefetch):
            # One of them may have killed the last consumer; or they are more than this consumer's share.
            await self._replace(message, self._redelivery.split(live))
        elif live and returns >= DELIVERIES:
            await self._replace(message, self._redelivery.dead_letter(message.body, "deliveries"))
        elif live:
            batch = _Batch(message, len(live))
            self.settled.clear()
            self._held.extend([(each, batch) for each in live])
            self._hand_out()
        else:
            await self._settle_message(message, ack=True)

    async def ack(self, delivery: "_Delivery") -> None:
        """Settle an envelope as handled; a second settlement has no effect."""
        batch = self._out.pop(delivery, None)
        if batch is not None:
            await self._finish(batch)
            self._hand_out()
            self._check_settled()

    async def settle(self, delivery: "_Delivery", publish: Callable[[], Awaitable[None]]) -> None:
        """Settle an envelope after it was published elsewhere; a second settlement has no effect."""
        batch = self._out.pop(delivery, None)
        if batch is None:
            return
        with self._at_work():
            try:
                await publish()
            except (Fault, Refused) as error:
                batch.must_return = True
                _log.warning("comes back as it was", mailbox=self._mailbox, error=repr(error))
            except BaseException:
                batch.must_return = True
                raise
            finally:
                await self._finish(batch)
                self._hand_out()

    async def retry(self, delivery: "_Delivery", delay: float) -> None:
        """Settle an envelope by delivering it again later, or as a dead letter after the last attempt."""
        if delivery.envelope.attempt >= MAX_ATTEMPTS:
            await self.dead_letter(delivery, "attempts")
        else:
            await self.settle(delivery, lambda: self._redelivery.send_again([delivery.envelope.again()], delay))

    async def dead_letter(self, delivery: "_Delivery", reason: str) -> None:
        """Settle an envelope as a dead letter."""
        await self.settle(delivery, lambda: self._redelivery.dead_letter(encode_frame([delivery.envelope]), reason))

    async def requeue(self, delivery: "_Delivery") -> None:
        """Settle an envelope by returning it to the mailbox."""
        batch = self._out.get(delivery)
        if batch is not None and batch.size == 1:
            batch.must_return = True  # returns to its place
            await self.ack(delivery)
        else:
            await self.settle(delivery, lambda: self._redelivery.send_again([delivery.envelope]))

    async def close(self) -> None:
        """Hand out nothing more, and return the envelopes that were not handed out.

        If that takes too long, closing the channel returns their whole messages.
        """
        self.open = False
        held, self._held = self._held, deque()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING):
                for batch in dict.fromkeys(batch for _, batch in held):
                    await self._return(batch, [envelope for envelope, whose in held if whose is batch])

    async def return_unsettled(self) -> None:
        """Return handed-out envelopes of partly settled messages; closing the channel returns the whole messages."""
        out, self._out = self._out, {}
        for batch in dict.fromkeys(out.values()):
            unsettled = [delivery.envelope for delivery, whose in out.items() if whose is batch]
            if len(unsettled) < batch.size:
                await self._return(batch, unsettled)
        self._check_settled()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING):
                await self.settled.wait()

    async def _return(self, batch: "_Batch", envelopes: list[Envelope]) -> None:
        with self._at_work():
            try:
                if len(envelopes) < batch.size:
                    await self._redelivery.send_again(envelopes)
                else:
                    batch.must_return = True
            except (Fault, Refused):
                batch.must_return = True
            except BaseException:
                batch.must_return = True
                raise
            finally:
                await self._finish(batch, len(envelopes))

    def _hand_out(self) -> None:
        if not self._held:
            return
        now = self._clock()
        while self._held and len(self._out) < self._prefetch:
            envelope, batch = self._held.popleft()
            delivery = _Delivery(envelope, self)
            self._out[delivery] = batch
            if expired(envelope, now):
                task = asyncio.create_task(delivery.ack())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                self._on_delivery(delivery)

    async def _finish(self, batch: "_Batch", count: int = 1) -> None:
        batch.open -= count
        if batch.open == 0:
            with self._at_work():
                await self._settle_message(batch.message, ack=not batch.must_return)

    async def _replace(self, message: DeliveredMessage, publish: Awaitable[None]) -> None:
        """Acknowledge a message when its envelopes are published elsewhere; if that fails, return it."""
        with self._at_work():
            try:
                await publish
            except (Fault, Refused) as error:
                _log.warning("comes back as it was", mailbox=self._mailbox, error=repr(error))
                await self._settle_message(message, ack=False)
            else:
                await self._settle_message(message, ack=True)

    async def _settle_message(self, message: DeliveredMessage, *, ack: bool) -> None:
        """Acknowledge a message or return it; on a lost channel, this has no effect."""
        if self._lost:
            return
        with suppress(Unavailable):
            async with self._connection.alive():
                # aiormq's ack: aio-pika's also waits until the socket has taken it.
                tag = message.delivery_tag or 0
                if ack:
                    await message.channel.basic_ack(tag, wait=False)
                else:
                    await message.channel.basic_nack(tag, wait=False)

    def _check_settled(self) -> None:
        if not self.unsettled:
            self.settled.set()

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        self._working += 1
        self.settled.clear()
        try:
            yield
        finally:
            self._working -= 1
            self._check_settled()


class _Batch:
    """A message of the broker: the number of unsettled envelopes, and whether the whole message must return."""

    __slots__ = ("message", "must_return", "open", "size")

    def __init__(self, message: DeliveredMessage, size: int) -> None:
        self.message = message
        self.size = size
        self.open = size
        self.must_return = False


class _Delivery(Delivery):
    __slots__ = ("_tracker", "envelope")

    def __init__(self, envelope: Envelope, tracker: DeliveryTracker) -> None:
        self.envelope = envelope
        self._tracker = tracker

    async def ack(self) -> None:
        await self._tracker.ack(self)

    async def retry(self, delay: float) -> None:
        await self._tracker.retry(self, delay)

    async def dead_letter(self, reason: str) -> None:
        await self._tracker.dead_letter(self, reason)

    async def requeue(self) -> None:
        await self._tracker.requeue(self)

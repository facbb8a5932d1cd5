"""A share in a mailbox at RabbitMQ: what came out of it, and what becomes of each envelope."""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from aiormq import spec
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from mediq.messages.errors import Fault, Unavailable, Unroutable
from mediq.observability import logging, metrics
from mediq.transport.base import MAX_ATTEMPTS, Delivery, OnDelivery
from mediq.transport.envelope import Envelope, Undecodable, decode_frame, encode_frame
from mediq.transport.rabbitmq.binding import PATIENCE, Attachment, Clock, expired
from mediq.transport.rabbitmq.connection import Link, Refused
from mediq.transport.rabbitmq.publisher import PAUSES
from mediq.transport.rabbitmq.topology import (
    DELIVERIES,
    REASON,
    RETRIED,
    again_name,
    dead_name,
    declare_dead,
    declare_mailbox,
    declare_retry,
    retry_name,
    retry_step,
)

RELAYED: Final = 10
"""So many messages that come again may wait here for room."""
_log: Final = logging.logger("rabbitmq")


class Consumer(Attachment):
    """A binding to a shared mailbox."""

    def __init__(
        self,
        mailbox: str,
        on_delivery: OnDelivery,
        prefetch: int,
        capacity: int,
        clock: Clock,
    ) -> None:
        super().__init__()
        self.mailbox = mailbox
        self.on_delivery = on_delivery
        self.prefetch = prefetch
        self.clock = clock
        self.intake: Intake | None = None
        self._capacity = capacity

    @property
    def owing(self) -> bool:
        return self.intake is not None and self.intake.owing

    async def end(self) -> None:
        if self.intake is not None:
            await self.intake.return_unsettled()

    async def _declare(self, channel: Channel) -> None:
        await declare_mailbox(channel, self.mailbox, self._capacity)

    async def _consume(self, link: Link, channel: Channel) -> None:
        self.intake = Intake(self, link, channel)
        if self.prefetch > 0:  # to the broker, none would mean no bound
            await channel.basic_qos(prefetch_count=RELAYED)
            await channel.basic_consume(again_name(self.mailbox), self.intake.relay)
            await channel.basic_qos(prefetch_count=self.prefetch)
            await channel.basic_consume(self.mailbox, self.intake.receive)

    async def _closed(self, link: Link) -> None:
        if self.intake is not None:
            await self.intake.return_unseen()


class Intake:
    """What a consumer was handed over one channel and has not settled.

    The broker's messages are batches. Of their envelopes no more than `prefetch` are out at once, the rest is held
    here. A message is acknowledged when all of its envelopes are settled. What must come again is sent anew, alone,
    before that: a crash in between brings it twice rather than never. When the link is lost, all that is not settled
    comes back to whoever is next, and what is done about it here is too late.
    """

    def __init__(self, consumer: Consumer, link: Link, channel: Channel) -> None:
        self._consumer = consumer
        self._mailbox = consumer.mailbox
        self._link = link
        self._channel = channel
        self._held: deque[tuple[Envelope, _Batch]] = deque()
        self._out: dict[_Delivery, _Batch] = {}
        self._working = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def owing(self) -> bool:
        """Whether anything is left to settle, over a connection that still stands."""
        return not self._link.lost.is_set() and bool(self._out or self._held or self._working)

    async def receive(self, message: DeliveredMessage) -> None:
        """Take a message from the broker. Nothing is awaited in the usual course, so messages stay in order."""
        tag = _tag(message)
        if not self._consumer.open:
            await self._settle_message(tag, ack=False)
            return
        try:
            envelopes = decode_frame(message.body)
        except Undecodable as error:
            await self._replace(tag, self._bury(message.body, f"undecodable: {error}"))
            return
        now = self._consumer.clock()
        live = [each for each in envelopes if not expired(each, now)]
        returns: Any = (message.header.properties.headers or {}).get("x-delivery-count") or 0
        if len(live) > 1 and (returns or len(live) > self._consumer.prefetch):
            # Whoever had them may have died of one of them; or they are more than one consumer's share.
            await self._replace(tag, self._scatter(live))
        elif live and returns >= DELIVERIES:
            await self._replace(tag, self._bury(message.body, "deliveries"))
        elif live:
            batch = _Batch(tag, len(live))
            self._held.extend([(each, batch) for each in live])
            self._hand_out()
        else:
            await self._settle_message(tag, ack=True)

    async def relay(self, message: DeliveredMessage) -> None:
        """Bring back into the mailbox what comes again, as soon as there is room."""
        tag = _tag(message)
        with self._at_work():
            for pause in itertools.chain(PAUSES, itertools.repeat(PAUSES[-1])):
                if not self._consumer.open:
                    break
                try:
                    await self._link.publish(self._mailbox, message.body)
                except Refused:
                    await asyncio.sleep(pause)
                except Fault:
                    break
                else:
                    await self._settle_message(tag, ack=True)
                    return
            await self._settle_message(tag, ack=False)

    async def ack(self, delivery: "_Delivery") -> None:
        """What nearly all deliveries come to; a second settlement is too late."""
        batch = self._out.pop(delivery, None)
        if batch is None or self._link.lost.is_set():
            return
        await self._finish(batch)
        self._hand_out()
        await self._leave()

    async def settle(self, delivery: "_Delivery", how: Callable[[], Awaitable[None]]) -> None:
        """Settle an envelope that is out, having first brought it elsewhere; a second time is too late."""
        batch = self._out.pop(delivery, None)
        if batch is None or self._link.lost.is_set():
            return
        with self._at_work():
            try:
                await how()
            except (Fault, Refused) as error:
                batch.spoilt = True
                _log.warning("comes back as it was", mailbox=self._mailbox, error=repr(error))
            except BaseException:
                batch.spoilt = True
                raise
            finally:
                await self._finish(batch)
                self._hand_out()
        await self._leave()

    async def retry(self, delivery: "_Delivery", delay: float) -> None:
        if delivery.envelope.attempt >= MAX_ATTEMPTS:
            await self.dead_letter(delivery, "attempts")
        else:
            await self.settle(delivery, lambda: self._send_again([delivery.envelope.again()], delay))

    async def dead_letter(self, delivery: "_Delivery", reason: str) -> None:
        await self.settle(delivery, lambda: self._bury(encode_frame([delivery.envelope]), reason))

    async def requeue(self, delivery: "_Delivery") -> None:
        batch = self._out.get(delivery)
        if batch is not None and batch.size == 1:
            batch.spoilt = True  # goes back to its place
            await self.ack(delivery)
        else:
            await self.settle(delivery, lambda: self._send_again([delivery.envelope]))

    async def return_unseen(self) -> None:
        """Give back what the consumer, who is leaving, has not been handed."""
        held, self._held = self._held, deque()
        for batch in dict.fromkeys(batch for _, batch in held):
            await self._return(batch, [envelope for envelope, whose in held if whose is batch])
        await self._leave()

    async def return_unsettled(self) -> None:
        """Give back what the consumer has not settled; where it is whole messages, closing the channel does that."""
        out, self._out = self._out, {}
        for batch in dict.fromkeys(out.values()):
            unsettled = [delivery.envelope for delivery, whose in out.items() if whose is batch]
            if len(unsettled) < batch.size:
                await self._return(batch, unsettled)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._idle.wait()

    async def _return(self, batch: "_Batch", envelopes: list[Envelope]) -> None:
        with self._at_work():
            try:
                if len(envelopes) < batch.size:
                    await self._send_again(envelopes)
                else:
                    batch.spoilt = True
            except (Fault, Refused):
                batch.spoilt = True
            finally:
                await self._finish(batch, len(envelopes))

    def _hand_out(self) -> None:
        if not self._held:
            return
        now = self._consumer.clock()
        while self._held and len(self._out) < self._consumer.prefetch:
            envelope, batch = self._held.popleft()
            delivery = _Delivery(envelope, self)
            self._out[delivery] = batch
            if expired(envelope, now):
                task = asyncio.create_task(delivery.ack())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                self._consumer.on_delivery(delivery)

    async def _finish(self, batch: "_Batch", count: int = 1) -> None:
        batch.open -= count
        if batch.open == 0:
            with self._at_work():
                await self._settle_message(batch.tag, ack=not batch.spoilt)

    async def _replace(self, tag: int, by: Awaitable[None]) -> None:
        """Acknowledge a message when it is elsewhere; if it cannot be brought there, it comes back."""
        with self._at_work():
            try:
                await by
            except (Fault, Refused) as error:
                _log.warning("comes back as it was", mailbox=self._mailbox, error=repr(error))
                await self._settle_message(tag, ack=False)
            else:
                await self._settle_message(tag, ack=True)

    async def _settle_message(self, tag: int, *, ack: bool) -> None:
        """On a channel that is closed, it is too late and does no harm."""
        with suppress(Unavailable):
            async with self._link.alive():
                if ack:
                    await self._channel.basic_ack(tag, wait=False)
                else:
                    await self._channel.basic_nack(tag, requeue=True, wait=False)

    async def _leave(self) -> None:
        """Close the channel if the consumer takes nothing more and owes nothing more."""
        if not (self._consumer.open or self.owing):
            await self._link.release(self._channel)

    async def _scatter(self, envelopes: list[Envelope]) -> None:
        for envelope in envelopes:
            await self._send_again([envelope])

    async def _send_again(self, envelopes: list[Envelope], delay: float = 0.0) -> None:
        """Back into the mailbox; by a way round if there is a delay or no room."""
        frame = encode_frame(envelopes)
        headers = {RETRIED: self._mailbox}
        if delay > 0:
            step = retry_step(delay)
            await self._publish_beside(
                retry_name(self._mailbox, step), frame, headers, lambda ch: declare_retry(ch, self._mailbox, step)
            )
            return
        try:
            await self._link.publish(self._mailbox, frame)
        except Refused:
            await self._link.publish(again_name(self._mailbox), frame, headers=headers)

    async def _bury(self, raw: bytes, reason: str) -> None:
        name = dead_name(self._mailbox)
        await self._publish_beside(name, raw, {REASON: reason}, lambda ch: declare_dead(ch, self._mailbox))
        metrics.dead_letters.labels(self._mailbox, reason.partition(":")[0]).inc()

    async def _publish_beside(
        self,
        queue: str,
        frame: bytes,
        headers: dict[str, Any],
        declare: Callable[[Channel], Awaitable[None]],
    ) -> None:
        """Publish to a queue that stands beside the mailbox, making it if it is not there yet."""
        try:
            await self._link.publish(queue, frame, headers=headers)
        except Unroutable:
            async with self._link.topology() as channel:
                await declare(channel)
            await self._link.publish(queue, frame, headers=headers)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        self._working += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._working -= 1
            if not self._working:
                self._idle.set()


def _tag(message: DeliveredMessage) -> int:
    assert isinstance(message.delivery, spec.Basic.Deliver)
    return message.delivery.delivery_tag or 0


class _Batch:
    """A message of the broker: how many of its envelopes are still to be settled, and whether it must come back."""

    __slots__ = ("open", "size", "spoilt", "tag")

    def __init__(self, tag: int, size: int) -> None:
        self.tag = tag
        self.size = size
        self.open = size
        self.spoilt = False


class _Delivery(Delivery):
    __slots__ = ("_intake", "envelope")

    def __init__(self, envelope: Envelope, intake: Intake) -> None:
        self.envelope = envelope
        self._intake = intake

    async def ack(self) -> None:
        await self._intake.ack(self)

    async def retry(self, delay: float) -> None:
        await self._intake.retry(self, delay)

    async def dead_letter(self, reason: str) -> None:
        await self._intake.dead_letter(self, reason)

    async def requeue(self) -> None:
        await self._intake.requeue(self)

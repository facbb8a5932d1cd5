"""A mailbox of the in-memory transport, its consumers and their deliveries."""

import asyncio
import itertools
import math
from collections import deque
from typing import TYPE_CHECKING

from mediq.messages.errors import MailboxFull, Unavailable
from mediq.transport.base import MAX_ATTEMPTS, Binding, Delivery, OnDelivery, Transport
from mediq.transport.envelope import Envelope, Undecodable, decode_frame, encode_frame

if TYPE_CHECKING:
    from mediq.transport.memory.transport import MemoryBroker


class Mailbox:
    """Frames that wait for consumers; consumers take turns.

    A frame keeps its place: when requeued, it is delivered before all frames that arrived after it. Senders that wait
    for room get in in the order in which they came.
    """

    def __init__(self, name: str, broker: "MemoryBroker") -> None:
        self.name = name
        self.broker = broker
        self._places = itertools.count()
        self._ready: deque[tuple[int, bytes]] = deque()
        self._consumers: deque[Consumer] = deque()
        self._senders: dict[asyncio.Future[None], tuple[bytes, Transport]] = {}
        self._scheduled = False

    def waiting(self) -> int:
        """The number of messages that no consumer has received yet."""
        return len(self._ready) + len(self._senders)

    def add(self, consumer: "Consumer") -> None:
        self._consumers.append(consumer)
        self.wake()

    def remove(self, consumer: "Consumer") -> None:
        self._consumers.remove(consumer)

    def put_nowait(self, frame: bytes) -> bool:
        """Put a frame in and return True, or return False if there is no room.

        An idle consumer receives the frame at once, a busy one in the next turn of the loop: an actor that sends to
        itself must not block the loop.
        """
        if len(self._ready) >= self.broker.capacity:
            return False
        place = next(self._places)
        if not self._ready and self._consumers and (consumer := self._consumers[0]).idle:
            if len(self._consumers) > 1:
                self._consumers.rotate(-1)
            consumer.hand_over(frame, place)
        else:
            self._ready.append((place, frame))
            self.wake()
        return True

    async def put(self, frame: bytes, seconds: float, sender: Transport) -> None:
        """Put a frame in; wait up to `seconds` for room, else raise MailboxFull."""
        if self.put_nowait(frame):
            return
        admitted = asyncio.get_running_loop().create_future()
        self._senders[admitted] = frame, sender
        try:
            async with asyncio.timeout(seconds if seconds < math.inf else None):
                await admitted
        except TimeoutError:
            if admitted.cancelled():
                raise MailboxFull(retry_after=1.0) from None
        finally:
            self._senders.pop(admitted, None)

    def put_back(self, place: int, frame: bytes) -> None:
        """Put a frame back at its place, even above the capacity: it was admitted before."""
        index = next((i for i, (other, _) in enumerate(self._ready) if other > place), len(self._ready))
        self._ready.insert(index, (place, frame))
        self.wake()

    def fail_senders(self, error: type[Unavailable], sender: Transport | None = None) -> None:
        """Raise `error` in the senders that wait for room, all of them or those of one transport."""
        for admitted, (_, transport) in self._senders.items():
            if not admitted.done() and (sender is None or transport is sender):
                admitted.set_exception(error())

    def _admit(self) -> None:
        """Let waiting senders in, as far as there is room."""
        while self._senders and len(self._ready) < self.broker.capacity:
            admitted = next(iter(self._senders))
            frame, _ = self._senders.pop(admitted)
            if not admitted.done():
                admitted.set_result(None)
                self._ready.append((next(self._places), frame))

    def wake(self) -> None:
        """Hand out ready frames in the next turn of the loop."""
        if self._ready and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._hand_out)

    def _hand_out(self) -> None:
        self._scheduled = False
        while self._ready and (consumer := self._next_consumer()) is not None:
            place, frame = self._ready.popleft()
            if self._senders:
                self._admit()
            consumer.hand_over(frame, place)

    def _next_consumer(self) -> "Consumer | None":
        """Return the next consumer in turn that may receive one more delivery."""
        for turn, consumer in enumerate(self._consumers, start=1):
            if len(consumer.unsettled) < consumer.prefetch:
                self._consumers.rotate(-turn)
                return consumer
        return None


class Consumer(Binding):
    """A consumer of a mailbox, with its unsettled deliveries."""

    def __init__(self, mailbox: Mailbox, on_delivery: OnDelivery, prefetch: int, private: bool) -> None:
        self.mailbox = mailbox
        self.prefetch = math.inf if private else prefetch
        self.private = private
        self.unsettled: dict[MemoryDelivery, None] = {}
        self._on_delivery = on_delivery
        self._open = True

    @property
    def idle(self) -> bool:
        """Whether the consumer has no unsettled delivery."""
        return not self.unsettled and self.prefetch > 0

    def hand_over(self, frame: bytes, place: int) -> None:
        """Pass the envelopes of a frame to the callback; skip the expired ones."""
        broker = self.mailbox.broker
        try:
            envelopes = decode_frame(frame)
        except Undecodable as error:
            broker.add_dead_letter(self.mailbox.name, f"undecodable: {error}", None, frame)
            return
        for envelope in envelopes:
            if envelope.deadline is not None and envelope.deadline <= broker.clock():
                continue
            delivery = MemoryDelivery(envelope, self, place)
            if not self.private:
                self.unsettled[delivery] = None
            self._on_delivery(delivery)

    async def close(self) -> None:
        if self._open:
            self._open = False
            self.mailbox.remove(self)


class MemoryDelivery(Delivery):
    """One envelope that a consumer has received."""

    __slots__ = ("_consumer", "_place", "envelope")

    def __init__(self, envelope: Envelope, consumer: Consumer, place: int) -> None:
        self.envelope = envelope
        self._consumer = consumer
        self._place = place

    async def ack(self) -> None:
        self._settle()

    async def retry(self, delay: float) -> None:
        if self.envelope.attempt >= MAX_ATTEMPTS:
            await self.dead_letter("attempts")
            return
        if self._settle():
            frame = encode_frame([self.envelope.again()])
            asyncio.get_running_loop().call_later(delay, self._consumer.mailbox.put_back, self._place, frame)

    async def dead_letter(self, reason: str) -> None:
        if self._settle():
            mailbox = self._consumer.mailbox
            mailbox.broker.add_dead_letter(mailbox.name, reason, self.envelope, encode_frame([self.envelope]))

    async def requeue(self) -> None:
        if self._settle():
            self._consumer.mailbox.put_back(self._place, encode_frame([self.envelope]))

    def _settle(self) -> bool:
        """Settle, and return True if this is the first settlement; a second one has no effect."""
        if self._consumer.unsettled.pop(self, False) is False:
            return False
        self._consumer.mailbox.wake()
        return True

"""The transport inside one process: bounded mailboxes of encoded frames, dead letters, topics.

It forgets on a crash, as memory does; what must survive is in a store before the reply.
"""

import asyncio
import itertools
import math
import re
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from mediq.messages.errors import MailboxFull, Unavailable, Unroutable
from mediq.observability import metrics
from mediq.transport.base import (
    MAX_ATTEMPTS,
    Binding,
    DeadLetter,
    Delivery,
    OnDelivery,
    OnEvent,
    Transport,
)
from mediq.transport.envelope import Envelope, Undecodable, decode_frame, encode_frame

_DEAD_BYTES: Final = 16_384
"""The most that is kept of a dead letter."""


class MemoryBroker:
    """The mailboxes and topics that the transports of one process share."""

    def __init__(
        self, *, capacity: int = 1000, event_capacity: int = 10_000, clock: Callable[[], float] = time.time
    ) -> None:
        self.capacity = capacity
        self.event_capacity = event_capacity
        self.clock = clock
        self.mailboxes: dict[str, _Mailbox] = {}
        self.subscriptions: list[_Subscription] = []
        self.dead_letters: deque[DeadLetter] = deque(maxlen=1000)

    def bury(self, mailbox: str, reason: str, envelope: Envelope | None, raw: bytes) -> None:
        if len(raw) > _DEAD_BYTES:  # pictures of cards would fill the memory, and are in their store anyway
            envelope = envelope and msgspec.structs.replace(envelope, body=b"")
            raw = raw[:_DEAD_BYTES]
        self.dead_letters.append(DeadLetter(mailbox=mailbox, reason=reason, envelope=envelope, raw=raw))
        metrics.dead_letters.labels(mailbox, reason.partition(":")[0]).inc()


class MemoryTransport(Transport):
    """A process's end of a :class:`MemoryBroker`."""

    def __init__(self, broker: MemoryBroker | None = None) -> None:
        self.broker = broker or MemoryBroker()
        self._consumers: list[_Consumer] = []
        self._private: set[str] = set()
        self._subscriptions: list[_Subscription] = []
        self._up = False

    async def start(self) -> None:
        self._up = True

    async def stop(self) -> None:
        self._up = False
        for subscription in self._subscriptions:
            await subscription.close()
        for consumer in self._consumers:
            await consumer.close()
            for delivery in list(consumer.unsettled):
                await delivery.requeue()
        for box in self.broker.mailboxes.values():
            box.turn_away(Unavailable, self)
        for name in self._private:
            if (private := self.broker.mailboxes.pop(name, None)) is not None:
                private.turn_away(Unroutable)
        self._private.clear()

    async def ping(self) -> None:
        self._require_up()

    async def bind(self, mailbox: str, on_delivery: OnDelivery, prefetch: int, *, private: bool = False) -> Binding:
        self._require_up()
        box = self.broker.mailboxes.get(mailbox)
        if box is None:
            box = self.broker.mailboxes[mailbox] = _Mailbox(mailbox, self.broker)
        if private:
            self._private.add(mailbox)
        else:
            metrics.mailbox_waiting.labels(mailbox).set_function(box.waiting)
        consumer = _Consumer(box, on_delivery, prefetch, private)
        self._consumers.append(consumer)
        box.add(consumer)
        return consumer

    async def send(self, mailbox: str, envelope: Envelope, *, room: float = math.inf) -> None:
        if envelope.deadline is not None:
            room = min(room, max(0.0, envelope.deadline - self.broker.clock()))
        await self._mailbox(mailbox).put(encode_frame([envelope]), room, self)

    def send_nowait(self, mailbox: str, envelope: Envelope) -> bool:
        return self._mailbox(mailbox).put_nowait(encode_frame([envelope]))

    async def publish(self, topic: str, envelope: Envelope) -> None:
        self._require_up()
        frame = encode_frame([envelope])
        for subscription in self.broker.subscriptions:
            if subscription.matches(topic):
                subscription.put(topic, frame)

    async def subscribe(self, pattern: str, on_event: OnEvent) -> Binding:
        self._require_up()
        subscription = _Subscription(pattern, on_event, self.broker)
        self._subscriptions.append(subscription)
        self.broker.subscriptions.append(subscription)
        return subscription

    def _mailbox(self, name: str) -> "_Mailbox":
        if not self._up:
            raise Unavailable
        box = self.broker.mailboxes.get(name)
        if box is None:
            raise Unroutable
        return box

    def _require_up(self) -> None:
        if not self._up:
            raise Unavailable


class _Mailbox:
    """Frames waiting for consumers, handed out in turns.

    A frame keeps its place: given back, it comes before all that came after it. Senders who find no room get in in
    the order in which they came.
    """

    def __init__(self, name: str, broker: MemoryBroker) -> None:
        self.name = name
        self.broker = broker
        self._places = itertools.count()
        self._ready: deque[tuple[int, bytes]] = deque()
        self._consumers: deque[_Consumer] = deque()
        self._senders: dict[asyncio.Future[None], tuple[bytes, MemoryTransport]] = {}
        self._pump_due = False

    def waiting(self) -> int:
        """How many messages nobody has taken yet."""
        return len(self._ready) + len(self._senders)

    def add(self, consumer: "_Consumer") -> None:
        self._consumers.append(consumer)
        self.wake()

    def remove(self, consumer: "_Consumer") -> None:
        self._consumers.remove(consumer)

    def put_nowait(self, frame: bytes) -> bool:
        """Whether there was room. To a consumer that has nothing to do it is handed at once, to others in the next
        turn of the loop: an actor that tells itself something must not keep the loop to itself."""
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

    async def put(self, frame: bytes, seconds: float, sender: MemoryTransport) -> None:
        """Put a frame in, waiting for room so long at most."""
        if self.put_nowait(frame):
            return
        inside = asyncio.get_running_loop().create_future()
        self._senders[inside] = frame, sender
        try:
            async with asyncio.timeout(seconds if seconds < math.inf else None):
                await inside
        except TimeoutError:
            if inside.cancelled():
                raise MailboxFull(retry_after=1.0) from None
        finally:
            self._senders.pop(inside, None)

    def put_back(self, place: int, frame: bytes) -> None:
        """Where it was, and above the bound: it was already inside."""
        index = next((i for i, (other, _) in enumerate(self._ready) if other > place), len(self._ready))
        self._ready.insert(index, (place, frame))
        self.wake()

    def turn_away(self, error: type[Unavailable], sender: MemoryTransport | None = None) -> None:
        """Fail the senders who wait for room, or those of one transport."""
        for inside, (_, whose) in self._senders.items():
            if not inside.done() and (sender is None or whose is sender):
                inside.set_exception(error())

    def _admit(self) -> None:
        while self._senders and len(self._ready) < self.broker.capacity:
            inside = next(iter(self._senders))
            frame, _ = self._senders.pop(inside)
            if not inside.done():
                inside.set_result(None)
                self._ready.append((next(self._places), frame))

    def wake(self) -> None:
        if self._ready and not self._pump_due:
            self._pump_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_due = False
        while self._ready and (consumer := self._next_consumer()) is not None:
            place, frame = self._ready.popleft()
            if self._senders:
                self._admit()
            consumer.hand_over(frame, place)

    def _next_consumer(self) -> "_Consumer | None":
        """Whose turn it is, of those who may take one more."""
        for turn, consumer in enumerate(self._consumers, start=1):
            if len(consumer.unsettled) < consumer.prefetch:
                self._consumers.rotate(-turn)
                return consumer
        return None


class _Consumer(Binding):
    def __init__(self, mailbox: _Mailbox, on_delivery: OnDelivery, prefetch: int, private: bool) -> None:
        self.mailbox = mailbox
        self.prefetch = math.inf if private else prefetch
        self.private = private
        self.unsettled: dict[_MemoryDelivery, None] = {}
        self._on_delivery = on_delivery
        self._open = True

    @property
    def idle(self) -> bool:
        return not self.unsettled and self.prefetch > 0

    def hand_over(self, frame: bytes, place: int) -> None:
        broker = self.mailbox.broker
        try:
            envelopes = decode_frame(frame)
        except Undecodable as error:
            broker.bury(self.mailbox.name, f"undecodable: {error}", None, frame)
            return
        for envelope in envelopes:
            if envelope.deadline is not None and envelope.deadline <= broker.clock():
                continue
            delivery = _MemoryDelivery(envelope, self, place)
            if not self.private:
                self.unsettled[delivery] = None
            self._on_delivery(delivery)

    async def close(self) -> None:
        if self._open:
            self._open = False
            self.mailbox.remove(self)


class _MemoryDelivery(Delivery):
    __slots__ = ("_consumer", "_place", "envelope")

    def __init__(self, envelope: Envelope, consumer: _Consumer, place: int) -> None:
        self.envelope = envelope
        self._consumer = consumer
        self._place = place

    async def ack(self) -> None:
        self._settle()

    async def retry(self, delay: float) -> None:
        if self.envelope.attempt >= MAX_ATTEMPTS:
            await self.dead("attempts")
            return
        if self._settle():
            frame = encode_frame([self.envelope.again()])
            asyncio.get_running_loop().call_later(delay, self._consumer.mailbox.put_back, self._place, frame)

    async def dead(self, reason: str) -> None:
        if self._settle():
            box = self._consumer.mailbox
            box.broker.bury(box.name, reason, self.envelope, encode_frame([self.envelope]))

    async def requeue(self) -> None:
        if self._settle():
            self._consumer.mailbox.put_back(self._place, encode_frame([self.envelope]))

    def _settle(self) -> bool:
        """Whether this was the first settlement; a second one is too late and changes nothing."""
        if self._consumer.unsettled.pop(self, False) is False:
            return False
        self._consumer.mailbox.wake()
        return True


class _Subscription(Binding):
    def __init__(self, pattern: str, on_event: OnEvent, broker: MemoryBroker) -> None:
        self._words = _compile(pattern)
        self._on_event = on_event
        self._broker = broker
        self._pending: deque[tuple[str, bytes]] = deque()
        self._pump_due = False

    def matches(self, topic: str) -> bool:
        return self._words.fullmatch(topic + ".") is not None

    def put(self, topic: str, frame: bytes) -> None:
        if len(self._pending) >= self._broker.event_capacity:
            lost, _ = self._pending.popleft()
            metrics.events_dropped.labels(lost).inc()
        self._pending.append((topic, frame))
        if not self._pump_due:
            self._pump_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_due = False
        while self._pending:
            for envelope in decode_frame(self._pending.popleft()[1]):
                self._on_event(envelope)

    async def close(self) -> None:
        self._pending.clear()
        if self in self._broker.subscriptions:
            self._broker.subscriptions.remove(self)


def _compile(pattern: str) -> re.Pattern[str]:
    """A topic pattern of the AMQP kind as a regular expression, for topics with a dot after every word."""
    expressions = {"*": r"[^.]+\.", "#": r"(?:[^.]+\.)*"}
    return re.compile("".join(expressions.get(word) or re.escape(word) + r"\." for word in pattern.split(".")))

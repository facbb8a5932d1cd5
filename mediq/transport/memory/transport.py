"""The in-memory transport, and the broker that the transports of one process share."""

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from mediq.messages.errors import Unavailable, Unroutable
from mediq.observability import metrics
from mediq.transport.base import Binding, DeadLetter, OnDelivery, OnEvent, Transport
from mediq.transport.envelope import Envelope, encode_frame
from mediq.transport.memory.mailbox import Consumer, Mailbox
from mediq.transport.memory.subscription import Subscription

_DEAD_LETTER_BYTES: Final = 16_384
"""Largest body of a dead letter that is kept whole."""


class MemoryBroker:
    """The mailboxes and subscriptions that the transports of one process share.

    `capacity` limits each mailbox and `event_capacity` each subscription, both in messages.
    """

    def __init__(
        self, *, capacity: int = 1000, event_capacity: int = 10_000, clock: Callable[[], float] = time.time
    ) -> None:
        self.capacity = capacity
        self.event_capacity = event_capacity
        self.clock = clock
        self.mailboxes: dict[str, Mailbox] = {}
        self.subscriptions: list[Subscription] = []
        self.dead_letters: deque[DeadLetter] = deque(maxlen=1000)

    def add_dead_letter(self, mailbox: str, reason: str, envelope: Envelope | None, raw: bytes) -> None:
        """Keep a message that was given up; the oldest dead letter makes room."""
        if len(raw) > _DEAD_LETTER_BYTES:  # pictures of cards would fill the memory, and are in their store anyway
            envelope = envelope and msgspec.structs.replace(envelope, body=b"")
            raw = raw[:_DEAD_LETTER_BYTES]
        self.dead_letters.append(DeadLetter(mailbox=mailbox, reason=reason, envelope=envelope, raw=raw))
        metrics.dead_letters.labels(mailbox, reason.partition(":")[0]).inc()


class MemoryTransport(Transport):
    """A transport over a :class:`MemoryBroker`; transports that share a broker reach each other's mailboxes."""

    def __init__(self, broker: MemoryBroker | None = None) -> None:
        self.broker = broker or MemoryBroker()
        self._consumers: list[Consumer] = []
        self._private: set[str] = set()
        self._subscriptions: list[Subscription] = []
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
        for mailbox in self.broker.mailboxes.values():
            mailbox.fail_senders(Unavailable, self)
        for name in self._private:
            if (private := self.broker.mailboxes.pop(name, None)) is not None:
                private.fail_senders(Unroutable)
        self._private.clear()

    async def ping(self) -> None:
        self._require_up()

    async def bind(self, mailbox: str, on_delivery: OnDelivery, prefetch: int, *, private: bool = False) -> Binding:
        self._require_up()
        found = self.broker.mailboxes.get(mailbox)
        if found is None:
            found = self.broker.mailboxes[mailbox] = Mailbox(mailbox, self.broker)
        if private:
            self._private.add(mailbox)
        else:
            metrics.mailbox_waiting.labels(mailbox).set_function(found.waiting)
        consumer = Consumer(found, on_delivery, prefetch, private)
        self._consumers.append(consumer)
        found.add(consumer)
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
        subscription = Subscription(pattern, on_event, self.broker)
        self._subscriptions.append(subscription)
        self.broker.subscriptions.append(subscription)
        return subscription

    def _mailbox(self, name: str) -> Mailbox:
        self._require_up()
        mailbox = self.broker.mailboxes.get(name)
        if mailbox is None:
            raise Unroutable
        return mailbox

    def _require_up(self) -> None:
        if not self._up:
            raise Unavailable

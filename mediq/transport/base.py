"""The interface of every transport: mailboxes, deliveries, topics. One contract test suite runs against all of them."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

import msgspec

from mediq.transport.envelope import Envelope

MAX_ATTEMPTS: Final = 3
"""Number of times a message is delivered; a retry after that makes it a dead letter."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was given up, and the reason. `envelope` is None if `raw` could not be decoded."""

    mailbox: str
    reason: str
    envelope: Envelope | None
    raw: bytes


class Delivery(ABC):
    """One envelope handed to a consumer. The consumer settles it exactly once, by one of the methods below.

    An unsettled delivery returns to the mailbox when its consumer stops or dies.
    """

    __slots__ = ()
    envelope: Envelope

    @abstractmethod
    async def ack(self) -> None:
        """The message is handled: remove it."""

    @abstractmethod
    async def retry(self, delay: float) -> None:
        """Deliver the message again after `delay` seconds, with its attempt raised by one.

        After MAX_ATTEMPTS it becomes a dead letter.
        """

    @abstractmethod
    async def dead_letter(self, reason: str) -> None:
        """Give the message up: keep it as a dead letter, for a human to look at."""

    @abstractmethod
    async def requeue(self) -> None:
        """Return the message to the mailbox at once, with its attempt unchanged: this consumer is stopping."""


class Binding(ABC):
    """A consumer's subscription to a mailbox or to a topic pattern."""

    @abstractmethod
    async def close(self) -> None:
        """Receive nothing more. Deliveries that were received and not settled must still be settled."""


OnDelivery = Callable[[Delivery], None]
OnEvent = Callable[[Envelope], None]


class Transport(ABC):
    """Carries envelopes between actors, in one process or between several.

    Callbacks must not block nor raise; they put the delivery or the event in a queue of their own.

    Example::

        transport = MemoryTransport()
        await transport.start()
        queue: asyncio.Queue[Delivery] = asyncio.Queue()
        binding = await transport.bind("clock", queue.put_nowait, prefetch=8)
        await transport.send("clock", envelope)
        delivery = await queue.get()
        await delivery.ack()
        await binding.close()
        await transport.stop()
    """

    @abstractmethod
    async def start(self) -> None:
        """Connect. Raises Unavailable if no connection can be made."""

    @abstractmethod
    async def stop(self) -> None:
        """Receive nothing more, return unsettled deliveries to their mailboxes, disconnect."""

    @abstractmethod
    async def ping(self) -> None:
        """Raise Unavailable if nothing can be sent now."""

    @abstractmethod
    async def bind(self, mailbox: str, on_delivery: OnDelivery, prefetch: int, *, private: bool = False) -> Binding:
        """Consume a mailbox and create it if it does not exist; at most `prefetch` deliveries are unsettled at a time.

        Several consumers of one mailbox share its messages. A `private` mailbox belongs to this process and is deleted
        when the process ends; its deliveries count as settled when handed over, and `prefetch` does not limit them.
        """

    @abstractmethod
    async def send(self, mailbox: str, envelope: Envelope, *, room: float = math.inf) -> None:
        """Put an envelope into a mailbox. Returns when it is stored there, at the latest at the envelope's deadline.

        `room` is the time in seconds to wait for room in a full mailbox.

        Raises:
            Unroutable: the mailbox does not exist.
            MailboxFull: there was no room within `room` seconds, or before the envelope's deadline.
            Unavailable: the transport is not connected.
        """

    def send_nowait(self, mailbox: str, envelope: Envelope) -> bool:
        """Send without waiting and return True, or return False if that is impossible; then nothing was sent.

        Raises:
            Unroutable: the mailbox does not exist.
            Unavailable: the transport is not connected.
        """
        return False

    @abstractmethod
    async def publish(self, topic: str, envelope: Envelope) -> None:
        """Send a copy to every subscriber of the topic. Having no subscriber is not an error."""

    @abstractmethod
    async def subscribe(self, pattern: str, on_event: OnEvent) -> Binding:
        """Receive a copy of every event whose topic matches: `*` stands for one word, `#` for any number of words.

        Events of one publisher arrive in order. A subscriber that falls behind its limit loses the oldest events. So
        events are only hints: the stores hold the truth, and versions reveal a gap.
        """

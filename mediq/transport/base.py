"""The interface that every transport honours: mailboxes, deliveries, topics. One contract suite tests them all."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

import msgspec

from mediq.transport.envelope import Envelope

MAX_ATTEMPTS: Final = 3
"""How often a message is handed out before a further retry makes it a dead letter."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """What was given up, and why: `envelope` is None where the bytes could not be decoded."""

    mailbox: str
    reason: str
    envelope: Envelope | None
    raw: bytes


class Delivery(ABC):
    """One envelope handed to a consumer, who must settle it exactly once; until then it can come back."""

    __slots__ = ()
    envelope: Envelope

    @abstractmethod
    async def ack(self) -> None:
        """It is done: forget it."""

    @abstractmethod
    async def retry(self, delay: float) -> None:
        """Hand it out again after `delay` seconds with its attempt raised; after MAX_ATTEMPTS it is a dead letter."""

    @abstractmethod
    async def dead(self, reason: str) -> None:
        """Give it up: keep it among the dead letters, for a human."""

    @abstractmethod
    async def requeue(self) -> None:
        """Hand it to whoever is next, at once and with its attempt unchanged: this consumer is leaving."""


class Binding(ABC):
    """A consumer's hold on a mailbox."""

    @abstractmethod
    async def close(self) -> None:
        """Take nothing more. What was delivered and not settled stays this consumer's to settle."""


OnDelivery = Callable[[Delivery], None]
OnEvent = Callable[[Envelope], None]


class Transport(ABC):
    """Carries envelopes between actors, in one process or between many.

    Callbacks must not block nor raise: they only hand over.
    """

    @abstractmethod
    async def start(self) -> None:
        """Connect. Raises Unavailable if that cannot be done."""

    @abstractmethod
    async def stop(self) -> None:
        """Take nothing more, give back what was not settled, disconnect."""

    @abstractmethod
    async def ping(self) -> None:
        """Raises Unavailable if nothing can be sent at present."""

    @abstractmethod
    async def bind(self, mailbox: str, on_delivery: OnDelivery, prefetch: int, *, private: bool = False) -> Binding:
        """Consume a mailbox, creating it where it does not exist; at most `prefetch` deliveries are unsettled.

        Several consumers of a mailbox share its messages. A `private` mailbox is this process's own and ends with it;
        its deliveries count as settled when they are handed over, and `prefetch` does not bound them.
        """

    @abstractmethod
    async def send(self, mailbox: str, envelope: Envelope, *, room: float = math.inf) -> None:
        """Put an envelope into a mailbox; returns when it is safe there, and never later than its deadline.

        Raises:
            Unroutable: there is no such mailbox.
            MailboxFull: there was no room within `room` seconds, or before the envelope's deadline.
            Unavailable: the transport is not connected.
        """

    def send_nowait(self, mailbox: str, envelope: Envelope) -> bool:
        """Do what `send` does if it takes no waiting, and say whether that was so; if not, nothing was done.

        Raises:
            Unroutable: there is no such mailbox.
            Unavailable: the transport is not connected.
        """
        return False

    @abstractmethod
    async def publish(self, topic: str, envelope: Envelope) -> None:
        """Give every subscriber of the topic a copy; nobody listening is no error."""

    @abstractmethod
    async def subscribe(self, pattern: str, on_event: OnEvent) -> Binding:
        """Get a copy of every event whose topic matches: `*` stands for one word, `#` for any number of them.

        Events of one publisher come in order. A subscriber that falls behind its bound loses the oldest, so events
        are hints: the truth is in the stores, and versions show a gap.
        """

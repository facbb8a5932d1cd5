"""The names and arguments of everything that MediQ declares at RabbitMQ. A change of arguments needs a new name: the
broker refuses to declare what exists with others.

A mailbox `q` is a quorum queue `q`. Beside it stand `q.dead`, where what was given up is kept for a week, and, made
when first wanted, `q.retry.<ms>`, whose messages go back to `q` after so many milliseconds.
"""

from typing import Any, Final

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import ChannelPreconditionFailed

from mediq.messages.errors import Unavailable
from mediq.transport.base import DeadLetter
from mediq.transport.envelope import Undecodable, decode_frame

EVENTS: Final = "mediq.events"
"""The topic exchange of all events."""
BURIAL: Final = "mediq.dead"
"""The exchange to which the broker itself gives up messages."""

REASON: Final = "mediq-reason"
"""Header of a dead letter: why it was given up."""
RETRIED: Final = "mediq-retried"
"""Header of a message that comes from a delay queue: its mailbox."""

DELIVERIES: Final = 10
"""So often a message may come back without having been settled: its consumer died of it, or left. Then it is dead."""
_BROKER_DELIVERIES: Final = 2 * DELIVERIES  # the net below, where no consumer lives long enough to look
_DEAD_KEPT_MS: Final = 7 * 86_400_000
_DEAD_CAPACITY: Final = 100_000

STEPS_MS: Final = (
    *(50, 150, 300, 600, 1_200, 2_500, 5_000, 10_000, 30_000),
    *(60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000),
)


def dead_name(mailbox: str) -> str:
    return f"{mailbox}.dead"


def retry_name(mailbox: str, step: int) -> str:
    return f"{mailbox}.retry.{step}"


def retry_step(delay: float) -> int:
    """The delay queue for so many seconds: the next longer step in milliseconds, an hour at most."""
    return next((step for step in STEPS_MS if step > delay * 1000), STEPS_MS[-1])


async def declare_events(channel: Channel) -> None:
    await channel.exchange_declare(EVENTS, exchange_type="topic", durable=True)


async def declare_mailbox(channel: Channel, mailbox: str, capacity: int) -> None:
    """A shared mailbox for `capacity` messages, and its dead letters.

    What the broker gives up goes to the dead letters only if it came too often, not if it expired: the headers tell
    the first reason of all, which of a retried message is the end of its delay. Such a message has no expiry of its
    own any more, so that whatever else befalls it is worth keeping.

    Raises:
        Unavailable: it exists with other arguments.
    """
    try:
        await channel.exchange_declare(BURIAL, exchange_type="headers", durable=True)
        await declare_dead(channel, mailbox)
        await channel.queue_declare(
            mailbox,
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-max-length": capacity - 1,  # a quorum queue refuses once it is over its length, not at it
                "x-overflow": "reject-publish",
                "x-dead-letter-exchange": BURIAL,
                "x-delivery-limit": _BROKER_DELIVERIES,
            },
        )
    except ChannelPreconditionFailed as error:
        raise Unavailable(
            f"The queue {mailbox} exists at the broker with other settings; delete it there once it is empty, "
            f"or give the mailbox another name: {error}"
        ) from error


async def declare_dead(channel: Channel, mailbox: str) -> None:
    name = dead_name(mailbox)
    await channel.queue_declare(
        name,
        durable=True,
        arguments={"x-queue-type": "quorum", "x-message-ttl": _DEAD_KEPT_MS, "x-max-length": _DEAD_CAPACITY},
    )
    too_often = {"x-first-death-reason": "delivery_limit", "x-first-death-queue": mailbox}
    await channel.queue_bind(name, BURIAL, arguments={"x-match": "all-with-x", **too_often})
    await channel.queue_bind(name, BURIAL, arguments={"x-match": "any", RETRIED: mailbox})


async def declare_retry(channel: Channel, mailbox: str, step: int) -> None:
    """It keeps a message until the mailbox has taken it, for which the broker needs it to refuse when full."""
    await channel.queue_declare(
        retry_name(mailbox, step),
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-message-ttl": step,
            "x-overflow": "reject-publish",
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": mailbox,
            "x-dead-letter-strategy": "at-least-once",
        },
    )


async def declare_private(channel: Channel, mailbox: str, capacity: int) -> None:
    await channel.queue_declare(
        mailbox, exclusive=True, arguments={"x-max-length": capacity, "x-overflow": "reject-publish"}
    )


async def declare_subscription(channel: Channel, name: str, pattern: str, capacity: int) -> None:
    """A queue that loses its oldest when it is full."""
    await channel.queue_declare(name, exclusive=True, arguments={"x-max-length": capacity})
    await channel.queue_bind(name, EVENTS, routing_key=pattern)


def read_dead_letter(mailbox: str, message: DeliveredMessage) -> DeadLetter:
    """What lies in the dead letters of a mailbox."""
    try:
        (envelope,) = decode_frame(message.body)
    except (Undecodable, ValueError):
        envelope = None
    headers: dict[str, Any] = message.header.properties.headers or {}
    reason = str(headers.get(REASON, "deliveries"))
    return DeadLetter(mailbox=mailbox, reason=reason, envelope=envelope, raw=message.body)

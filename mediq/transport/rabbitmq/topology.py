"""The names and arguments of everything that MediQ declares at RabbitMQ. A change of arguments needs a new name: the
broker refuses to declare what exists with others.

A mailbox `q` is a quorum queue `q`. Beside it stand `q.dead`, where what was given up is kept for a week; `q.again`,
which is never full, for what was in `q` already and must come again; and, made when first wanted, `q.retry.<ms>`, whose
messages go to `q.again` after so many milliseconds. A consumer of `q` brings what is in `q.again` into `q` when there
is room: the broker itself would try only every three minutes.
"""

from typing import Any, Final

from aiormq.channel import Channel
from aiormq.exceptions import ChannelPreconditionFailed

from mediq.messages.errors import Unavailable

EVENTS: Final = "mediq.events"
"""The topic exchange of all events."""
BURIAL: Final = "mediq.dead"
"""The exchange to which the broker itself gives up messages."""

REASON: Final = "mediq-reason"
"""Header of a dead letter: why it was given up."""
RETRIED: Final = "mediq-retried"
"""Header of a message that waits to come again: its mailbox."""

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


def again_name(mailbox: str) -> str:
    return f"{mailbox}.again"


def retry_name(mailbox: str, step: int) -> str:
    return f"{mailbox}.retry.{step}"


def retry_step(delay: float) -> int:
    """The delay queue for so many seconds: the next longer step in milliseconds, an hour at most."""
    return next((step for step in STEPS_MS if step > delay * 1000), STEPS_MS[-1])


async def declare_events(channel: Channel) -> None:
    await channel.exchange_declare(EVENTS, exchange_type="topic", durable=True)


async def declare_mailbox(channel: Channel, mailbox: str, capacity: int) -> None:
    """A shared mailbox for `capacity` messages, and what stands beside it.

    Raises:
        Unavailable: it exists with other arguments.
    """
    try:
        await channel.exchange_declare(BURIAL, exchange_type="headers", durable=True)
        await declare_dead(channel, mailbox)
        kept: dict[str, Any] = {
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": BURIAL,
            "x-delivery-limit": _BROKER_DELIVERIES,
        }
        await channel.queue_declare(again_name(mailbox), durable=True, arguments=kept)
        bound = {"x-max-length": capacity - 1, "x-overflow": "reject-publish"}  # it refuses when over its length
        await channel.queue_declare(mailbox, durable=True, arguments=kept | bound)
    except ChannelPreconditionFailed as error:
        raise Unavailable(
            f"The queue {mailbox} exists at the broker with other settings; delete it there once it is empty, "
            f"or give the mailbox another name: {error}"
        ) from error


async def declare_dead(channel: Channel, mailbox: str) -> None:
    """What the broker itself gives up comes here if it was delivered too often, and not if it expired. Of what was
    delayed, the first reason is the end of its delay; that has no expiry, so whatever befell it is worth keeping.
    """
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
    """It keeps a message until it is safe elsewhere, for which the broker wants it to refuse when full."""
    await channel.queue_declare(
        retry_name(mailbox, step),
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-message-ttl": step,
            "x-overflow": "reject-publish",
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": again_name(mailbox),
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

"""The names and arguments of everything that MediQ declares at RabbitMQ.

Changed arguments need a new name: the broker refuses to declare an existing queue with other arguments.

A mailbox `q` is a quorum queue `q`, with helper queues beside it. `q.dead` keeps dead letters for a week. `q.again`
has no limit and holds messages that were in `q` before and must be delivered again. `q.retry.<ms>` delays a message by
that many milliseconds and then moves it to `q.again`; it is declared at first use. A consumer of `q` moves messages
from `q.again` to `q` when there is room: the broker itself would try only every three minutes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from aio_pika import ExchangeType
from aio_pika.abc import AbstractRobustChannel, AbstractRobustExchange, AbstractRobustQueue
from aio_pika.exceptions import ChannelPreconditionFailed

from mediq.messages.errors import Unavailable

EVENTS: Final = "mediq.events"
"""The topic exchange of all events."""
DEAD_LETTERS: Final = "mediq.dead"
"""The exchange to which the broker itself sends dead letters."""

REASON: Final = "mediq-reason"
"""Header of a dead letter: the reason."""
RETRIED: Final = "mediq-retried"
"""Header of a message that waits to be delivered again: its mailbox."""

DELIVERIES: Final = 10
"""Number of times a message may return unsettled, because its consumer died or stopped, before it is a dead letter."""
_BROKER_DELIVERIES: Final = 2 * DELIVERIES  # for a message that kills every consumer before it counts deliveries
_DEAD_LETTERS_KEPT_MS: Final = 7 * 86_400_000
_DEAD_LETTERS_CAPACITY: Final = 100_000

STEPS_MS: Final = (
    *(50, 150, 300, 600, 1_200, 2_500, 5_000, 10_000, 30_000),
    *(60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000),
)
"""The delays of the retry queues, in milliseconds."""


def dead_name(mailbox: str) -> str:
    return f"{mailbox}.dead"


def again_name(mailbox: str) -> str:
    return f"{mailbox}.again"


def retry_name(mailbox: str, step: int) -> str:
    return f"{mailbox}.retry.{step}"


def retry_step(delay: float) -> int:
    """Return the retry queue's delay in milliseconds for `delay` seconds: the next longer step, at most an hour."""
    return next((step for step in STEPS_MS if step > delay * 1000), STEPS_MS[-1])


async def declare_events(channel: AbstractRobustChannel) -> AbstractRobustExchange:
    """Declare the topic exchange of events."""
    return await channel.declare_exchange(EVENTS, ExchangeType.TOPIC, durable=True)


async def declare_mailbox(channel: AbstractRobustChannel, mailbox: str, capacity: int) -> AbstractRobustQueue:
    """Declare the queue of a shared mailbox for `capacity` messages.

    Raises:
        Unavailable: the queue exists with other arguments.
    """
    bound = {"x-max-length": capacity - 1, "x-overflow": "reject-publish"}  # the queue refuses above its length
    with _refused(mailbox):
        return await channel.declare_queue(mailbox, durable=True, arguments=_kept() | bound)


async def declare_again(channel: AbstractRobustChannel, mailbox: str) -> AbstractRobustQueue:
    """Declare the queue of messages to be delivered again, and the queue of dead letters.

    Raises:
        Unavailable: one of them exists with other arguments.
    """
    with _refused(mailbox):
        await declare_dead_letters(channel, mailbox)
        return await channel.declare_queue(again_name(mailbox), durable=True, arguments=_kept())


async def declare_dead_letters(channel: AbstractRobustChannel, mailbox: str) -> None:
    """Declare the queue of a mailbox's dead letters.

    The broker sends a message there that was delivered too often, not one that expired. For a delayed message the
    first reason is the end of its delay, so it is recognised by its header; it has no expiry of its own.
    """
    exchange = await channel.declare_exchange(DEAD_LETTERS, ExchangeType.HEADERS, durable=True)
    queue = await channel.declare_queue(
        dead_name(mailbox),
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-message-ttl": _DEAD_LETTERS_KEPT_MS,
            "x-max-length": _DEAD_LETTERS_CAPACITY,
        },
    )
    too_often = {"x-first-death-reason": "delivery_limit", "x-first-death-queue": mailbox}
    # aio-pika restores one binding for each routing key, so the keys differ; a headers exchange ignores them.
    await queue.bind(exchange, "", arguments={"x-match": "all-with-x", **too_often})
    await queue.bind(exchange, RETRIED, arguments={"x-match": "any", RETRIED: mailbox})


async def declare_retry(channel: AbstractRobustChannel, mailbox: str, step: int) -> None:
    """Declare the queue that delays a message by `step` milliseconds.

    It keeps a message until the next queue has confirmed it; for that, the broker demands `reject-publish`.
    """
    await channel.declare_queue(
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


async def declare_private(channel: AbstractRobustChannel, mailbox: str, capacity: int) -> AbstractRobustQueue:
    """Declare the queue of a private mailbox; it refuses messages when full."""
    return await channel.declare_queue(
        mailbox, exclusive=True, arguments={"x-max-length": capacity, "x-overflow": "reject-publish"}
    )


async def declare_subscription(
    channel: AbstractRobustChannel, name: str, pattern: str, capacity: int
) -> AbstractRobustQueue:
    """Declare the queue of a subscription; it loses its oldest event when full."""
    queue = await channel.declare_queue(name, exclusive=True, arguments={"x-max-length": capacity})
    await queue.bind(EVENTS, pattern)
    return queue


def _kept() -> dict[str, Any]:
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": DEAD_LETTERS,
        "x-delivery-limit": _BROKER_DELIVERIES,
    }


@contextmanager
def _refused(mailbox: str) -> Iterator[None]:
    try:
        yield
    except ChannelPreconditionFailed as error:
        raise Unavailable(
            f"The queue {mailbox} exists at the broker with other settings; delete it there once it is empty, "
            f"or give the mailbox another name: {error}"
        ) from error

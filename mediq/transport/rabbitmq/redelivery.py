"""Publishes messages of one mailbox a second time: into the mailbox, into a retry queue, or as dead letters."""

from collections.abc import Awaitable, Callable
from typing import Any

from aio_pika.abc import AbstractRobustChannel

from mediq.messages.errors import Unroutable
from mediq.observability import metrics
from mediq.transport.envelope import Envelope, encode_frame
from mediq.transport.rabbitmq.connection import Connection, Refused
from mediq.transport.rabbitmq.topology import (
    REASON,
    RETRIED,
    again_name,
    dead_name,
    declare_dead_letters,
    declare_retry,
    retry_name,
    retry_step,
)


class Redelivery:
    """The ways of a message that its consumer did not handle. All methods raise Refused or a Fault."""

    def __init__(self, mailbox: str, connection: Connection) -> None:
        self._mailbox = mailbox
        self._connection = connection

    async def split(self, envelopes: list[Envelope]) -> None:
        """Publish each envelope of a batch in a message of its own."""
        for envelope in envelopes:
            await self.send_again([envelope])

    async def send_again(self, envelopes: list[Envelope], delay: float = 0.0) -> None:
        """Publish a batch to the mailbox, after `delay` seconds or when there is room."""
        frame = encode_frame(envelopes)
        headers = {RETRIED: self._mailbox}
        if delay > 0:
            step = retry_step(delay)
            await self._publish_and_declare(
                retry_name(self._mailbox, step), frame, headers, lambda ch: declare_retry(ch, self._mailbox, step)
            )
            return
        try:
            await self._connection.publish(self._mailbox, frame)
        except Refused:
            await self._connection.publish(again_name(self._mailbox), frame, headers=headers)

    async def dead_letter(self, raw: bytes, reason: str) -> None:
        """Publish a message to the dead letters of the mailbox, and count it."""
        await self._publish_and_declare(
            dead_name(self._mailbox), raw, {REASON: reason}, lambda ch: declare_dead_letters(ch, self._mailbox)
        )
        metrics.dead_letters.labels(self._mailbox, reason.partition(":")[0]).inc()

    async def _publish_and_declare(
        self,
        queue: str,
        frame: bytes,
        headers: dict[str, Any],
        declare: Callable[[AbstractRobustChannel], Awaitable[None]],
    ) -> None:
        """Publish to a helper queue; declare it first if it does not exist."""
        try:
            await self._connection.publish(queue, frame, headers=headers)
        except Unroutable:
            async with self._connection.temporary_channel() as channel:
                await declare(channel)
            await self._connection.publish(queue, frame, headers=headers)

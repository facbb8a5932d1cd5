"""Moves messages that must be delivered again from the queue `<mailbox>.again` into the mailbox."""

import asyncio
import itertools
from contextlib import suppress
from typing import Any, Final

from aio_pika.abc import AbstractIncomingMessage, AbstractRobustChannel, AbstractRobustQueue

from mediq.messages.errors import Fault, Unavailable
from mediq.transport.rabbitmq.connection import CLOSING, Connection, Refused, close_channel
from mediq.transport.rabbitmq.publisher import PAUSES
from mediq.transport.rabbitmq.topology import declare_again

PREFETCH: Final = 10
"""Number of messages that wait here for room in the mailbox at a time."""


class Relay:
    """Publishes each message of the queue to the mailbox as soon as there is room, then acknowledges it."""

    def __init__(self, mailbox: str, connection: Connection) -> None:
        self._mailbox = mailbox
        self._connection = connection
        self._open = True
        self._moving: set[asyncio.Task[Any]] = set()
        self._channel: AbstractRobustChannel | None = None
        self._queue: AbstractRobustQueue
        self._tag: str | None = None

    async def start(self) -> None:
        """Declare the queue and consume it; the mailbox must exist. Raises what aio-pika raises."""
        self._channel = await self._connection.consuming.channel()
        await self._channel.set_qos(PREFETCH)
        self._queue = await declare_again(self._channel, self._mailbox)
        self._tag = await self._queue.consume(self._receive)

    async def stop(self) -> None:
        """Move no more, and return what waits for room to the queue."""
        self._open = False
        if self._tag is not None:
            with suppress(Unavailable):
                async with self._connection.consuming.alive(), asyncio.timeout(CLOSING):
                    await self._queue.cancel(self._tag)
        if self._moving:
            await asyncio.wait(self._moving, timeout=CLOSING)
        await self.release()

    async def release(self) -> None:
        """Close the channel if it is open."""
        if self._channel is not None:
            await close_channel(self._channel)

    async def _receive(self, message: AbstractIncomingMessage) -> None:
        task = asyncio.current_task()  # aio-pika cancels it when the channel is lost, and the message comes again
        assert task is not None
        self._moving.add(task)
        try:
            await self._move(message)
        finally:
            self._moving.discard(task)

    async def _move(self, message: AbstractIncomingMessage) -> None:
        moved = False
        for pause in itertools.chain(PAUSES, itertools.repeat(PAUSES[-1])):
            if not self._open:
                break
            try:
                await self._connection.publish(self._mailbox, message.body)
            except Refused:
                await asyncio.sleep(pause)
            except Fault:
                break
            else:
                moved = True
                break
        with suppress(Unavailable):
            async with self._connection.consuming.alive():
                await (message.ack() if moved else message.nack())

"""A spell of being connected to RabbitMQ, from a handshake to the loss of anything that was opened since."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractConnection
from aio_pika.connection import make_url
from aiormq import spec
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError, DeliveryError, PublishError

from mediq.messages.errors import Unavailable, Unroutable
from mediq.observability import logging

HEARTBEAT: Final = 5
"""Seconds of silence after which either side begins to doubt that the other lives."""
STALL: Final = 2.0
"""Seconds that a confirm may take before nothing more is sent."""
CONNECTING: Final = 5.0
CLOSING: Final = 2.0

_log = logging.logger("rabbitmq")
_numbers = itertools.count(1)


class Refused(Exception):
    """The broker took a message back: its queue is full."""


@contextmanager
def broker_errors() -> Iterator[None]:
    """Whatever goes wrong with a connection is :class:`Unavailable`.

    The client library ends what waits on a closing connection with a CancelledError, too; that is none of ours.
    """
    try:
        yield
    except (AMQPError, OSError, RuntimeError) as error:  # TimeoutError is an OSError
        raise Unavailable from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise Unavailable from error


class Link:
    """Two connections: the broker may stop reading from one that publishes when it is short of memory, and what is
    consumed must be settled all the same. When anything of a link closes, all of it is given up.
    """

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self._connections: list[AbstractConnection] = []
        self._publishing: Channel
        self._unconfirmed: dict[int, float] = {}
        self._released: set[Channel] = set()
        self._scopes: set[asyncio.Timeout] = set()

    async def open(self, url: str) -> None:
        """Raises Unavailable; close it all the same."""
        address = make_url(url) if "heartbeat=" in url else make_url(url, heartbeat=HEARTBEAT)
        with broker_errors():
            async with asyncio.timeout(2 * CONNECTING):
                for _ in range(2):
                    connection = await aio_pika.connect(address, timeout=CONNECTING)
                    self._connections.append(connection)
                    connection.close_callbacks.add(self.lose)
                self._publishing = await self._channel(self._connections[0], confirms=True)
                self.watch(self._publishing)

    def lose(self, *_: object) -> None:
        """Give up all of it, and end whatever waits for it: the client library may leave that waiting for ever."""
        if not self.lost.is_set():
            self.lost.set()
            for scope in self._scopes:
                scope.reschedule(0.0)

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """What is awaited in here ends with Unavailable when the link is lost."""
        if self.lost.is_set():
            raise Unavailable
        with broker_errors():
            async with asyncio.timeout(None) as scope:
                self._scopes.add(scope)
                try:
                    yield
                finally:
                    self._scopes.discard(scope)

    async def channel(self) -> Channel:
        """A channel to consume on."""
        return await self._channel(self._connections[1], confirms=False)

    @asynccontextmanager
    async def topology(self, patience: float = CONNECTING) -> AsyncIterator[Channel]:
        """A channel to declare on for so many seconds: whatever is refused there closes it, and nothing else."""
        with broker_errors():
            async with asyncio.timeout(patience):
                channel = await self.channel()
                try:
                    yield channel
                finally:
                    if not channel.is_closed:
                        await channel.close(timeout=CLOSING)

    def watch(self, channel: Channel) -> None:
        """Count the link as lost when this channel closes without having been released."""

        def closed(_: object) -> None:
            if channel not in self._released:
                self.lose()

        channel.closing.add_done_callback(closed)

    async def release(self, channel: Channel) -> None:
        """Close a channel that has served its time."""
        self._released.add(channel)
        with suppress(Unavailable), broker_errors():
            await channel.close(timeout=CLOSING)

    @property
    def stalled(self) -> bool:
        """Whether the broker has kept silent for so long that it is no use to send more."""
        oldest = next(iter(self._unconfirmed.values()), None)
        return oldest is not None and asyncio.get_running_loop().time() - oldest > STALL

    async def publish(
        self,
        key: str,
        body: bytes,
        *,
        exchange: str = "",
        durable: bool = True,
        expiration: float | None = None,
        headers: dict[str, Any] | None = None,
    ) -> None:
        """Publish and wait for the confirm; what is `durable` must reach a queue, and its disk. Expires after so many
        seconds.

        Raises:
            Unroutable, Refused, Unavailable: the last also where it is not known whether it arrived.
        """
        number = next(_numbers)
        properties = spec.Basic.Properties(
            message_id=f"{number:x}",
            delivery_mode=2 if durable else 1,
            expiration=None if expiration is None else str(max(0, int(expiration * 1000) + 1)),
            headers=headers,
        )
        self._unconfirmed[number] = asyncio.get_running_loop().time()
        try:
            async with self.alive():
                try:
                    await self._publishing.basic_publish(
                        body, exchange=exchange, routing_key=key, properties=properties, mandatory=durable, wait=False
                    )
                except PublishError:
                    raise Unroutable from None
                except DeliveryError:
                    raise Refused from None
        finally:
            del self._unconfirmed[number]

    async def close(self) -> None:
        """Say good-bye if the broker listens, and hang up in any case."""
        self.lose()
        closing = [asyncio.ensure_future(connection.close()) for connection in self._connections]
        if closing:
            _, pending = await asyncio.wait(closing, timeout=CLOSING)
            for task in pending:
                task.cancel()
            if pending:
                await asyncio.wait(pending, timeout=CLOSING)
        for task in closing:
            if task.done() and not task.cancelled() and task.exception() is not None:
                _log.debug("connection closed badly", error=repr(task.exception()))

    @staticmethod
    async def _channel(connection: AbstractConnection, *, confirms: bool) -> Channel:
        channel = await connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
        underlay = await channel.get_underlay_channel()
        assert isinstance(underlay, Channel)
        return underlay

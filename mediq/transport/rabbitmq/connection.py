"""The connection to RabbitMQ: two robust connections of aio-pika, which reconnect by themselves."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

from aio_pika import DeliveryMode, RobustChannel, RobustConnection
from aio_pika.abc import AbstractRobustChannel, UnderlayConnection
from aio_pika.connection import make_url
from aio_pika.exceptions import AMQPError, DeliveryError, PublishError
from aiormq import spec
from aiormq.channel import Channel
from yarl import URL

from mediq.messages.errors import Unavailable, Unroutable
from mediq.observability import logging
from mediq.transport.rabbitmq.topology import EVENTS, declare_events

HEARTBEAT: Final = 5
"""Seconds of silence after which either side takes the connection for dead."""
STALL: Final = 2.0
"""Seconds without a publisher confirm after which nothing more is sent."""
CONNECTING: Final = 5.0
"""Seconds that one attempt to connect, or one declaration, may take."""
CLOSING: Final = 2.0
"""Seconds that the broker may take to close a connection or a channel, or to cancel a consumer."""
LONGEST: Final = 8
"""The longest time between two attempts to reconnect, as a multiple of the first."""

_log = logging.logger("rabbitmq")
_numbers = itertools.count(1)


class Refused(Exception):
    """The broker rejected a message: its queue is full."""


@contextmanager
def broker_errors() -> Iterator[None]:
    """Turn every error of the client library into :class:`Unavailable`.

    The library also cancels what waits on a closing connection; such a cancellation is not one of the running task.
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


class _Channel(RobustChannel):
    """A channel that gives up its connection if it cannot be reopened: aio-pika would leave it closed."""

    async def _on_close(self, closing: asyncio.Future[Any]) -> BaseException | None:
        transport = self._connection.transport
        try:
            return await super()._on_close(closing)
        except Exception as error:
            if transport is not None and not transport.connection.is_closed and not self._close_called:
                _log.warning("channel not reopened", error=repr(error))
                await transport.connection.close()
            raise


class _RobustConnection(RobustConnection):
    """Calls `begin_restoring`, and waits for it, before it restores the channels of a new connection."""

    CHANNEL_CLASS = _Channel

    def __init__(self, url: URL, begin_restoring: Callable[[], Awaitable[None]]) -> None:
        super().__init__(url)
        self._begin_restoring = begin_restoring

    async def _on_connected(self) -> None:
        await self._begin_restoring()
        await super()._on_connected()


class WatchedConnection:
    """One robust connection of aio-pika that knows whether it is up.

    aio-pika reconnects and restores channels, queues and consumers. It lets calls wait meanwhile; here they fail at
    once instead, since callers have deadlines. `name` is for the log. `reconnect_interval` is the time in seconds
    after the first failed attempt to reconnect; it doubles after each further one, up to eight times. `on_lost` is
    called when the connection is lost. With `after`, channels are restored only while that other connection is up.

    A queue whose declaration the broker refuses, because it exists with other settings, keeps the connection down: the
    reason is logged at each attempt. Nothing else is consumed meanwhile, as at a start.
    """

    def __init__(
        self,
        name: str,
        url: str,
        reconnect_interval: float,
        on_lost: Callable[[], None],
        after: "WatchedConnection | None" = None,
    ) -> None:
        self.restored = asyncio.Event()
        """Set while the connection is up and its channels are restored."""
        self._name = name
        self._interval = reconnect_interval
        self._on_lost = on_lost
        self._after = after
        self._live = False  # connected; the channels may have to be restored yet
        self._failures = 0
        self._scopes: set[asyncio.Timeout] = set()
        self._dropping: set[asyncio.Task[None]] = set()
        address = make_url(url) if "heartbeat=" in url else make_url(url, heartbeat=HEARTBEAT)
        self._connection = _RobustConnection(address, self.begin_restoring)
        self._connection.reconnect_interval = reconnect_interval
        self._connection.close_callbacks.add(self._lost)
        self._connection.reconnect_callbacks.add(self._restored)

    @property
    def up(self) -> bool:
        """Whether the connection is up and its channels are restored."""
        return self.restored.is_set()

    async def open(self) -> None:
        """Connect. Raises what aio-pika raises."""
        await self._connection.connect(timeout=CONNECTING)
        self.restored.set()

    async def channel(self, *, confirms: bool = False) -> AbstractRobustChannel:
        """Open a channel that aio-pika restores after a reconnection. Raises Unavailable while not connected."""
        if not self._live:
            raise Unavailable
        return await self._connection.channel(publisher_confirms=confirms, on_return_raises=confirms)

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Raise Unavailable in the block as soon as the connection is lost: aio-pika might let it wait for ever.

        Channels that are restored may be used while others are not yet: their consumers already settle messages.
        """
        if not self._live:
            raise Unavailable
        with broker_errors():
            async with asyncio.timeout(None) as scope:
                self._scopes.add(scope)
                try:
                    yield
                finally:
                    self._scopes.discard(scope)

    async def close(self) -> None:
        """Close the connection and do not reconnect; hang up if the broker does not answer."""
        self._end()
        closing = asyncio.ensure_future(self._connection.close())
        for _ in range(2):
            await asyncio.wait([closing], timeout=CLOSING)
            if closing.done():
                break
            closing.cancel()
        if closing.done() and not closing.cancelled() and closing.exception() is not None:
            _log.debug("connection closed badly", error=repr(closing.exception()))

    def drop(self) -> None:
        """Give up the connection, so that aio-pika makes a new one and restores all channels."""
        self._end()
        transport = self._connection.transport
        if transport is not None and not transport.connection.is_closed:
            task = asyncio.create_task(_hang_up(transport))
            self._dropping.add(task)
            task.add_done_callback(self._dropping.discard)

    async def begin_restoring(self) -> None:
        """A connection is made: wait until its channels may be restored. Raises ConnectionError if it is lost."""
        if self._after is not None and not self._after.up:
            transport = self._connection.transport
            assert transport is not None
            waiting = asyncio.ensure_future(self._after.restored.wait())
            closing = transport.connection.closing
            try:
                await asyncio.wait([waiting, closing], return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
                closing.cancel()
            if transport.connection.is_closed:
                raise ConnectionError("lost again")
        self._live = True

    def _lost(self, _: object, error: BaseException | None = None) -> None:
        """The connection is lost, or an attempt to make or restore it has failed; aio-pika may report it twice."""
        was_up, was_live = self.up, self._live
        self._end()
        if self._connection.close_called:
            return
        if was_up:
            _log.warning("broker lost", connection=self._name, error=repr(error))
            self._on_lost()
        elif self._connection.connection_attempt and (was_live or self._connection.transport is None):
            self._failures += 1
            self._connection.reconnect_interval = self._interval * min(LONGEST, 2 ** (self._failures - 1))
            _log.warning("broker not reached", connection=self._name, attempt=self._failures, error=repr(error))

    def _restored(self, *_: object) -> None:
        self._failures = 0
        self._connection.reconnect_interval = self._interval
        self.restored.set()
        _log.info("broker reached again", connection=self._name)

    def _end(self) -> None:
        self._live = False
        self.restored.clear()
        scopes, self._scopes = self._scopes, set()
        for scope in scopes:
            scope.reschedule(0.0)


async def _hang_up(transport: UnderlayConnection) -> None:
    with suppress(Unavailable), broker_errors():
        async with asyncio.timeout(CLOSING):
            await transport.connection.close()


class Connection:
    """Two connections: RabbitMQ stops reading from a connection that publishes when it is short of memory, and
    acknowledgements must reach it all the same.

    Nothing is consumed while the publishing one is down: a message that must be delivered again could not be published
    and would return to its consumer at once. `on_lost` is called when one of them is lost.
    """

    def __init__(self, url: str, reconnect_interval: float, on_lost: Callable[[], None]) -> None:
        self.publishing = WatchedConnection("publishing", url, reconnect_interval, self._publishing_lost)
        self.consuming = WatchedConnection("consuming", url, reconnect_interval, on_lost, after=self.publishing)
        self._on_lost = on_lost
        self._unconfirmed: dict[int, float] = {}
        self._channel: AbstractRobustChannel

    async def open(self) -> None:
        """Connect and declare the exchange of events. Raises Unavailable; `close` must be called even then."""
        with broker_errors():
            async with asyncio.timeout(2 * CONNECTING):
                await self.publishing.open()
                await self.consuming.open()
                self._channel = await self.publishing.channel(confirms=True)
                await declare_events(self._channel)

    def _publishing_lost(self) -> None:
        self.consuming.drop()
        self._on_lost()

    @property
    def up(self) -> bool:
        """Whether both connections are up: without the consuming one, replies could not arrive."""
        return self.publishing.up and self.consuming.up

    @property
    def stalled(self) -> bool:
        """Whether a confirm is so late that sending more is pointless."""
        oldest = next(iter(self._unconfirmed.values()), None)
        return oldest is not None and asyncio.get_running_loop().time() - oldest > STALL

    async def publish(
        self, queue: str, body: bytes, *, expiration: float | None = None, headers: dict[str, Any] | None = None
    ) -> None:
        """Publish a persistent message to a queue and wait for the confirm that it is on disk.

        The message expires after `expiration` seconds.

        Raises:
            Unroutable: there is no such queue.
            Refused: the queue is full.
            Unavailable: not connected, or the connection was lost before the confirm; then the message may be there.
        """
        properties = spec.Basic.Properties(
            delivery_mode=DeliveryMode.PERSISTENT,
            expiration=None if expiration is None else str(max(0, int(expiration * 1000)) + 1),  # 0 expires at once
            headers=headers,
        )
        await self._publish("", queue, body, properties, mandatory=True)

    async def publish_event(self, topic: str, body: bytes) -> None:
        """Publish a message to the subscribers of a topic, and wait for the confirm. Raises Refused or Unavailable."""
        await self._publish(
            EVENTS, topic, body, spec.Basic.Properties(delivery_mode=DeliveryMode.NOT_PERSISTENT), mandatory=False
        )

    async def ping(self) -> None:
        """Publish a message to no queue, and wait for the confirm. Raises Unavailable."""
        await self._publish(
            "", "mediq.ping", b"", spec.Basic.Properties(delivery_mode=DeliveryMode.NOT_PERSISTENT), mandatory=False
        )

    async def _publish(
        self, exchange: str, key: str, body: bytes, properties: spec.Basic.Properties, *, mandatory: bool
    ) -> None:
        number = next(_numbers)
        properties.message_id = f"{number:x}"
        self._unconfirmed[number] = asyncio.get_running_loop().time()
        try:
            async with self.publishing.alive():
                channel = await self._channel.get_underlay_channel()
                assert isinstance(channel, Channel)
                try:
                    # aiormq's publish: aio-pika's also waits until the socket has taken the message.
                    await channel.basic_publish(
                        body, exchange=exchange, routing_key=key, properties=properties, mandatory=mandatory, wait=False
                    )
                except PublishError:
                    raise Unroutable from None
                except DeliveryError:
                    raise Refused from None
        finally:
            del self._unconfirmed[number]

    @asynccontextmanager
    async def temporary_channel(self) -> AsyncIterator[AbstractRobustChannel]:
        """A channel for declarations: the broker closes the channel of a declaration that it refuses."""
        with broker_errors():
            async with asyncio.timeout(CONNECTING):
                channel = await self.consuming.channel()
                try:
                    yield channel
                finally:
                    await close_channel(channel)

    async def close(self) -> None:
        """Close both connections."""
        await asyncio.gather(self.publishing.close(), self.consuming.close())


async def close_channel(channel: AbstractRobustChannel) -> None:
    """Close a channel for good, whatever its state."""
    try:
        with broker_errors():
            async with asyncio.timeout(CLOSING):
                await channel.close()
    except Unavailable as error:
        _log.debug("channel closed badly", error=repr(error.__cause__))

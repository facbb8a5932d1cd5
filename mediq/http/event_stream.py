"""The response that sends a feed to one client as Server-Sent Events.

Events go straight into the buffer of the client's connection. Once that buffer is full, later events are left out and
the client gets a snapshot when it has read what was sent: memory stays bounded.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp_sse import EventSourceResponse

from mediq.http.feed import Feed
from mediq.observability import logging

_log = logging.logger("sse")
_PING_SECONDS: Final = 15.0
_SEND_SECONDS: Final = 30.0
"""Seconds after which a client that is behind and does not read is disconnected."""
_SILENT_SECONDS: Final = 30.0
"""Seconds after which a client that acknowledges nothing, as a phone out of reach, is disconnected (Linux only)."""
_RETRY: Final = b"retry: 1000\n\n"
"""Asks the client to connect again one second after the end of the stream."""


class _Phase(Enum):
    BEHIND = auto()
    """Events are left out; a snapshot will stand for them."""
    CURRENT = auto()
    """Events are sent."""
    CLOSED = auto()


class EventStream(EventSourceResponse):
    """Sends `feed` until the client leaves, the feed ends, or `seconds` have passed.

    At most `buffer` bytes wait for the client before events are left out. `last_version` is the version that the client
    saw last in an earlier connection. `on_open` and `on_close` are called when the stream begins and ends.

    The whole stream is sent by :meth:`prepare`, which aiohttp calls when the middlewares have returned. Their frames
    would otherwise stay in memory as long as the stream, and make a fifth of its cost. :meth:`put` writes to the
    connection itself, since to wake a task for each client more than doubles the cost of an event.
    """

    def __init__(
        self,
        feed: Feed,
        last_version: int | None,
        *,
        buffer: int,
        seconds: float | None = None,
        on_open: Callable[["EventStream"], None] = lambda stream: None,
        on_close: Callable[["EventStream"], None] = lambda stream: None,
    ) -> None:
        super().__init__(sep="\n", send_timeout=_SILENT_SECONDS, ping_interval=_PING_SECONDS)
        del self.headers[hdrs.CONNECTION]  # aiohttp sets it as the request wants
        self._feed = feed
        self._last_version = last_version
        self._buffer = buffer
        self._seconds = seconds
        self._on_open = on_open
        self._on_close = on_close
        self._phase = _Phase.BEHIND
        self._interrupted = asyncio.get_running_loop().create_future()  # done when the stream is not current any more

    def put(self, event: bytes, chunk: bytes) -> None:
        """Send an event, unless the client is behind and will get a snapshot."""
        if self._phase is not _Phase.CURRENT:
            return
        if self._protocol.writing_paused:
            self.skip_to_snapshot()
        elif not self._transport.is_closing():
            self._transport.write(chunk if self._chunks else event)

    def skip_to_snapshot(self) -> None:
        """Leave out events until the client has read what was sent; then send a snapshot."""
        if self._phase is _Phase.CURRENT:
            self._interrupt(_Phase.BEHIND)

    def close(self) -> None:
        """End the stream after what was sent."""
        self._interrupt(_Phase.CLOSED)

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the stream to its end.

        Raises:
            ConnectionError: the client has left, or does not read.
        """
        assert request.transport is not None
        self._protocol, self._transport = request.protocol, request.transport
        self._transport.set_write_buffer_limits(high=self._buffer)
        self._chunks = request.version >= HttpVersion11
        if not self._chunks:
            self.force_close()  # only the end of the connection tells such a client that the stream ended
        self._feed.subscribers.add(self)
        self._on_open(self)
        try:
            writer = await super().prepare(request)
            assert writer is not None
            async with self:
                await self._send(writer)
            return writer
        except ConnectionError:
            raise
        except TimeoutError:
            self._transport.abort()
            raise ConnectionResetError("the client does not read") from None
        except Exception:
            _log.exception("event stream failed")  # the middleware, which logs other errors, has returned already
            raise
        finally:
            self._feed.subscribers.discard(self)
            self._on_close(self)

    async def _send(self, writer: AbstractStreamWriter) -> None:
        loop = asyncio.get_running_loop()
        open_ = loop.create_task(self.wait())
        open_.add_done_callback(self._client_left)
        timer = loop.call_later(self._seconds, self.close) if self._seconds is not None else None
        prefix, version = _RETRY, self._last_version
        try:
            while self._phase is _Phase.BEHIND:
                data = prefix + self._feed.since(version)
                prefix, version = b"", None
                self._phase = _Phase.CURRENT
                self._interrupted = loop.create_future()
                async with asyncio.timeout(_SEND_SECONDS):
                    await self.write(data)
                await self._interrupted
                async with asyncio.timeout(_SEND_SECONDS):
                    await writer.drain()
        finally:
            open_.cancel()
            if timer is not None:
                timer.cancel()

    def _client_left(self, open_: asyncio.Task[None]) -> None:
        if not open_.cancelled() and (error := open_.exception()) is not None:
            _log.debug("event stream lost", error=type(error).__name__)
        self.close()

    def _interrupt(self, phase: _Phase) -> None:
        self._phase = phase
        if not self._interrupted.done():
            self._interrupted.set_result(None)


def last_event_id(request: web.BaseRequest) -> int | None:
    """The version that the client saw last (`Last-Event-ID`), or None if it sends none or no number."""
    text = request.headers.get("Last-Event-ID", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

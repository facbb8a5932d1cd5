"""Server-Sent Events: a snapshot, then events, each encoded once for all who listen and written the moment it happens.

What a client has not taken yet is in the buffer of its connection. Once that is full, what happens is not written to it
any more, and the client gets a fresh snapshot when it has caught up: never unbounded memory.
"""

import asyncio
import socket
import sys
from collections import Counter, deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final

import msgspec
from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from mediq.actors.users.auth_messages import SessionEnded
from mediq.http.request_context import request_context
from mediq.messages.errors import Unavailable
from mediq.messages.principal import Principal
from mediq.observability import logging, metrics

_log = logging.logger("sse")
_RING: Final = 512
_PING_SECONDS: Final = 15.0
_BUFFER: Final = 65_536
"""Bytes on the way to a client beyond which it is behind."""
_STAFF_BUFFER: Final = 1_048_576
"""The same for a counter, whose list may be long, and which is told of cards by events alone."""
_SEND_SECONDS: Final = 30.0
"""Seconds after which a client that is behind and has not caught up is given up."""
_SILENT_SECONDS: Final = 30.0
"""Seconds after which one is given up that acknowledges nothing, as a phone that is out of reach."""
_RETRY: Final = b"retry: 1000\n\n"
_PING: Final = b": ping\n\n"
EVENT_STREAM: Final = "text/event-stream"
_HEADERS: Final = {
    "Content-Type": EVENT_STREAM,
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # a proxy shall pass each event on at once
}
_encode: Final = msgspec.json.Encoder().encode


def frame(event: str, version: int, data: Any) -> bytes:
    """One event on the wire; msgspec writes JSON without line breaks, so the data is one line."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (version, event.encode(), _encode(data))


def chunk(data: bytes) -> bytes:
    """Data as a chunk of a body whose length nobody knows (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Channel:
    """Those who listen to the same thing.

    `snapshot` makes the frame that tells a newcomer how things stand; `ring` is how many events are kept for those who
    come back, 0 where every event is a snapshot of its own.
    """

    def __init__(self, snapshot: Callable[[], bytes], *, ring: int = _RING) -> None:
        self.snapshot = snapshot
        self.streams: set[Stream] = set()
        self._ring: deque[tuple[int, bytes]] = deque(maxlen=ring)

    def publish(self, version: int, event: bytes) -> None:
        """Write an encoded event to everyone who listens, and keep it for those who will have missed it."""
        self._ring.append((version, event))
        chunked = chunk(event)
        for stream in self.streams:
            stream.put(event, chunked)

    def reset(self) -> None:
        """Events were lost: everyone gets a snapshot, and nobody can resume from before it."""
        self._ring.clear()
        for stream in self.streams:
            stream.lose()

    def close(self) -> None:
        """There is nothing more to tell: everyone's stream ends."""
        for stream in self.streams:
            stream.close()

    def since(self, version: int | None) -> list[bytes]:
        """The frames that bring a client from `version` up to now: the events it missed, or a snapshot."""
        if version is not None and self._ring and self._ring[0][0] <= version <= self._ring[-1][0]:
            return [event for at, event in self._ring if at > version]
        return [self.snapshot()]


class _State(Enum):
    BEHIND = auto()
    """What happens is left out, and will be part of what is written next."""
    CURRENT = auto()
    """What happens is written."""
    ENDED = auto()


class Stream:
    """One client's end of a channel; `owner` is who had to sign in for it, `counted` what its opening counts under."""

    __slots__ = ("_chunked", "_left", "_protocol", "_state", "_transport", "channel", "counted", "kind", "owner")

    def __init__(self, channel: Channel, kind: str, counted: tuple[str, str], owner: Principal | None) -> None:
        self.channel = channel
        self.kind = kind
        self.counted = counted
        self.owner = owner
        self._state = _State.BEHIND
        self._left = asyncio.get_running_loop().create_future()  # done when the client is not current any more

    def put(self, event: bytes, chunked: bytes) -> None:
        """Write an event, or its chunk, unless the client is behind."""
        if self._state is not _State.CURRENT:
            return
        if self._protocol.writing_paused:
            self.lose()
        else:
            self._write(event, chunked)

    def lose(self) -> None:
        """Leave out what happens, until the client has taken what is on its way and is sent a snapshot."""
        if self._state is _State.CURRENT:
            self._leave(_State.BEHIND)

    def close(self) -> None:
        """End the stream, after what is on its way."""
        self._leave(_State.ENDED)

    async def follow(self, request: web.BaseRequest, writer: AbstractStreamWriter) -> None:
        """Write to the client, whose response has begun, until the stream ends.

        Raises:
            TimeoutError: the client is behind and does not catch up.
        """
        assert request.transport is not None
        self._protocol, self._transport = request.protocol, request.transport
        self._transport.set_write_buffer_limits(high=_STAFF_BUFFER if self.owner else _BUFFER)
        if sys.platform == "linux":  # elsewhere it takes as long as the system wants
            end = self._transport.get_extra_info("socket")
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * _SILENT_SECONDS))
        self._chunked = request.version >= HttpVersion11
        if self._state is _State.BEHIND:
            self._catch_up(_RETRY + b"".join(self.channel.since(_last_event_id(request))))
        while True:
            await self._left
            async with asyncio.timeout(_SEND_SECONDS):
                await writer.drain()
            if self._state is _State.ENDED:
                return
            self._catch_up(self.channel.snapshot())

    def _catch_up(self, data: bytes) -> None:
        self._write(data, chunk(data))
        self._state = _State.CURRENT
        self._left = asyncio.get_running_loop().create_future()

    def _leave(self, state: _State) -> None:
        self._state = state
        if not self._left.done():
            self._left.set_result(None)

    def _write(self, data: bytes, chunked: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(chunked if self._chunked else data)


class EventStream(web.StreamResponse):
    """The answer that a stream is.

    As aiohttp's own files it is sent to its end while it is prepared, when the middlewares are done: what is open all
    day holds nothing of theirs, which would be a fifth of its memory.
    """

    def __init__(self, streams: "Streams", stream: Stream, seconds: float | None) -> None:
        super().__init__(headers=_HEADERS)
        self._streams = streams
        self._stream = stream
        self._seconds = seconds

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write the stream until it ends.

        Raises:
            ConnectionError: the client has left, or does not read.
        """
        if request.version < HttpVersion11:
            self.force_close()  # nothing else tells such a client of the end
        timer = None
        if self._seconds is not None:
            timer = asyncio.get_running_loop().call_later(self._seconds, self._stream.close)
        self._streams.add(self._stream)
        try:
            writer = await super().prepare(request)
            assert writer is not None
            await self._stream.follow(request, writer)
            return writer
        except ConnectionError:
            raise
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the client does not read") from None
        except Exception:
            _log.exception("event stream failed")  # nobody else tells of it, now that the middlewares are done
            raise
        finally:
            self._streams.discard(self._stream)
            if timer is not None:
                timer.cancel()


class Streams:
    """All open event streams of a gateway.

    Open to all are at most `most`, half of them to any one address; staff's streams are beside these, as many again.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[Stream] = set()
        self._count: Counter[str] = Counter()
        self._ended = False
        self._pinging: asyncio.TimerHandle | None = None

    async def serve(
        self,
        request: web.Request,
        channel: Channel,
        kind: str,
        *,
        owner: Principal | None = None,
        seconds: float | None = None,
    ) -> web.StreamResponse:
        """The answer that writes a channel to a client until one of the two ends, or `seconds` have passed.

        Raises:
            Unavailable: as many streams as the settings allow are open already.
        """
        group, address = "staff" if owner else "all", f"address:{request_context(request).origin.address}"
        crowded = owner is None and self._count[address] >= max(1, self._most // 2)
        if crowded or self._count[group] >= self._most or self._ended:
            raise Unavailable("Terlalu banyak layar yang terhubung.", retry_after=5)
        return EventStream(self, Stream(channel, kind, (group, address), owner), seconds)

    def add(self, stream: Stream) -> None:
        """A stream has begun."""
        stream.channel.streams.add(stream)
        self._open.add(stream)
        self._count.update(stream.counted)
        metrics.streams_open.labels(stream.kind).inc()
        if self._ended:
            stream.close()
        if self._pinging is None:
            self._pinging = asyncio.get_running_loop().call_later(_PING_SECONDS, self._ping)

    def discard(self, stream: Stream) -> None:
        """A stream has ended."""
        stream.channel.streams.discard(stream)
        self._open.discard(stream)
        self._count.subtract(stream.counted)
        self._count = +self._count  # addresses without a stream are forgotten
        metrics.streams_open.labels(stream.kind).dec()

    def end_session(self, event: SessionEnded) -> None:
        """End the streams of whoever is no longer signed in."""
        for stream in self._open:
            owner = stream.owner
            if owner is not None and (owner.user_id == event.user_id or owner.session_id == event.session_id):
                stream.close()

    def end(self) -> None:
        """End every stream; their clients come back by themselves, to whoever answers then."""
        self._ended = True
        for stream in self._open:
            stream.close()

    def _ping(self) -> None:
        """Let every client, and every proxy between, see that its stream lives, as long as there are any."""
        self._pinging = None
        for stream in self._open:
            stream.put(_PING, chunk(_PING))
        if self._open:
            self._pinging = asyncio.get_running_loop().call_later(_PING_SECONDS, self._ping)


def _last_event_id(request: web.BaseRequest) -> int | None:
    text = request.headers.get("Last-Event-ID", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

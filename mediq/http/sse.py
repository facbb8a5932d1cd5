"""Server-Sent Events: a snapshot, then events, each encoded once for all who listen.

A client that cannot keep up loses its pending events and gets a fresh snapshot: never unbounded memory.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiohttp import web
from aiohttp_sse import sse_response

from mediq import observe
from mediq.messages.auth import SessionEnded
from mediq.messages.errors import Unavailable
from mediq.messages.principal import Principal

from .origin import origin_of

_RING: Final = 512
_PENDING: Final = 64
_PING_SECONDS: Final = 15.0
_SEND_SECONDS: Final = 30.0
_encode: Final = msgspec.json.Encoder().encode


def frame(event: str, version: int, data: Any) -> bytes:
    """One event on the wire; msgspec writes JSON without line breaks, so the data is one line."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (version, event.encode(), _encode(data))


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
        """Hand an encoded event to everyone who listens, and keep it for those who will have missed it."""
        self._ring.append((version, event))
        for stream in self.streams:
            stream.put(event)

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


class Stream:
    """One client's pending events; `owner` is who had to sign in for them."""

    def __init__(self, owner: Principal | None = None) -> None:
        self.owner = owner
        self._pending: deque[bytes] = deque()
        self._lost = False
        self._closed = False
        self._wake = asyncio.Event()

    def put(self, event: bytes) -> None:
        if len(self._pending) >= _PENDING:
            self.lose()
        elif not self._lost:
            self._pending.append(event)
            self._wake.set()

    def lose(self) -> None:
        """Forget what is pending; the client gets a snapshot instead."""
        self._pending.clear()
        self._lost = True
        self._wake.set()

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    async def take(self, snapshot: Callable[[], bytes]) -> bytes | None:
        """What to write next, all that is pending at once; None when the stream has ended."""
        await self._wake.wait()
        self._wake.clear()
        if self._closed:
            return None
        if self._lost:
            self._lost = False
            self._pending.clear()
            return snapshot()
        data = b"".join(self._pending)
        self._pending.clear()
        return data


class Streams:
    """All open event streams of a gateway.

    Open to all are at most `most`, half of them to any one address; staff's streams are beside these, as many again.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[Stream] = set()
        self._count: Counter[str] = Counter()
        self._ended = False

    async def serve(
        self,
        request: web.Request,
        channel: Channel,
        kind: str,
        *,
        owner: Principal | None = None,
        seconds: float | None = None,
    ) -> web.StreamResponse:
        """Write a channel to a client until one of the two ends, or `seconds` have passed.

        Raises:
            Unavailable: as many streams as the settings allow are open already.
        """
        group, address = "staff" if owner else "all", f"address:{origin_of(request).address}"
        crowded = owner is None and self._count[address] >= max(1, self._most // 2)
        if crowded or self._count[group] >= self._most or self._ended:
            raise Unavailable("Terlalu banyak layar yang terhubung.", retry_after=5)
        stream = Stream(owner)
        timer = asyncio.get_running_loop().call_later(seconds, stream.close) if seconds is not None else None
        first = channel.since(_last_event_id(request))
        channel.streams.add(stream)
        self._open.add(stream)
        self._count.update((group, address))
        gauge = observe.streams_open.labels(kind)
        gauge.inc()
        try:
            async with sse_response(
                request, sep="\n", ping_interval=_PING_SECONDS, send_timeout=_SEND_SECONDS
            ) as response:
                gone = asyncio.ensure_future(response.wait())
                gone.add_done_callback(lambda _: stream.close())
                try:
                    data: bytes | None = b"retry: 1000\n\n" + b"".join(first)
                    while data is not None:
                        async with asyncio.timeout(_SEND_SECONDS):
                            await response.write(data)
                        data = await stream.take(channel.snapshot)
                except ConnectionError:
                    pass  # the client has left
                finally:
                    gone.cancel()
                return response
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the client does not read") from None
        finally:
            channel.streams.discard(stream)
            self._open.discard(stream)
            self._count.subtract((group, address))
            self._count = +self._count  # addresses without a stream are forgotten
            if timer is not None:
                timer.cancel()
            gauge.dec()

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


def _last_event_id(request: web.Request) -> int | None:
    text = request.headers.get("Last-Event-ID", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

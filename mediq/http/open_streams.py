"""All open event streams of a gateway: how many there may be, and when they must end."""

from collections import Counter
from functools import partial
from typing import Final

import msgspec
from aiohttp import web

from mediq.actors.users.auth_messages import SessionEnded
from mediq.http.event_stream import EventStream, last_event_id
from mediq.http.feed import Feed
from mediq.http.request_context import request_context
from mediq.messages.errors import Unavailable
from mediq.messages.principal import Principal
from mediq.observability import metrics

_BUFFER: Final = 65_536
"""Bytes that may wait for a client before it gets a snapshot instead."""
_STAFF_BUFFER: Final = 1_048_576
"""The same for a counter: its list may be long, and it learns of cards by events alone."""


class _Client(msgspec.Struct, frozen=True):
    """A stream's metric label, the two counters that it counts in, and the signed-in owner, if any."""

    kind: str
    group: str
    address: str
    owner: Principal | None


class OpenStreams:
    """The open event streams, at most `limit` of them for the public and as many again for staff.

    One address may have half of the public ones.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[EventStream, _Client] = {}
        self._count: Counter[str] = Counter()
        self._ended = False

    async def serve(
        self,
        request: web.Request,
        feed: Feed,
        kind: str,
        *,
        owner: Principal | None = None,
        seconds: float | None = None,
    ) -> web.StreamResponse:
        """The response that sends a feed to a client; `seconds` limits how long.

        Raises:
            Unavailable: too many streams are open, or the gateway is stopping.
        """
        client = _Client(kind, "staff" if owner else "all", f"address:{request_context(request).origin.address}", owner)
        crowded = owner is None and self._count[client.address] >= max(1, self._limit // 2)
        if crowded or self._count[client.group] >= self._limit or self._ended:
            raise Unavailable("Terlalu banyak layar yang terhubung.", retry_after=5)
        return EventStream(
            feed,
            last_event_id(request),
            buffer=_STAFF_BUFFER if owner else _BUFFER,
            seconds=seconds,
            on_open=partial(self._opened, client),
            on_close=self._closed,
        )

    def end_session(self, event: SessionEnded) -> None:
        """End the streams of a session, or of a user, that is no longer signed in."""
        for stream, client in self._open.items():
            owner = client.owner
            if owner is not None and (owner.user_id == event.user_id or owner.session_id == event.session_id):
                stream.close()

    def end(self) -> None:
        """End every stream and refuse new ones; clients connect again to another gateway, or to the next process."""
        self._ended = True
        for stream in self._open:
            stream.close()

    def _opened(self, client: _Client, stream: EventStream) -> None:
        self._open[stream] = client
        self._count.update((client.group, client.address))
        metrics.streams_open.labels(client.kind).inc()
        if self._ended:
            stream.close()

    def _closed(self, stream: EventStream) -> None:
        client = self._open.pop(stream)
        self._count.subtract((client.group, client.address))
        self._count = +self._count  # forgets addresses without a stream
        metrics.streams_open.labels(client.kind).dec()

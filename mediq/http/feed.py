"""A feed of events: encodes each event once, keeps the latest, and hands them to every client that is connected."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

_RING: Final = 512
_encode: Final = msgspec.json.Encoder().encode


def encode_event(name: str, version: int, data: Any) -> bytes:
    """One Server-Sent Event (WHATWG HTML, 9.2) with `version` as its id and `data` as one line of JSON.

    One `data:` line is enough: msgspec escapes every line break within a text.
    """
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (version, name.encode(), _encode(data))


class Subscriber(Protocol):
    """The connection of one client to a feed."""

    def put(self, event: bytes, chunk: bytes) -> None:
        """Send an event; `chunk` is the same event as a chunk of an HTTP/1.1 body."""

    def skip_to_snapshot(self) -> None:
        """Send a snapshot, which stands for all events until then."""

    def close(self) -> None:
        """End the connection after what has been sent."""


class Feed:
    """What all clients of one event stream address receive.

    `snapshot` encodes the present state for a client that joins. `ring` is the number of past events kept for clients
    that come back; 0 where every event is a snapshot already.

        feed = Feed(lambda: encode_event("snapshot", queue.version, board()))
        feed.publish(8, encode_event("ticket-called", 8, change))
    """

    def __init__(self, snapshot: Callable[[], bytes], *, ring: int = _RING) -> None:
        self.snapshot = snapshot
        self.subscribers: set[Subscriber] = set()
        self._ring: deque[tuple[int, bytes]] = deque(maxlen=ring)

    def publish(self, version: int, event: bytes) -> None:
        """Hand an encoded event to every client, and keep it for clients that come back."""
        self._ring.append((version, event))
        chunk = b"%x\r\n%b\r\n" % (len(event), event)  # RFC 9112, 7.1
        for subscriber in self.subscribers:
            subscriber.put(event, chunk)

    def reset(self) -> None:
        """Send everyone a snapshot because events were lost; nobody can resume from an earlier version."""
        self._ring.clear()
        for subscriber in self.subscribers:
            subscriber.skip_to_snapshot()

    def close(self) -> None:
        """Disconnect every client: this feed has no more events."""
        for subscriber in self.subscribers:
            subscriber.close()

    def since(self, version: int | None) -> bytes:
        """What brings a client from `version` to the present: the events that it missed, or a snapshot."""
        if version is not None and self._ring and self._ring[0][0] <= version <= self._ring[-1][0]:
            return b"".join(event for at, event in self._ring if at > version)
        return self.snapshot()

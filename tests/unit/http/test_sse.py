"""Event streams: every client gets every event once, and a client that cannot keep up gets a snapshot instead."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from mediq.http import event_stream, open_streams
from mediq.http.event_stream import EventStream
from mediq.http.feed import Feed, encode_event
from mediq.http.middleware import RequestMiddleware
from mediq.http.open_streams import OpenStreams
from mediq.http.server import HttpServer, Site
from tests.fixtures.application import HANG
from tests.fixtures.ports import free_port

RETRY = b"retry: 1000\n\n"
BIG = 65_536


class Board:
    """A feed whose snapshots are numbered."""

    def __init__(self, ring: int = 8) -> None:
        self.snapshots = 0
        self.feed = Feed(self._snapshot, ring=ring)

    def _snapshot(self) -> bytes:
        self.snapshots += 1
        return b"snapshot %d" % self.snapshots

    def publish(self, *versions: int, length: int = 0) -> None:
        for version in versions:
            self.feed.publish(version, (b"<%d>" % version).ljust(length))


class OneFeed(Site):
    """Serves one feed to everyone; a stream lasts `seconds` if that is set."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.streams = OpenStreams(10)
        self.seconds: float | None = None
        self.meanwhile: list[int] = []
        """Versions that are published while the headers of a response are made."""

    def application(self) -> web.Application:
        async def serve(request: web.Request) -> web.StreamResponse:
            return await self.streams.serve(request, self.board.feed, "test", seconds=self.seconds)

        async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
            await asyncio.sleep(0)
            self.board.publish(*self.meanwhile)

        app = web.Application(middlewares=[RequestMiddleware().middleware])
        app.on_response_prepare.append(on_prepare)
        app.router.add_get("/", serve)
        return app

    def drain(self) -> None:
        self.streams.end()


class Client:
    """A client on a raw socket, which takes no more than it reads."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = b""

    async def request(self, version: str = "1.1", headers: str = "") -> Self:
        self.writer.write(f"GET / HTTP/{version}\r\nHost: x\r\n{headers}\r\n".encode())
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        return self

    async def chunk(self) -> bytes:
        """The next chunk of the body; empty when the stream has ended."""
        size = int(await self.reader.readline(), 16)
        data = await self.reader.readexactly(size)
        assert await self.reader.readexactly(2) == b"\r\n"
        return data

    async def read_first_snapshot(self) -> None:
        assert await self.chunk() == RETRY + b"snapshot 1"

    def leave(self) -> None:
        self.writer.transport.abort()


class Served:
    """A served site and its clients."""

    def __init__(self, site: OneFeed, port: int) -> None:
        self.site = site
        self.board = site.board
        self.port = port
        self.clients: list[Client] = []

    async def connect(self, *, slow: bool = False, version: str = "1.1", headers: str = "") -> Client:
        """A client whose response has begun; a `slow` one has almost no receive buffer."""
        end = socket.socket()
        if slow:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        end.setblocking(False)
        await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", self.port))
        client = Client(*await asyncio.open_connection(sock=end, limit=4096 if slow else 2**20))
        self.clients.append(client)
        return await client.request(version, headers)

    @property
    def stream(self) -> EventStream:
        """The only open stream."""
        [stream] = self.board.feed.subscribers
        assert isinstance(stream, EventStream)
        return stream


@asynccontextmanager
async def served(board: Board) -> AsyncIterator[Served]:
    site, port = OneFeed(board), free_port()
    server = HttpServer(site, "127.0.0.1", port, 5.0)
    await server.start()
    running = asyncio.create_task(server.run())
    application = Served(site, port)
    try:
        async with asyncio.timeout(HANG):
            yield application
    finally:
        for client in application.clients:
            client.leave()
        await server.stop()
        await running
        assert not board.feed.subscribers
        assert not site.streams._open
        assert not site.streams._count


@pytest.fixture
async def application() -> AsyncIterator[Served]:
    async with served(Board()) as application:
        yield application


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once a stream has ended and is forgotten."""
    event, forget = asyncio.Event(), OpenStreams._closed

    def forget_and_tell(streams: OpenStreams, stream: EventStream) -> None:
        forget(streams, stream)
        event.set()

    monkeypatch.setattr(OpenStreams, "_closed", forget_and_tell)
    return event


def test_line_breaks_in_the_data_do_not_break_an_event() -> None:
    event = encode_event("ticket-called", 17, {"text": "a\n\ndata: b\r\nid: 1"})
    assert event == b'id: 17\nevent: ticket-called\ndata: {"text":"a\\n\\ndata: b\\r\\nid: 1"}\n\n'


async def test_every_client_gets_a_snapshot_and_then_every_event_in_order(application: Served) -> None:
    first = await application.connect()
    await first.read_first_snapshot()
    application.board.publish(1, 2)
    second = await application.connect()
    assert await second.chunk() == RETRY + b"snapshot 2"
    application.board.publish(3)
    assert [await first.chunk() for _ in range(3)] == [b"<1>", b"<2>", b"<3>"]
    assert await second.chunk() == b"<3>"
    assert b"Content-Type: text/event-stream\r\n" in first.head
    assert b"Cache-Control: no-cache\r\n" in first.head
    assert b"X-Accel-Buffering: no\r\n" in first.head


async def test_events_during_the_start_of_a_response_are_sent_once(application: Served) -> None:
    application.site.meanwhile = [1]
    client = await application.connect()
    await client.read_first_snapshot()  # made after version 1
    application.site.meanwhile = [2]
    again = await application.connect(headers="Last-Event-ID: 1\r\n")
    assert await again.chunk() == RETRY + b"<2>"
    application.board.publish(3)
    assert await again.chunk() == b"<3>"
    assert [await client.chunk() for _ in range(2)] == [b"<2>", b"<3>"]


async def test_a_client_that_missed_nothing_gets_no_snapshot(application: Served) -> None:
    application.board.publish(1)
    client = await application.connect(headers="Last-Event-ID: 1\r\n")
    assert await client.chunk() == RETRY
    application.board.publish(2)
    assert await client.chunk() == b"<2>"
    assert application.board.snapshots == 0


async def fall_behind(application: Served) -> int:
    """Publish until the only client, who does not read, is behind; the last version that was written to it."""
    stream = application.stream
    version, most = 0, 0
    while not stream._protocol.writing_paused:
        version += 1
        application.board.publish(version, length=BIG)
        await asyncio.sleep(0)
    for later in range(version + 1, version + 100):
        application.board.publish(later, length=BIG)
        most = max(most, stream._transport.get_write_buffer_size())
    assert most < open_streams._BUFFER + 2 * BIG, "the memory for unread events is bounded"
    return version


async def test_a_slow_client_gets_a_snapshot_and_costs_no_more_memory(application: Served) -> None:
    slow = await application.connect(slow=True)
    last = await fall_behind(application)
    quick = await application.connect()
    assert await quick.chunk() == RETRY + b"snapshot 2"
    application.board.publish(1000)
    assert await quick.chunk() == b"<1000>", "a slow client delays no other"
    await slow.read_first_snapshot()
    for version in range(1, last + 1):
        assert (await slow.chunk()).rstrip() == b"<%d>" % version
    assert await slow.chunk() == b"snapshot 3", "made when it is sent, not when events were left out"
    application.board.publish(1001)
    assert await slow.chunk() == b"<1001>", "events again from then on"
    assert application.board.snapshots == 3


only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a timeout for unacknowledged data")


@pytest.mark.parametrize("limit", ["_SEND_SECONDS", pytest.param("_SILENT_SECONDS", marks=only_linux)])
async def test_a_client_that_does_not_read_is_disconnected(
    application: Served, closed: asyncio.Event, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(event_stream, limit, 0.1)
    client = await application.connect(slow=True)
    await fall_behind(application)
    await closed.wait()
    try:
        while await client.reader.read(BIG):
            pass
    except ConnectionError:
        pass  # a reset connection says so once its data are read


async def test_after_lost_events_everyone_gets_a_snapshot_and_no_event_that_it_includes(application: Served) -> None:
    clients = [await application.connect(), await application.connect()]
    for number, client in enumerate(clients, start=1):
        assert await client.chunk() == RETRY + b"snapshot %d" % number
    application.board.feed.reset()
    application.board.publish(5, 6)
    assert sorted([await client.chunk() for client in clients]) == [b"snapshot 3", b"snapshot 4"]
    application.board.publish(7)
    assert [await client.chunk() for client in clients] == [b"<7>", b"<7>"]


async def test_a_feed_that_closes_ends_its_streams(application: Served) -> None:
    client = await application.connect()
    await client.read_first_snapshot()
    application.board.publish(1)
    application.board.feed.close()
    application.board.publish(2)
    assert [await client.chunk(), await client.chunk()] == [b"<1>", b""]
    await client.request()  # over the same connection, as a browser does
    assert await client.chunk() == RETRY + b"snapshot 2"


async def test_a_stream_ends_when_its_time_is_over(application: Served) -> None:
    application.site.seconds = 0.05
    client = await application.connect()
    await client.read_first_snapshot()
    assert await client.chunk() == b""


async def test_a_drain_ends_every_stream_and_refuses_new_ones(application: Served) -> None:
    client = await application.connect()
    await client.read_first_snapshot()
    application.site.drain()
    assert await client.chunk() == b""
    assert b" 503 " in (await application.connect()).head


async def test_a_stream_sends_pings(application: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "_PING_SECONDS", 0.01)
    clients = [await application.connect(), await application.connect()]
    for client in clients:
        await client.chunk()
        assert [await client.chunk() for _ in range(3)] == [b": ping\n\n"] * 3


@pytest.mark.parametrize("headers", ["", "Connection: keep-alive\r\n"])
async def test_an_http_1_0_client_gets_no_chunks_and_sees_the_end(application: Served, headers: str) -> None:
    client = await application.connect(version="1.0", headers=headers)
    assert b"chunked" not in client.head
    assert b"keep-alive" not in client.head
    expected = RETRY + b"snapshot 1"
    assert await client.reader.readexactly(len(expected)) == expected
    application.board.publish(1)
    application.board.feed.close()
    assert await client.reader.read() == b"<1>"


async def test_a_client_that_leaves_is_forgotten_at_once(application: Served, closed: asyncio.Event) -> None:
    client = await application.connect()
    await client.read_first_snapshot()
    assert len(application.board.feed.subscribers) == 1
    client.leave()
    await closed.wait()
    assert not application.board.feed.subscribers
    assert not application.site.streams._count


async def test_a_stream_that_fails_is_logged_and_ends(application: Served) -> None:
    client = await application.connect()
    await client.read_first_snapshot()
    with capture_logs() as lines:
        application.board.feed.snapshot = lambda: encode_event("snapshot", 1, object())
        application.board.feed.reset()
        assert await client.reader.read() == b""
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["event stream failed"]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (None, b"snapshot 1"),
        (12, b""),
        (11, b"<12>"),
        (5, b"<6><7><8><9><10><11><12>"),
        (4, b"snapshot 1"),  # its next event has left the ring
        (13, b"snapshot 1"),  # from before a restart
        (0, b"snapshot 1"),
    ],
)
def test_a_client_resumes_after_the_version_that_it_saw_last(last: int | None, expected: bytes) -> None:
    board = Board(ring=8)
    board.publish(*range(1, 13))
    assert board.feed.since(last) == expected


def test_no_client_resumes_from_before_a_loss() -> None:
    board = Board()
    board.publish(1, 2, 3)
    board.feed.reset()
    assert board.feed.since(2) == b"snapshot 1"
    board.publish(9)
    assert board.feed.since(2) == b"snapshot 2"
    assert board.feed.since(9) == b""


def test_a_feed_of_snapshots_keeps_no_events() -> None:
    board = Board(ring=0)
    board.publish(1, 2)
    assert board.feed.since(1) == b"snapshot 1"


def test_a_gap_in_the_versions_of_a_board_is_no_loss() -> None:
    """The board of one service gets some events only: a client that saw version 5 there has missed none before 8."""
    board = Board()
    board.publish(3, 5, 8)
    assert board.feed.since(5) == b"<8>"
    assert board.feed.since(6) == b"<8>"

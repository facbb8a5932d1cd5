"""Channels and streams: everyone gets every event once, and whoever cannot keep up gets a snapshot instead."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from mediq.http import sse
from mediq.http.middleware import RequestMiddleware
from mediq.http.server import HttpServer, Site
from mediq.http.sse import Channel, Stream, Streams, frame
from tests.fixtures.application import HANG
from tests.fixtures.ports import free_port

RETRY = b"retry: 1000\n\n"
BIG = 65_536


class Board:
    """A channel whose snapshots say how often they were made."""

    def __init__(self, ring: int = 8) -> None:
        self.snapshots = 0
        self.channel = Channel(self._snapshot, ring=ring)

    def _snapshot(self) -> bytes:
        self.snapshots += 1
        return b"snapshot %d" % self.snapshots

    def happen(self, *versions: int, length: int = 0) -> None:
        for version in versions:
            self.channel.publish(version, (b"<%d>" % version).ljust(length))


class Watched(Streams):
    """Streams that say when one of them has ended."""

    def __init__(self) -> None:
        super().__init__(10)
        self.left = asyncio.Event()

    def discard(self, stream: Stream) -> None:
        super().discard(stream)
        self.left.set()


class OneChannel(Site):
    """Serves one channel to whoever comes; a stream lasts `seconds` if that is set."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.streams = Watched()
        self.seconds: float | None = None
        self.meanwhile: list[int] = []
        """What happens while the headers of an answer are made."""

    def application(self) -> web.Application:
        async def serve(request: web.Request) -> web.StreamResponse:
            return await self.streams.serve(request, self.board.channel, "test", seconds=self.seconds)

        async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
            await asyncio.sleep(0)
            self.board.happen(*self.meanwhile)

        app = web.Application(middlewares=[RequestMiddleware().middleware])
        app.on_response_prepare.append(on_prepare)
        app.router.add_get("/", serve)
        return app

    def drain(self) -> None:
        self.streams.end()


class Client:
    """A client at its socket, which takes no more than it reads."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = b""

    async def ask(self, version: str = "1.1", headers: str = "") -> Self:
        self.writer.write(f"GET / HTTP/{version}\r\nHost: x\r\n{headers}\r\n".encode())
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        return self

    async def chunk(self) -> bytes:
        """The next chunk; empty when the stream has ended."""
        size = int(await self.reader.readline(), 16)
        data = await self.reader.readexactly(size)
        assert await self.reader.readexactly(2) == b"\r\n"
        return data

    async def begin(self) -> None:
        """Take the first snapshot."""
        assert await self.chunk() == RETRY + b"snapshot 1"

    def leave(self) -> None:
        self.writer.transport.abort()


class Served:
    """A site that is served, and those who look at it."""

    def __init__(self, site: OneChannel, port: int) -> None:
        self.site = site
        self.board = site.board
        self.port = port
        self.clients: list[Client] = []

    async def come(self, *, slow: bool = False, version: str = "1.1", headers: str = "") -> Client:
        """A client whose answer has begun; a `slow` one has hardly any room for what it has not read."""
        end = socket.socket()
        if slow:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        end.setblocking(False)
        await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", self.port))
        client = Client(*await asyncio.open_connection(sock=end, limit=4096 if slow else 2**20))
        self.clients.append(client)
        return await client.ask(version, headers)

    @property
    def stream(self) -> Stream:
        [stream] = self.board.channel.streams
        return stream


@asynccontextmanager
async def served(board: Board) -> AsyncIterator[Served]:
    site, port = OneChannel(board), free_port()
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
        assert not board.channel.streams
        assert not site.streams._count


@pytest.fixture
async def application() -> AsyncIterator[Served]:
    async with served(Board()) as application:
        yield application


def test_a_frame_is_one_event_whatever_is_in_it() -> None:
    made = frame("ticket-called", 17, {"text": "a\n\ndata: b\r\nid: 1"})
    assert made == b'id: 17\nevent: ticket-called\ndata: {"text":"a\\n\\ndata: b\\r\\nid: 1"}\n\n'


async def test_everyone_gets_a_snapshot_and_then_every_event_in_order(application: Served) -> None:
    first = await application.come()
    await first.begin()
    application.board.happen(1, 2)
    second = await application.come()
    assert await second.chunk() == RETRY + b"snapshot 2"
    application.board.happen(3)
    assert [await first.chunk() for _ in range(3)] == [b"<1>", b"<2>", b"<3>"]
    assert await second.chunk() == b"<3>"
    assert b"Content-Type: text/event-stream\r\n" in first.head


async def test_what_happens_while_an_answer_begins_is_told_once(application: Served) -> None:
    application.site.meanwhile = [1]
    client = await application.come()
    await client.begin()  # made after it
    application.site.meanwhile = [2]
    again = await application.come(headers="Last-Event-ID: 1\r\n")
    assert await again.chunk() == RETRY + b"<2>"
    application.board.happen(3)
    assert await again.chunk() == b"<3>"
    assert [await client.chunk() for _ in range(2)] == [b"<2>", b"<3>"]


async def fall_behind(application: Served) -> int:
    """Let so much happen that the one client, who does not read, is behind; the last version that was written to it."""
    transport = application.stream._transport
    version, most = 0, 0
    while not application.stream._protocol.writing_paused:
        version += 1
        application.board.happen(version, length=BIG)
        await asyncio.sleep(0)
    for later in range(version + 1, version + 100):
        application.board.happen(later, length=BIG)
        most = max(most, transport.get_write_buffer_size())
    assert most < sse._BUFFER + 2 * BIG, "what it has not read is bounded"
    return version


async def test_a_slow_client_gets_a_snapshot_and_costs_no_more_memory(application: Served) -> None:
    slow = await application.come(slow=True)
    last = await fall_behind(application)
    quick = await application.come()
    assert await quick.chunk() == RETRY + b"snapshot 2"
    application.board.happen(1000)
    assert await quick.chunk() == b"<1000>", "nobody waits for another"
    await slow.begin()
    for version in range(1, last + 1):
        assert (await slow.chunk()).rstrip() == b"<%d>" % version
    assert await slow.chunk() == b"snapshot 3", "made when it is written, not when events were left out"
    application.board.happen(1001)
    assert await slow.chunk() == b"<1001>", "and from then on events again"
    assert application.board.snapshots == 3


by_the_system = pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot be told")


@pytest.mark.parametrize("limit", ["_SEND_SECONDS", pytest.param("_SILENT_SECONDS", marks=by_the_system)])
async def test_a_client_that_takes_nothing_is_given_up(
    application: Served, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(sse, limit, 0.1)
    client = await application.come(slow=True)
    await fall_behind(application)
    await application.site.streams.left.wait()
    try:
        while await client.reader.read(BIG):
            pass
    except ConnectionError:
        pass  # as the one who reads sees it, too, once what had come is read


async def test_after_a_loss_everyone_gets_a_snapshot_and_nothing_that_is_part_of_it(application: Served) -> None:
    clients = [await application.come(), await application.come()]
    for number, client in enumerate(clients, start=1):
        assert await client.chunk() == RETRY + b"snapshot %d" % number
    application.board.channel.reset()
    application.board.happen(5, 6)
    assert sorted([await client.chunk() for client in clients]) == [b"snapshot 3", b"snapshot 4"]
    application.board.happen(7)
    assert [await client.chunk() for client in clients] == [b"<7>", b"<7>"]


async def test_a_channel_that_closes_ends_its_streams(application: Served) -> None:
    client = await application.come()
    await client.begin()
    application.board.happen(1)
    application.board.channel.close()
    application.board.happen(2)
    assert [await client.chunk(), await client.chunk()] == [b"<1>", b""]
    await client.ask()  # over the same connection, as a browser comes back
    assert await client.chunk() == RETRY + b"snapshot 2"


async def test_a_stream_ends_when_its_time_is_up(application: Served) -> None:
    application.site.seconds = 0.05
    client = await application.come()
    await client.begin()
    assert await client.chunk() == b""


async def test_a_drain_ends_every_stream_and_takes_no_more(application: Served) -> None:
    client = await application.come()
    await client.begin()
    application.site.drain()
    assert await client.chunk() == b""
    assert b" 503 " in (await application.come()).head


async def test_a_stream_shows_that_it_lives(application: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "_PING_SECONDS", 0.01)
    clients = [await application.come(), await application.come()]
    for client in clients:
        await client.chunk()
        assert [await client.chunk() for _ in range(3)] == [b": ping\n\n"] * 3


@pytest.mark.parametrize("headers", ["", "Connection: keep-alive\r\n"])
async def test_a_client_of_the_old_protocol_gets_no_chunks_and_sees_the_end(application: Served, headers: str) -> None:
    client = await application.come(version="1.0", headers=headers)
    assert b"chunked" not in client.head
    application.board.happen(1)
    expected = RETRY + b"snapshot 1<1>"
    assert await client.reader.readexactly(len(expected)) == expected
    application.board.channel.close()
    assert await client.reader.read() == b""


async def test_a_client_that_leaves_is_forgotten_at_once(application: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "_PING_SECONDS", 3600.0)
    client = await application.come()
    await client.begin()
    assert len(application.board.channel.streams) == 1
    client.leave()
    await application.site.streams.left.wait()
    assert not application.board.channel.streams
    assert not application.site.streams._count


async def test_a_stream_that_fails_is_told_of_and_ends(application: Served) -> None:
    client = await application.come()
    await client.begin()
    with capture_logs() as lines:
        application.board.channel.snapshot = lambda: frame("snapshot", 1, object())
        application.board.channel.reset()
        assert await client.reader.read() == b""
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["event stream failed"]


@pytest.mark.parametrize(
    ("last", "frames"),
    [
        (None, [b"snapshot 1"]),
        (12, []),
        (11, [b"<12>"]),
        (5, [b"<6>", b"<7>", b"<8>", b"<9>", b"<10>", b"<11>", b"<12>"]),
        (4, [b"snapshot 1"]),  # its next event has left the ring
        (13, [b"snapshot 1"]),  # from another life of the application
        (0, [b"snapshot 1"]),
    ],
)
def test_where_a_client_goes_on(last: int | None, frames: list[bytes]) -> None:
    board = Board(ring=8)
    board.happen(*range(1, 13))
    assert board.channel.since(last) == frames


def test_after_a_loss_nobody_resumes_from_before_it() -> None:
    board = Board()
    board.happen(1, 2, 3)
    board.channel.reset()
    assert board.channel.since(2) == [b"snapshot 1"]
    board.happen(9)
    assert board.channel.since(2) == [b"snapshot 2"]
    assert board.channel.since(9) == []


def test_a_channel_of_snapshots_keeps_no_events() -> None:
    board = Board(ring=0)
    board.happen(1, 2)
    assert board.channel.since(1) == [b"snapshot 1"]


def test_a_gap_in_the_versions_of_a_board_is_no_loss() -> None:
    """A board of one service hears of some events only; whoever saw version 5 there has missed none before 8."""
    board = Board()
    board.happen(3, 5, 8)
    assert board.channel.since(5) == [b"<8>"]
    assert board.channel.since(6) == [b"<8>"]

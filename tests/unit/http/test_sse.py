"""Channels and streams: everyone gets every event once, and whoever cannot keep up gets a snapshot instead."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from mediq.http import sse
from mediq.http.origin import Proxies
from mediq.http.server import HttpServer, Site
from mediq.http.sse import Channel, Stream, Streams, frame
from tests.fixtures.house import free_port


class Board:
    """A channel whose snapshots say how often they were made."""

    def __init__(self, ring: int = 8) -> None:
        self.snapshots = 0
        self.channel = Channel(self._snapshot, ring=ring)

    def _snapshot(self) -> bytes:
        self.snapshots += 1
        return b"snapshot %d" % self.snapshots

    def listen(self) -> Stream:
        stream = Stream()
        self.channel.streams.add(stream)
        return stream

    def happen(self, *versions: int) -> None:
        for version in versions:
            self.channel.publish(version, b"<%d>" % version)

    async def take(self, stream: Stream) -> bytes | None:
        async with asyncio.timeout(5):
            return await stream.take(self.channel.snapshot)


def test_a_frame_is_one_event_whatever_is_in_it() -> None:
    made = frame("ticket-called", 17, {"text": "a\n\ndata: b\r\nid: 1"})
    assert made == b'id: 17\nevent: ticket-called\ndata: {"text":"a\\n\\ndata: b\\r\\nid: 1"}\n\n'


async def test_what_is_pending_is_written_at_once_and_in_order() -> None:
    board = Board()
    stream = board.listen()
    board.happen(1, 2, 3)
    assert await board.take(stream) == b"<1><2><3>"
    board.happen(4)
    assert await board.take(stream) == b"<4>"
    assert board.snapshots == 0


async def test_a_slow_client_gets_a_snapshot_and_costs_no_more_memory() -> None:
    board = Board()
    slow, quick = board.listen(), board.listen()
    for version in range(1, 10_001):
        board.happen(version)
        if version % 50 == 0:
            assert (await board.take(quick) or b"").endswith(b"<%d>" % version)
    assert len(slow._pending) == 0
    assert await board.take(slow) == b"snapshot 1", "made when it is written, not when it was lost"
    board.happen(10_001)
    assert await board.take(slow) == b"<10001>", "and from then on events again"
    assert board.snapshots == 1


async def test_events_between_the_loss_and_the_snapshot_are_part_of_it() -> None:
    board = Board()
    stream = board.listen()
    board.channel.reset()
    board.happen(5, 6)
    assert await board.take(stream) == b"snapshot 1"
    board.happen(7)
    assert await board.take(stream) == b"<7>"


async def test_a_closed_stream_ends_whatever_is_pending() -> None:
    board = Board()
    stream = board.listen()
    board.happen(1)
    stream.close()
    assert await board.take(stream) is None


async def test_closing_wakes_whoever_waits() -> None:
    board = Board()
    stream = board.listen()
    waiting = asyncio.create_task(board.take(stream))
    await asyncio.sleep(0)
    assert not waiting.done()
    stream.close()
    assert await waiting is None


@pytest.mark.parametrize(
    ("last", "frames"),
    [
        (None, [b"snapshot 1"]),
        (12, []),
        (11, [b"<12>"]),
        (5, [b"<6>", b"<7>", b"<8>", b"<9>", b"<10>", b"<11>", b"<12>"]),
        (4, [b"snapshot 1"]),  # its next event has left the ring
        (13, [b"snapshot 1"]),  # from another life of the house
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


class OneChannel(Site):
    """Serves one channel to whoever comes."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.streams = Streams(10)
        self.left = asyncio.Event()

    def application(self) -> web.Application:
        async def serve(request: web.Request) -> web.StreamResponse:
            try:
                return await self.streams.serve(request, self.channel, "test")
            finally:
                self.left.set()

        app = web.Application(middlewares=[Proxies().middleware])
        app.router.add_get("/", serve)
        return app

    def drain(self) -> None:
        self.streams.end()


async def test_a_client_that_leaves_is_forgotten_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "_PING_SECONDS", 3600.0)
    board = Board()
    site = OneChannel(board.channel)
    port = free_port()
    server = HttpServer(site, "127.0.0.1", port, 5.0)
    await server.start()
    running = asyncio.create_task(server.run())
    try:
        async with asyncio.timeout(30), aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/") as response:
                await response.content.readuntil(b"snapshot 1")
                assert len(board.channel.streams) == 1
            response.close()
            await site.left.wait()
            assert not board.channel.streams
            assert not site.streams._count
    finally:
        await server.stop()
        await running

"""The cost of telling a full waiting room: one event to many boards, and the memory of an open stream.

    python bench/boards.py [--streams 1000] [--rounds 10]

The reference is an aiohttp server that writes bytes to the same number of open streams. The bytes are encoded
beforehand and as long as the application's own event. A request over HTTP triggers the event in each. The time runs
from the request until the last board has the whole event; the CPU is that of the serving process over a few events.
The application's event is a patient put on hold or resumed, with everything that belongs to it: also the write to the
disk.
"""

import sys
from pathlib import Path

sys.path.pop(0)  # this folder: its queue.py would shadow the standard library's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import cast

import aiohttp
import uvloop
from aiohttp import web

from bench.gateway import the_application
from bench.measure import cpu, machine, resident, serving, show
from mediq.__main__ import _allow_many_files
from tests.fixtures.ports import free_port

BY_HAND, OURS = "pre-encoded bytes by hand", "mediq's boards"
END = b"\n\n"
EVENTS = 6
"""Events of a round: enough for the system's ticks to count their CPU. Even, since hold and resume alternate."""


async def serve_by_hand(port: int) -> None:
    open_streams: set[web.StreamResponse] = set()

    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"event: snapshot\ndata: {}" + END)
        open_streams.add(response)
        try:
            await asyncio.Event().wait()
        finally:
            open_streams.discard(response)
        return response

    async def fire(request: web.Request) -> web.Response:
        event = b"event: x\ndata: " + b"x" * (int(request.query["length"]) - 17) + END
        for response in open_streams:
            await response.write(event)
        return web.Response()

    app = web.Application()
    app.router.add_get("/events", events)
    app.router.add_post("/fire", fire)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(f"ready {port}", flush=True)
    await asyncio.Event().wait()


class Board(asyncio.Protocol):
    """One board, which tells when it has received a whole event. Raw bytes keep the boards themselves cheap."""

    def __init__(self, request: bytes, heard: Callable[[], None]) -> None:
        self.request = request
        self.heard = heard
        self.length = 0
        self.tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        *frames, self.tail = (self.tail + data).split(END)
        for frame in frames:
            if b"data: " in frame:  # else a retry hint or a keep-alive
                self.length = len(frame) + len(END)
                self.heard()


class Room:
    """Boards that all listen at one address."""

    def __init__(self, address: str, path: str, streams: int) -> None:
        self.host, _, port = address.removeprefix("http://").partition(":")
        self.port = int(port)
        self.request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n".encode()
        self.streams = streams
        self.boards: list[Board] = []
        self.missing = 0
        self.all_heard = asyncio.Event()

    async def open(self) -> None:
        """Open the streams, a few at a time; returns when each has received its first event."""
        self.expect()
        loop = asyncio.get_running_loop()
        for first in range(0, self.streams, 50):
            made = await asyncio.gather(
                *(
                    loop.create_connection(lambda: Board(self.request, self._heard), self.host, self.port)
                    for _ in range(first, min(first + 50, self.streams))
                )
            )
            self.boards += [board for _, board in made]
        await self.heard()

    def expect(self) -> None:
        """Expect one event on each board from now on."""
        self.missing = self.streams
        self.all_heard.clear()

    async def heard(self) -> None:
        """Return when each board has received the expected events."""
        async with asyncio.timeout(60):
            await self.all_heard.wait()

    def close(self) -> None:
        for board in self.boards:
            board.transport.abort()

    def _heard(self) -> None:
        self.missing -= 1
        if not self.missing:
            self.all_heard.set()


async def fill(pid: int, room: Room) -> float:
    """Open all boards; returns the serving process's memory for each, in KB."""
    before = resident(pid)
    await room.open()
    return 1024 * (resident(pid) - before) / room.streams


async def cost_of(room: Room, pid: int, fire: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """Milliseconds from the request of an event until the last board has it, and CPU of a stream in µs: means."""
    took, before = 0.0, cpu(pid)
    for _ in range(EVENTS):
        room.expect()
        begun = time.perf_counter()
        asked = asyncio.ensure_future(fire())
        await room.heard()
        took += time.perf_counter() - begun
        await asked
    return 1000 * took / EVENTS, 1e6 * (cpu(pid) - before) / EVENTS / room.streams


async def compare(
    by_hand: str,
    hand_pid: int,
    application: str,
    application_pid: int,
    bearer: dict[str, str],
    streams: int,
    rounds: int,
) -> None:
    rooms = {BY_HAND: Room(by_hand, "/events", streams), OURS: Room(application, "/events/board/umum", streams)}
    memory = {BY_HAND: [await fill(hand_pid, rooms[BY_HAND])], OURS: [await fill(application_pid, rooms[OURS])]}
    found: dict[str, list[float]] = {name: [] for name in rooms}
    costs: dict[str, list[float]] = {name: [] for name in rooms}
    async with aiohttp.ClientSession() as http:

        async def ask(method: str, url: str, **more: object) -> dict[str, object]:
            async with http.request(method, url, headers=bearer, **more) as response:  # type: ignore[arg-type]
                assert response.status < 300, await response.text()
                return dict(await response.json()) if "json" in response.content_type else {}

        listed = await ask("GET", f"{application}/queue")
        ticket = listed["data"][0]["id"]  # type: ignore[index]
        acts = itertools.cycle(("hold", "resume"))  # each is one event on the boards

        async def act() -> None:
            await ask("PATCH", f"{application}/queue/{ticket}/{next(acts)}")

        for number in range(rounds + 1):
            mine = await cost_of(rooms[OURS], application_pid, act)
            length = rooms[OURS].boards[0].length

            async def fire(length: int = length) -> None:
                await ask("POST", f"{by_hand}/fire?length={length}")

            theirs = await cost_of(rooms[BY_HAND], hand_pid, fire)
            if number:  # the first warms both up
                for name, (took, cost) in ((OURS, mine), (BY_HAND, theirs)):
                    found[name].append(took)
                    costs[name].append(cost)
    for room in rooms.values():
        room.close()
    show(f"One event of {length} bytes to {streams} boards", "last has it, ms", found, goals={OURS: "≤ 1.3"})
    if streams >= 1000:  # a few cost less than a tick, and find room in what is held already
        show("The same, as CPU of the process that serves", "µs a stream", costs)
        show("Memory of an open stream", "KB", memory, goals={OURS: "≤ 1.3"})


def run(streams: int = 1000, rounds: int = 10) -> None:
    _allow_many_files()  # which the servers inherit
    with (
        serving("bench/boards.py", "--serve", str(free_port())) as by_hand,
        the_application() as (application, bearer, _),
    ):
        uvloop.run(compare(by_hand.address, by_hand.pid, application.address, application.pid, bearer, streams, rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        uvloop.run(serve_by_hand(given.serve))
        return
    print(machine())
    run(given.streams, given.rounds)


if __name__ == "__main__":
    main()

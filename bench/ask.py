"""The cost of an ask inside one process: an envelope to an actor and its reply, with nothing around it.

    python bench/ask.py [--seconds 2] [--rounds 5] [--outstanding 64]

The bus does its encoding, deadline, metrics and circuit breaker. The references are the smallest possible actor, a
queue and a future by hand that pass the message as it is, and an actor of pykka, which runs in a thread.
"""

import sys
from pathlib import Path

sys.path.pop(0)  # this folder: its queue.py would shadow the standard library's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import uvloop

from bench.gateway import Mailbox
from bench.measure import CONNECTIONS, machine, quiet, show, take_turns
from bench.work import MAILBOXES, PREFETCH, Ask, BenchActor, View, answer
from mediq.runtime.bus import Bus
from mediq.runtime.cell import ActorCell
from mediq.transport.memory import MemoryTransport

BY_HAND, OURS, PYKKA = "queue and future by hand", "mediq's bus in memory", "pykka"
GOALS = {OURS: "≥ 0.25"}


async def keep_asking(ask: Callable[[Ask], Awaitable[View]], outstanding: int, seconds: float) -> float:
    """Asks a second, with `outstanding` under way at any time."""
    until = time.perf_counter() + seconds
    count = 0

    async def one(number: int) -> None:
        nonlocal count
        message = Ask(user_id=f"user-{number}", service="poli-umum")
        while time.perf_counter() < until:
            view = await ask(message)
            assert view.id == message.user_id
            count += 1

    begun = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(outstanding)))
    return count / (time.perf_counter() - begun)


async def by_hand(outstanding: int, seconds: float) -> float:
    mailbox = Mailbox()
    workers = [asyncio.create_task(mailbox.work()) for _ in range(PREFETCH // 2)]
    try:
        return await keep_asking(mailbox.ask, outstanding, seconds)
    finally:
        for worker in workers:
            worker.cancel()


async def ours(outstanding: int, seconds: float) -> float:
    transport = MemoryTransport()
    await transport.start()
    bus = Bus(transport, MAILBOXES)
    await bus.start()
    cell = ActorCell(BenchActor(bus), transport, MAILBOXES["bench"])
    await cell.start()
    running = asyncio.create_task(cell.run())
    try:
        return await keep_asking(bus.ask, outstanding, seconds)
    finally:
        await cell.stop()
        await running
        await bus.stop()
        await transport.stop()


def by_pykka(outstanding: int, seconds: float) -> float:
    """Asks a second of a pykka actor. pykka has no event loop: futures are requested together, then awaited in turn."""
    import pykka

    class Answering(pykka.ThreadingActor):
        def on_receive(self, message: Any) -> View:
            return answer(message)

    actor = Answering.start()
    message = Ask(user_id="user-1", service="poli-umum")
    try:
        begun, count = time.perf_counter(), 0
        while time.perf_counter() < begun + seconds:
            for reply in [actor.ask(message, block=False) for _ in range(outstanding)]:
                assert reply.get().id == message.user_id
            count += outstanding
        return count / (time.perf_counter() - begun)
    finally:
        actor.stop()


def in_loop(side: Callable[[int, float], Awaitable[float]], outstanding: int, seconds: float) -> float:
    async def run() -> float:
        return await side(outstanding, seconds)

    return uvloop.run(run())


def run(rounds: int = 5, seconds: float = 2.0, outstanding: int = CONNECTIONS) -> None:
    quiet()
    sides: dict[str, Callable[[], float]] = {
        BY_HAND: partial(in_loop, by_hand, outstanding, seconds),
        OURS: partial(in_loop, ours, outstanding, seconds),
    }
    try:
        import pykka  # noqa: F401
    except ImportError:
        print("pykka is not installed (scripts/setup bench): left out")
    else:
        sides[PYKKA] = partial(by_pykka, outstanding, seconds)
    found = take_turns(sides, rounds)
    show(f"Ask and reply in one process, {outstanding} under way", "asks/s", found, goals=GOALS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--outstanding", type=int, default=CONNECTIONS, help="asks under way at once")
    given = parser.parse_args()
    print(machine())
    run(given.rounds, given.seconds, given.outstanding)


if __name__ == "__main__":
    main()

"""One timer for many deadlines."""

import asyncio
import math

import pytest

from mediq.transport.deadlines import Deadlines


class Room:
    """The waits and their deadlines, in seconds of the loop's clock."""

    def __init__(self) -> None:
        self.waiting: dict[asyncio.Future[None], float] = {}
        self.checks = 0
        self.clock = asyncio.get_running_loop().time
        self.deadlines = Deadlines(self.check, self.clock)

    def check(self, now: float) -> float:
        self.checks += 1
        for waits, until in self.waiting.items():
            if until <= now and not waits.done():
                waits.set_result(None)
        return min((until for waits, until in self.waiting.items() if not waits.done()), default=math.inf)

    def enter(self, seconds: float) -> asyncio.Future[None]:
        waits: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting[waits] = self.clock() + seconds
        self.deadlines.add(self.waiting[waits])
        return waits


@pytest.mark.parametrize("order", [(0.03, 0.06, 60.0), (60.0, 0.06, 0.03), (0.06, 60.0, 0.03)])
async def test_each_wait_ends_at_its_deadline(order: tuple[float, ...]) -> None:
    room = Room()
    waits = {seconds: room.enter(seconds) for seconds in order}
    await waits[0.03]
    assert not waits[0.06].done()
    await waits[0.06]
    assert not waits[60.0].done()


async def test_a_deadline_in_the_past_ends_the_wait_at_once() -> None:
    await Room().enter(-1.0)


async def test_many_equal_deadlines_need_only_a_few_checks() -> None:
    room = Room()
    await asyncio.gather(*(room.enter(0.02 + number * 1e-6) for number in range(1000)))
    assert room.checks < 10


async def test_there_is_no_check_after_all_waits_are_cleared() -> None:
    room = Room()
    room.enter(0.0)
    room.deadlines.clear()
    await Room().enter(0.02)
    assert room.checks == 0
    room.enter(0.0)
    await Room().enter(0.02)
    assert room.checks == 1

"""One timer for all who wait."""

import asyncio
import math

import pytest

from mediq.transport.deadlines import Deadlines


class Room:
    """Who waits in it, and until when; times are the loop's own."""

    def __init__(self) -> None:
        self.waiting: dict[asyncio.Future[None], float] = {}
        self.looks = 0
        self.clock = asyncio.get_running_loop().time
        self.deadlines = Deadlines(self.look, self.clock)

    def look(self, now: float) -> float:
        self.looks += 1
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
async def test_each_ends_when_its_time_has_come(order: tuple[float, ...]) -> None:
    room = Room()
    waits = {seconds: room.enter(seconds) for seconds in order}
    await waits[0.03]
    assert not waits[0.06].done()
    await waits[0.06]
    assert not waits[60.0].done()


async def test_time_that_is_over_is_over_at_once() -> None:
    await Room().enter(-1.0)


async def test_many_of_the_same_time_are_looked_at_a_few_times_only() -> None:
    room = Room()
    await asyncio.gather(*(room.enter(0.02 + number * 1e-6) for number in range(1000)))
    assert room.looks < 10


async def test_nobody_is_looked_at_after_all_is_cleared() -> None:
    room = Room()
    room.enter(0.0)
    room.deadlines.clear()
    await Room().enter(0.02)
    assert room.looks == 0
    room.enter(0.0)
    await Room().enter(0.02)
    assert room.looks == 1

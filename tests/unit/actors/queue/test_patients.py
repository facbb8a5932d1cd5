"""The queue's look-up of patients at the user service."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import pytest

from mediq.actors.queue.patients import Patients
from mediq.actors.users.messages import FindPeople, Person
from mediq.messages.errors import BreakerOpen, Expired, Invalid, NotFound, Unavailable
from mediq.runtime.actor import Actor, handles
from mediq.runtime.bus import Bus
from mediq.runtime.cell import ActorCell
from mediq.runtime.context import Context, current
from mediq.runtime.retry import RetryPolicy
from mediq.transport.memory import MemoryTransport

BORN = date(1948, 5, 17)


class UserService(Actor):
    """A user service that notes every request, and answers while it is `open`."""

    name = "user"

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        self.known = {"siti": Person(id="siti", patient=True, born=BORN)}
        self.asked: list[tuple[set[str], Context]] = []
        self.begun = asyncio.Semaphore(0)
        self.open = asyncio.Event()
        self.open.set()
        self.fault: Exception | None = None
        self.hung = 0
        """The number of coming requests that are never answered."""

    @handles(FindPeople)
    async def find(self, message: FindPeople, context: Context) -> tuple[Person, ...]:
        self.asked.append((set(message.ids), context))
        found = tuple(self.known[each] for each in message.ids if each in self.known)
        self.begun.release()
        if self.hung:
            self.hung -= 1
            await asyncio.Event().wait()
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        return found


@asynccontextmanager
async def service(timeout: float = 5.0) -> AsyncIterator[tuple[Patients, UserService]]:
    transport = MemoryTransport()
    await transport.start()
    bus = Bus(transport, {"user": "user"}, timeout=timeout, retry=RetryPolicy(initial=0.001))
    await bus.start()
    people = UserService(bus)
    cell = ActorCell(people, transport, "user")
    await cell.start()
    running = asyncio.create_task(cell.run())
    try:
        yield Patients(bus), people
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await bus.stop()
        await transport.stop()


async def asked_in(context: Context, patients: Patients, user_id: str) -> date | None:
    current.set(context)
    return await patients.born(user_id)


async def test_callers_at_the_same_time_share_one_request() -> None:
    async with service() as (patients, people):
        people.known |= {f"p{n}": Person(id=f"p{n}", patient=True, born=date(1990, 1, 1 + n)) for n in range(20)}
        ids = [*(f"p{n}" for n in range(20)), "p0"]
        born = await asyncio.gather(*map(patients.born, ids))
        assert born == [*(date(1990, 1, 1 + n) for n in range(20)), date(1990, 1, 1)]
        assert [ids for ids, _ in people.asked] == [set(ids)]


async def test_each_caller_gets_the_answer_about_its_own_patient() -> None:
    async with service() as (patients, people):
        people.known["tablet"] = Person(id="tablet", patient=False, born=None)
        people.known["budi"] = Person(id="budi", patient=True, born=None)
        siti, budi, tablet, unknown = await asyncio.gather(
            *map(patients.born, ("siti", "budi", "tablet", "unknown")), return_exceptions=True
        )
        assert (siti, budi) == (BORN, None)
        assert isinstance(tablet, Invalid)
        assert [error.field for error in tablet.errors] == ["user_id"]
        assert isinstance(unknown, NotFound)
        assert unknown.code == "user-not-found"


async def test_a_change_is_seen_by_every_later_look_up() -> None:
    """Also while a request from before the change is still under way."""
    async with service() as (patients, people):
        people.open.clear()
        before = asyncio.create_task(patients.born("siti"))
        await people.begun.acquire()
        del people.known["siti"]
        after = asyncio.create_task(patients.born("siti"))
        people.open.set()
        assert await before == BORN
        with pytest.raises(NotFound):
            await after


@pytest.mark.parametrize("fault", [Unavailable(), NotFound("no")])
async def test_a_fault_reaches_every_caller_and_is_not_remembered(fault: Exception) -> None:
    async with service() as (patients, people):
        people.fault = fault
        failed = await asyncio.gather(patients.born("siti"), patients.born("siti"), return_exceptions=True)
        assert [type(error) for error in failed] == [type(fault)] * 2
        people.fault = None
        assert await patients.born("siti") == BORN


async def test_a_request_that_hangs_delays_no_later_look_up() -> None:
    async with service() as (patients, people):
        people.hung = 1
        first = asyncio.create_task(patients.born("siti"))
        await people.begun.acquire()
        assert await asyncio.gather(*(patients.born("siti") for _ in range(5))) == [BORN] * 5
        assert not first.done()
        assert len(people.asked) == 2, "the later look-ups share one request"
        first.cancel()


async def test_the_circuit_opens_on_a_service_that_hangs() -> None:
    async with service(timeout=0.6) as (patients, people):
        people.hung = 12
        asked = []
        for _ in range(people.hung):
            asked.append(asyncio.create_task(patients.born("siti")))
            await people.begun.acquire()  # the next look-up is a request of its own
        failed = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(error) for error in failed] == [Expired] * 12
        with pytest.raises(BreakerOpen):
            await patients.born("siti")


async def test_a_cancelled_caller_does_not_cancel_the_shared_request() -> None:
    async with service() as (patients, people):
        people.open.clear()
        first, second = (asyncio.create_task(patients.born("siti")) for _ in range(2))
        await people.begun.acquire()
        first.cancel()
        people.open.set()
        assert await second == BORN
        assert first.cancelled()
        assert len(people.asked) == 1


async def test_a_shared_request_has_the_longest_deadline_the_first_callers_headers_and_no_principal() -> None:
    async with service() as (patients, people):
        now = time.time()
        contexts = [Context(deadline=now + 1, headers={"request_id": "first"}), Context(deadline=now + 3)]
        await asyncio.gather(*(asked_in(context, patients, "siti") for context in contexts))
        [(_, seen)] = people.asked
        assert (seen.deadline, seen.headers, seen.principal) == (now + 3, {"request_id": "first"}, None)


async def test_a_fault_after_every_caller_was_cancelled_is_no_unhandled_exception() -> None:
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, details: unhandled.append(details))
    async with service() as (patients, people):
        people.open.clear()
        asked = asyncio.create_task(patients.born("siti"))
        await people.begun.acquire()
        asked.cancel()
        people.fault = NotFound("no")
        people.open.set()
        await asyncio.gather(asked, return_exceptions=True)
    gc.collect()
    assert unhandled == []


async def test_a_look_up_without_an_answer_fails_at_its_deadline() -> None:
    async with service() as (patients, people):
        people.open.clear()
        with pytest.raises((Expired, Unavailable)):
            await asked_in(Context(deadline=time.time() + 0.05), patients, "siti")

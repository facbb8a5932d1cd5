"""The ledger over every event log: what was acknowledged is in the log once, whatever happens on the way there."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from mediq.actors.queue import command_processor as ledgers
from mediq.actors.queue.command_processor import Ledger, Outcome
from mediq.actors.queue.event_store.sqlite import EventLog, Trimmed
from mediq.actors.queue.rules import commands, queue
from mediq.actors.queue.rules.commands import Command
from mediq.actors.queue.rules.events import Recorded, TicketIssued
from mediq.actors.queue.rules.queue import Queue
from mediq.domain.clinic import Clinic
from mediq.domain.errors import Conflict, NotFound
from mediq.messages.errors import Expired, StorageFull, Unavailable
from tests.fixtures.queue.journal import CLINIC, MORNING
from tests.fixtures.stores.backends import OpenLog

Call = Callable[[], Awaitable[Any]]


class Watched:
    """A log that counts appends, and may be told what goes wrong with the next one."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.appended: list[int] = []
        self.asked = 0
        self.begun = asyncio.Event()
        self.before: Call | None = None
        self.after: Call | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    async def append(self, expected_version: int, events: Sequence[bytes]) -> int:
        before, self.before = self.before, None
        self.begun.set()
        if before is not None:
            await before()
        version = await self.log.append(expected_version, events)
        if events:
            self.appended.append(len(events))
        after, self.after = self.after, None
        if after is not None:
            await after()
        return version

    async def version(self) -> int:
        self.asked += 1
        return await self.log.version()


class Desk:
    """A ledger at work, and what it has told."""

    def __init__(self, log: Watched, *, shared: bool) -> None:
        self.log = log
        self.told: list[Recorded] = []
        self.ledger = Ledger(log, CLINIC, on_recorded=self._tell, shared=shared)

    async def _tell(self, recorded: Sequence[Recorded]) -> None:
        self.told += recorded

    async def do(self, command: Command) -> str | None:
        return (await self.ledger.submit(command))[1].ticket_id

    async def add(self, who: str, key: str | None = None) -> str | None:
        return await self.do(add(who, key))

    async def kept(self) -> list[Recorded]:
        return await self.ledger.events(0, 1_000_000)


OpenDesk = Callable[[], Awaitable[Desk]]


@pytest.fixture(params=["alone", "shared"])
def shared(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "shared")


@pytest.fixture
async def open_desk(open_log: OpenLog, shared: bool) -> AsyncIterator[OpenDesk]:
    """Set a ledger to work on the test's one log, each time as another process would."""
    async with AsyncExitStack() as stack:

        async def opened() -> Desk:
            desk = Desk(Watched(await open_log()), shared=shared)
            await desk.ledger.restore()
            run = asyncio.create_task(desk.ledger.run())

            async def end() -> None:
                run.cancel()
                await asyncio.gather(run, return_exceptions=True)

            stack.push_async_callback(end)
            return desk

        yield opened


@pytest.fixture
async def desk(open_desk: OpenDesk) -> Desk:
    return await open_desk()


on_a_shared_log = pytest.mark.parametrize("shared", [True], ids=["shared"])


def add(who: str, key: str | None = None) -> commands.AddPatient:
    return commands.AddPatient(
        at=MORNING, actor="rina", key=key, ticket_id=f"t-{who}", token=f"k-{who}", user_id=f"u-{who}"
    )


def call(key: str | None = None) -> commands.CallNext:
    return commands.CallNext(at=MORNING, actor="rina", key=key, counter="1")


def folded(events: Sequence[Recorded], state: Queue = queue.EMPTY) -> Queue:
    for each in events:
        state = queue.evolve(state, each)
    return state


def number_of(recorded: Recorded) -> str:
    assert isinstance(recorded.event, TicketIssued)
    return recorded.event.number


def raising(error: Exception) -> Call:
    async def fail() -> None:
        raise error

    return fail


async def test_what_waits_together_is_written_together(desk: Desk) -> None:
    hold = asyncio.Event()
    desk.log.before = hold.wait
    first = asyncio.create_task(desk.add("first"))
    await desk.log.begun.wait()
    others = [asyncio.create_task(desk.add(f"{n}")) for n in range(50)]
    await asyncio.sleep(0)
    hold.set()
    await asyncio.gather(first, *others)
    assert desk.log.appended == [1, 50]
    assert [each.version for each in desk.told] == list(range(1, 52))
    assert desk.told == await desk.kept()
    assert [number_of(each) for each in desk.told] == [f"A-{n:03}" for n in range(1, 52)]


async def test_an_answer_is_of_the_moment_after_its_command(desk: Desk) -> None:
    outcomes = await asyncio.gather(*(desk.ledger.submit(add(f"{n}")) for n in range(5)))
    assert [state.version for state, _ in outcomes] == [1, 2, 3, 4, 5]


async def test_a_refusal_harms_nobody_in_its_batch(desk: Desk) -> None:
    one, refused, two = await asyncio.gather(
        desk.add("one"),
        desk.do(commands.Start(at=MORNING, actor="rina", ticket_id="nobody")),
        desk.add("two"),
        return_exceptions=True,
    )
    assert (one, two) == ("t-one", "t-two")
    assert isinstance(refused, NotFound)
    assert desk.log.appended == [2]
    assert len(await desk.kept()) == 2


async def test_a_command_that_crashes_fails_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = queue.decide

    def decide(state: Queue, command: Command, clinic: Clinic) -> queue.Decision:
        if command.actor == "crash":
            raise ZeroDivisionError
        return rules(state, command, clinic)

    monkeypatch.setattr(queue, "decide", decide)
    one, crashed, two = await asyncio.gather(
        desk.add("one"),
        desk.do(msgspec.structs.replace(add("bad"), actor="crash")),
        desk.add("two"),
        return_exceptions=True,
    )
    assert (one, two) == ("t-one", "t-two")
    assert isinstance(crashed, ZeroDivisionError)
    assert await desk.add("three") == "t-three"


async def test_a_full_disk_fails_the_batch_and_the_next_goes_on(desk: Desk) -> None:
    desk.log.before = raising(StorageFull())
    answers = await asyncio.gather(*(desk.add(f"{n}") for n in range(3)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {StorageFull}
    assert desk.told == await desk.kept() == []
    assert await desk.add("next") == "t-next"
    assert desk.ledger.state == folded(await desk.kept())


@pytest.mark.parametrize("key", ["job-1", None])
async def test_an_append_in_doubt_that_was_written_counts_once(desk: Desk, key: str | None) -> None:
    desk.log.after = raising(Unavailable())
    with pytest.raises(Unavailable):
        await desk.add("one", key)
    # Asked again, with the key or about the same patient, the answer is the first ticket.
    again = msgspec.structs.replace(add("one", key), ticket_id="t-again", token="k-again")
    assert await desk.do(again) == "t-one"
    assert await desk.add("two") == "t-two"
    assert [each.version for each in await desk.kept()] == [1, 2]
    # Boards hear of it too, although nobody was told when it was written.
    assert desk.told == await desk.kept()


async def test_after_an_append_in_doubt_refusals_too_are_of_the_queue_as_it_is(desk: Desk) -> None:
    desk.log.after = raising(Unavailable())
    with pytest.raises(Unavailable):
        await desk.add("one")
    assert await desk.do(call()) == "t-one"


async def test_an_append_in_doubt_that_was_not_written_is_made_anew(desk: Desk) -> None:
    desk.log.before = raising(Unavailable())
    with pytest.raises(Unavailable):
        await desk.add("one", "job-1")
    assert await desk.add("two") == "t-two"
    assert await desk.add("one", "job-1") == "t-one"
    assert desk.told == await desk.kept()
    assert [number_of(each) for each in desk.told] == ["A-001", "A-002"]


async def test_an_append_that_lands_late_counts_once(desk: Desk) -> None:
    """A server that was cut off carries out what it was sent when it comes back."""
    late: list[tuple[int, Sequence[bytes]]] = []
    append = desk.log.append

    async def lost(expected_version: int, events: Sequence[bytes]) -> int:
        late.append((expected_version, events))
        desk.log.append = append  # type: ignore[method-assign]
        raise Unavailable

    desk.log.append = lost  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await desk.add("one", "job-1")
    [(version, events)] = late

    async def land() -> None:
        await desk.log.log.append(version, events)

    desk.log.before = land
    again = msgspec.structs.replace(add("one", "job-1"), ticket_id="t-again", token="k-again")
    assert await desk.do(again) == "t-one"
    await desk.add("two")
    assert desk.told == await desk.kept()
    assert len(desk.told) == 2


async def test_nobody_waits_beyond_their_deadline(desk: Desk) -> None:
    go = asyncio.Event()
    desk.log.before = go.wait

    def submit(who: str, seconds: float) -> asyncio.Task[Outcome]:
        return asyncio.create_task(desk.ledger.submit(add(who), deadline=time.time() + seconds))

    under_way = submit("a", 0.3)
    await desk.log.begun.wait()
    patient, later, sooner = submit("b", 60), submit("c", 0.2), submit("d", 0.1)
    for waits in (sooner, later, under_way):
        assert not under_way.done()
        with pytest.raises(Expired):
            await waits
    go.set()
    await patient
    assert [each.event.user_id for each in await desk.kept()] == ["u-a", "u-b"], "carried out although it was too late"
    with pytest.raises(Expired):
        await submit("e", -1)
    assert (await submit("f", 60))[1].ticket_id == "t-f"
    assert [each.event.user_id for each in await desk.kept()] == ["u-a", "u-b", "u-f"]


async def test_those_who_wait_when_the_ledger_stops_are_told(open_log: OpenLog) -> None:
    log = Watched(await open_log())
    desk = Desk(log, shared=False)
    run = asyncio.create_task(desk.ledger.run())
    log.before = asyncio.Event().wait
    waiting = [asyncio.create_task(desk.add(f"{n}")) for n in range(3)]
    await log.begun.wait()
    waiting.append(asyncio.create_task(desk.add("later")))
    await asyncio.sleep(0)
    run.cancel()
    answers = await asyncio.gather(*waiting, run, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 4 + [asyncio.CancelledError]


# --- snapshots ---


async def a_day(desk: Desk, patients: int) -> None:
    await asyncio.gather(*(desk.add(f"{n}", f"job-{n}") for n in range(patients)))
    await desk.do(call("call-1"))


async def test_a_start_from_the_snapshot_is_a_start_from_the_log(desk: Desk, open_desk: OpenDesk) -> None:
    await a_day(desk, 20)
    await desk.ledger.tidy(MORNING)
    await desk.add("tail")
    everything = await desk.kept()
    kept = await desk.log.snapshot()
    assert kept is not None
    assert kept[0] == 22
    again = await open_desk()
    assert again.ledger.state == desk.ledger.state == folded(everything)
    assert await again.add("next") == "t-next"


async def test_nothing_new_needs_no_snapshot(desk: Desk, open_desk: OpenDesk) -> None:
    await a_day(desk, 3)
    await desk.ledger.tidy(MORNING)
    again = await open_desk()
    await again.log.save_snapshot(again.ledger.state.version, b"kept")
    await again.ledger.tidy(MORNING + timedelta(days=1))
    assert await again.log.snapshot() == (5, b"kept")


async def test_what_the_retention_is_over_for_is_trimmed(desk: Desk, open_desk: OpenDesk) -> None:
    await a_day(desk, 20)
    everything = await desk.kept()
    later = MORNING + timedelta(days=CLINIC.policy.retention_days + 1)
    await desk.do(msgspec.structs.replace(add("later"), at=later))
    await desk.ledger.tidy(later)
    left = await desk.log.read(await desk.log.version() - 1)
    assert len(left) == 1
    with pytest.raises(Trimmed):
        await desk.ledger.events(0)
    again = await open_desk()
    assert again.ledger.state == desk.ledger.state
    assert again.ledger.state.version > len(everything)
    assert await again.do(msgspec.structs.replace(add("next"), at=later)) == "t-next"
    # A second time on the same day there is nothing to do.
    await desk.ledger.tidy(later)


async def test_nothing_within_the_retention_is_trimmed(desk: Desk) -> None:
    await a_day(desk, 3)
    await desk.ledger.tidy(MORNING + timedelta(days=CLINIC.policy.retention_days - 1))
    assert len(await desk.kept()) == 5


async def test_a_snapshot_that_is_not_understood_is_done_without(desk: Desk, open_desk: OpenDesk) -> None:
    await a_day(desk, 5)
    await desk.log.save_snapshot(desk.ledger.state.version, b"of a later version")
    again = await open_desk()
    assert again.ledger.state == desk.ledger.state
    await again.add("next")
    await again.ledger.tidy(MORNING)
    assert (await open_desk()).ledger.state == again.ledger.state


async def test_a_long_log_is_read_in_pages(desk: Desk, open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "_PAGE", 7)
    await a_day(desk, 26)
    assert len(await desk.ledger.events(0, 100)) == 28
    assert (await open_desk()).ledger.state == desk.ledger.state


# --- a log that several processes share ---


@on_a_shared_log
async def test_the_loser_decides_again(desk: Desk, open_desk: OpenDesk) -> None:
    other = await open_desk()
    for n in range(10):
        await asyncio.gather(*((desk, other)[m % 2].add(f"{n}-{m}") for m in range(6)))
    await other.do(call())
    with pytest.raises(Conflict) as refused:
        await desk.do(call())
    assert refused.value.code == "counter-busy"
    kept = await desk.kept()
    assert sorted(desk.told + other.told, key=lambda each: each.version) == kept
    assert [number_of(each) for each in kept[:60]] == [f"A-{n:03}" for n in range(1, 61)]


async def beaten(desk: Desk, other: Desk, times: int) -> None:
    """See to it that `other` is faster, so many times in a row."""
    for n in range(times):
        begun = desk.log.begun
        begun.clear()

        async def first(n: int = n) -> None:
            await other.add(f"faster-{n}")

        desk.log.before = first
        await begun.wait()


@on_a_shared_log
async def test_who_is_beaten_again_and_again_decides_less_at_a_time(desk: Desk, open_desk: OpenDesk) -> None:
    other = await open_desk()
    harm = asyncio.create_task(beaten(desk, other, 4))
    await asyncio.sleep(0)
    tickets = await asyncio.gather(*(desk.add(f"{n}") for n in range(64)))
    await harm
    assert tickets == [f"t-{n}" for n in range(64)]
    assert desk.log.appended[:3] == [4, 16, 44]
    # First come, first served, all the same.
    assert [number_of(each) for each in desk.told] == [f"A-{n:03}" for n in range(5, 69)]


@on_a_shared_log
async def test_who_is_beaten_too_often_says_so(
    desk: Desk, open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "_ATTEMPTS", 3)
    other = await open_desk()
    harm = asyncio.create_task(beaten(desk, other, 3))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await desk.add("one")
    await harm
    assert await desk.add("one") == "t-one"
    assert len(await desk.kept()) == 4


@on_a_shared_log
async def test_a_refusal_is_of_the_queue_as_it_is(desk: Desk, open_desk: OpenDesk) -> None:
    other = await open_desk()
    ticket = await other.add("one")
    assert ticket is not None
    await other.do(call())
    # This process has read nothing of it, and by what it knows there is no such ticket.
    assert await desk.do(commands.Start(at=MORNING, actor="rina", ticket_id=ticket)) == ticket
    with pytest.raises(Conflict):
        await other.do(commands.Start(at=MORNING, actor="rina", ticket_id=ticket))


@on_a_shared_log
async def test_a_key_is_known_to_all(desk: Desk, open_desk: OpenDesk) -> None:
    other = await open_desk()
    assert await other.add("one", "job-1") == "t-one"
    again = msgspec.structs.replace(add("one", "job-1"), ticket_id="t-again", token="k-again")
    assert await desk.do(again) == "t-one"
    assert len(await desk.kept()) == 1


@on_a_shared_log
async def test_what_another_was_told_is_seen_at_once(desk: Desk, open_desk: OpenDesk) -> None:
    other = await open_desk()
    for n in range(20):
        ticket = await other.add(f"{n}")
        assert ticket is not None
        assert (await desk.ledger.fresh()).ticket(ticket) is not None
    # Whoever follows the log hears of an event from the one who appended it.
    assert desk.told == []


@on_a_shared_log
async def test_many_readers_ask_the_log_together(desk: Desk) -> None:
    await desk.add("one")
    desk.log.asked = 0
    states = await asyncio.gather(*(desk.ledger.fresh() for _ in range(100)))
    assert {state.version for state in states} == {1}
    assert desk.log.asked <= 2


@on_a_shared_log
async def test_who_comes_during_a_look_is_not_served_its_answer(desk: Desk, open_desk: OpenDesk) -> None:
    other = await open_desk()
    answered, go_on = asyncio.Event(), asyncio.Event()
    version = desk.log.log.version

    async def slow() -> int:
        found = await version()
        answered.set()
        await go_on.wait()
        return found

    desk.log.version = slow  # type: ignore[method-assign]
    early = asyncio.create_task(desk.ledger.fresh())
    await answered.wait()
    ticket = await other.add("one")
    assert ticket is not None
    late = asyncio.create_task(desk.ledger.fresh())
    await asyncio.sleep(0)
    go_on.set()
    assert (await late).ticket(ticket) is not None
    await early


@on_a_shared_log
async def test_what_was_seen_once_stays_seen(desk: Desk, open_desk: OpenDesk) -> None:
    """A reader catches up with another process while the answer to an append is on its way."""
    other = await open_desk()
    seen: list[int] = []

    async def read() -> None:
        await other.add("two")
        seen.append((await desk.ledger.fresh()).version)

    desk.log.after = read
    state, _ = await desk.ledger.submit(add("one"))
    assert (state.version, seen) == (1, [2])
    assert desk.ledger.state.version == 2
    assert [each.version for each in desk.told] == [1]


@on_a_shared_log
async def test_a_reader_is_told_when_the_log_does_not_answer(desk: Desk) -> None:
    await desk.log.log.close()
    answers = await asyncio.gather(*(desk.ledger.fresh() for _ in range(3)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}
    await desk.log.log.open()
    assert (await desk.ledger.fresh()).version == 0


@pytest.mark.parametrize("shared", [False], ids=["alone"])
async def test_a_log_of_one_process_is_not_asked(desk: Desk) -> None:
    await desk.add("one")
    assert (await desk.ledger.fresh()).version == 1
    assert desk.log.asked == 0


@on_a_shared_log
async def test_a_log_that_went_back_is_folded_anew(desk: Desk, open_desk: OpenDesk) -> None:
    """A server that did not sync its writes forgets some; what it has left is the truth then."""
    other = await open_desk()
    await other.add("one")
    await desk.ledger.fresh()
    desk.ledger.state = folded([msgspec.structs.replace(each, version=2) for each in other.told])
    assert (await desk.ledger.fresh()).version == 1
    desk.ledger.state = folded([msgspec.structs.replace(each, version=2) for each in other.told])
    await desk.add("two")
    assert desk.ledger.state == folded(await desk.kept())
    assert len(await desk.kept()) == 2

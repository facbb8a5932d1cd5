"""The processor over every event log: what was acknowledged is in the log once, whatever happens on the way there."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from mediq.actors.queue import command_processor as ledgers
from mediq.actors.queue.command_processor import CommandProcessor, Outcome
from mediq.actors.queue.event_store.base import EventLog, Trimmed
from mediq.actors.queue.rules import commands, queue
from mediq.actors.queue.rules.commands import Command, Given
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


class Process:
    """A processor at work, and what it has told."""

    def __init__(self, log: Watched, *, shared: bool) -> None:
        self.log = log
        self.told: list[Recorded] = []
        self.processor = CommandProcessor(log, CLINIC, on_recorded=self._tell, shared=shared)

    async def _tell(self, recorded: Sequence[Recorded]) -> None:
        self.told += recorded

    async def do(self, command: Command, **given: Any) -> str | None:
        return (await self.processor.submit(command, given_now(**given)))[1].ticket_id

    async def add(self, who: str, key: str | None = None, **given: Any) -> str | None:
        return await self.do(add(who), **{**ids_of(who), "key": key, **given})

    async def kept(self) -> list[Recorded]:
        return await self.processor.events(0, 1_000_000)


OpenProcess = Callable[[], Awaitable[Process]]


@pytest.fixture(params=["alone", "shared"])
def shared(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "shared")


@pytest.fixture
async def open_process(open_log: OpenLog, shared: bool) -> AsyncIterator[OpenProcess]:
    """Set a processor to work on the test's one log, each time as another process would."""
    async with AsyncExitStack() as stack:

        async def opened() -> Process:
            process = Process(Watched(await open_log()), shared=shared)
            await process.processor.restore()
            run = asyncio.create_task(process.processor.run())

            async def end() -> None:
                run.cancel()
                await asyncio.gather(run, return_exceptions=True)

            stack.push_async_callback(end)
            return process

        yield opened


@pytest.fixture
async def process(open_process: OpenProcess) -> Process:
    return await open_process()


on_a_shared_log = pytest.mark.parametrize("shared", [True], ids=["shared"])


CALL = commands.CallNext(counter="1")


def given_now(**given: Any) -> Given:
    return Given(**{"at": MORNING, "actor": "rina", **given})


def add(who: str) -> commands.AddPatient:
    return commands.AddPatient(user_id=f"u-{who}")


def ids_of(who: str) -> dict[str, str]:
    return {"ticket_id": f"t-{who}", "token": f"k-{who}"}


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


async def test_what_waits_together_is_written_together(process: Process) -> None:
    hold = asyncio.Event()
    process.log.before = hold.wait
    first = asyncio.create_task(process.add("first"))
    await process.log.begun.wait()
    others = [asyncio.create_task(process.add(f"{n}")) for n in range(50)]
    await asyncio.sleep(0)
    hold.set()
    await asyncio.gather(first, *others)
    assert process.log.appended == [1, 50]
    assert [each.version for each in process.told] == list(range(1, 52))
    assert process.told == await process.kept()
    assert [number_of(each) for each in process.told] == [f"A-{n:03}" for n in range(1, 52)]


async def test_an_answer_is_of_the_moment_after_its_command(process: Process) -> None:
    outcomes = await asyncio.gather(
        *(process.processor.submit(add(f"{n}"), given_now(**ids_of(f"{n}"))) for n in range(5))
    )
    assert [state.version for state, _ in outcomes] == [1, 2, 3, 4, 5]


async def test_a_refusal_harms_nobody_in_its_batch(process: Process) -> None:
    one, refused, two = await asyncio.gather(
        process.add("one"),
        process.do(commands.Start(id="nobody")),
        process.add("two"),
        return_exceptions=True,
    )
    assert (one, two) == ("t-one", "t-two")
    assert isinstance(refused, NotFound)
    assert process.log.appended == [2]
    assert len(await process.kept()) == 2


async def test_a_command_that_crashes_fails_alone(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = queue.decide

    def decide(state: Queue, command: Command, given: Given, clinic: Clinic) -> queue.Decision:
        if given.actor == "crash":
            raise ZeroDivisionError
        return rules(state, command, given, clinic)

    monkeypatch.setattr(queue, "decide", decide)
    one, crashed, two = await asyncio.gather(
        process.add("one"),
        process.add("bad", actor="crash"),
        process.add("two"),
        return_exceptions=True,
    )
    assert (one, two) == ("t-one", "t-two")
    assert isinstance(crashed, ZeroDivisionError)
    assert await process.add("three") == "t-three"


async def test_a_full_disk_fails_the_batch_and_the_next_goes_on(process: Process) -> None:
    process.log.before = raising(StorageFull())
    answers = await asyncio.gather(*(process.add(f"{n}") for n in range(3)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {StorageFull}
    assert process.told == await process.kept() == []
    assert await process.add("next") == "t-next"
    assert process.processor.state == folded(await process.kept())


@pytest.mark.parametrize("key", ["job-1", None])
async def test_an_append_in_doubt_that_was_written_counts_once(process: Process, key: str | None) -> None:
    process.log.after = raising(Unavailable())
    with pytest.raises(Unavailable):
        await process.add("one", key)
    # Asked again, with the key or about the same patient, the answer is the first ticket.
    assert await process.add("one", key, **ids_of("again")) == "t-one"
    assert await process.add("two") == "t-two"
    assert [each.version for each in await process.kept()] == [1, 2]
    # Boards hear of it too, although nobody was told when it was written.
    assert process.told == await process.kept()


async def test_after_an_append_in_doubt_refusals_too_are_of_the_queue_as_it_is(process: Process) -> None:
    process.log.after = raising(Unavailable())
    with pytest.raises(Unavailable):
        await process.add("one")
    assert await process.do(CALL) == "t-one"


async def test_an_append_in_doubt_that_was_not_written_is_made_anew(process: Process) -> None:
    process.log.before = raising(Unavailable())
    with pytest.raises(Unavailable):
        await process.add("one", "job-1")
    assert await process.add("two") == "t-two"
    assert await process.add("one", "job-1") == "t-one"
    assert process.told == await process.kept()
    assert [number_of(each) for each in process.told] == ["A-001", "A-002"]


async def test_an_append_that_lands_late_counts_once(process: Process) -> None:
    """A server that was cut off carries out what it was sent when it comes back."""
    late: list[tuple[int, Sequence[bytes]]] = []
    append = process.log.append

    async def lost(expected_version: int, events: Sequence[bytes]) -> int:
        late.append((expected_version, events))
        process.log.append = append  # type: ignore[method-assign]
        raise Unavailable

    process.log.append = lost  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await process.add("one", "job-1")
    [(version, events)] = late

    async def land() -> None:
        await process.log.log.append(version, events)

    process.log.before = land
    assert await process.add("one", "job-1", **ids_of("again")) == "t-one"
    await process.add("two")
    assert process.told == await process.kept()
    assert len(process.told) == 2


async def test_nobody_waits_beyond_their_deadline(process: Process) -> None:
    go = asyncio.Event()
    process.log.before = go.wait

    def submit(who: str, seconds: float) -> asyncio.Task[Outcome]:
        return asyncio.create_task(
            process.processor.submit(add(who), given_now(**ids_of(who)), deadline=time.time() + seconds)
        )

    under_way = submit("a", 0.3)
    await process.log.begun.wait()
    patient, later, sooner = submit("b", 60), submit("c", 0.2), submit("d", 0.1)
    for waits in (sooner, later, under_way):
        assert not under_way.done()
        with pytest.raises(Expired):
            await waits
    go.set()
    await patient
    assert [each.event.user_id for each in await process.kept()] == ["u-a", "u-b"], (
        "carried out although it was too late"
    )
    with pytest.raises(Expired):
        await submit("e", -1)
    assert (await submit("f", 60))[1].ticket_id == "t-f"
    assert [each.event.user_id for each in await process.kept()] == ["u-a", "u-b", "u-f"]


async def test_those_who_wait_when_the_processor_stops_are_told(open_log: OpenLog) -> None:
    log = Watched(await open_log())
    process = Process(log, shared=False)
    run = asyncio.create_task(process.processor.run())
    log.before = asyncio.Event().wait
    waiting = [asyncio.create_task(process.add(f"{n}")) for n in range(3)]
    await log.begun.wait()
    waiting.append(asyncio.create_task(process.add("later")))
    await asyncio.sleep(0)
    run.cancel()
    answers = await asyncio.gather(*waiting, run, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 4 + [asyncio.CancelledError]


# --- snapshots ---


async def a_day(process: Process, patients: int) -> None:
    await asyncio.gather(*(process.add(f"{n}", f"job-{n}") for n in range(patients)))
    await process.do(CALL, key="call-1")


async def test_a_start_from_the_snapshot_is_a_start_from_the_log(process: Process, open_process: OpenProcess) -> None:
    await a_day(process, 20)
    await process.processor.compact(MORNING)
    await process.add("tail")
    everything = await process.kept()
    kept = await process.log.snapshot()
    assert kept is not None
    assert kept[0] == 22
    again = await open_process()
    assert again.processor.state == process.processor.state == folded(everything)
    assert await again.add("next") == "t-next"


async def test_nothing_new_needs_no_snapshot(process: Process, open_process: OpenProcess) -> None:
    await a_day(process, 3)
    await process.processor.compact(MORNING)
    again = await open_process()
    await again.log.save_snapshot(again.processor.state.version, b"kept")
    await again.processor.compact(MORNING + timedelta(days=1))
    assert await again.log.snapshot() == (5, b"kept")


async def test_what_the_retention_is_over_for_is_trimmed(process: Process, open_process: OpenProcess) -> None:
    await a_day(process, 20)
    everything = await process.kept()
    later = MORNING + timedelta(days=CLINIC.policy.retention_days + 1)
    await process.add("later", at=later)
    await process.processor.compact(later)
    left = await process.log.read(await process.log.version() - 1)
    assert len(left) == 1
    with pytest.raises(Trimmed):
        await process.processor.events(0)
    again = await open_process()
    assert again.processor.state == process.processor.state
    assert again.processor.state.version > len(everything)
    assert await again.add("next", at=later) == "t-next"
    # A second time on the same day there is nothing to do.
    await process.processor.compact(later)


async def test_nothing_within_the_retention_is_trimmed(process: Process) -> None:
    await a_day(process, 3)
    await process.processor.compact(MORNING + timedelta(days=CLINIC.policy.retention_days - 1))
    assert len(await process.kept()) == 5


async def test_a_snapshot_that_is_not_understood_is_done_without(process: Process, open_process: OpenProcess) -> None:
    await a_day(process, 5)
    await process.log.save_snapshot(process.processor.state.version, b"of a later version")
    again = await open_process()
    assert again.processor.state == process.processor.state
    await again.add("next")
    await again.processor.compact(MORNING)
    assert (await open_process()).processor.state == again.processor.state


async def test_a_long_log_is_read_in_pages(
    process: Process, open_process: OpenProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "_PAGE", 7)
    await a_day(process, 26)
    assert len(await process.processor.events(0, 100)) == 28
    assert (await open_process()).processor.state == process.processor.state


# --- a log that several processes share ---


@on_a_shared_log
async def test_the_loser_decides_again(process: Process, open_process: OpenProcess) -> None:
    other = await open_process()
    for n in range(10):
        await asyncio.gather(*((process, other)[m % 2].add(f"{n}-{m}") for m in range(6)))
    await other.do(CALL)
    with pytest.raises(Conflict) as refused:
        await process.do(CALL)
    assert refused.value.code == "counter-busy"
    kept = await process.kept()
    assert sorted(process.told + other.told, key=lambda each: each.version) == kept
    assert [number_of(each) for each in kept[:60]] == [f"A-{n:03}" for n in range(1, 61)]


async def beaten(process: Process, other: Process, times: int) -> None:
    """See to it that `other` is faster, so many times in a row."""
    for n in range(times):
        begun = process.log.begun
        begun.clear()

        async def first(n: int = n) -> None:
            await other.add(f"faster-{n}")

        process.log.before = first
        await begun.wait()


@on_a_shared_log
async def test_who_is_beaten_again_and_again_decides_less_at_a_time(
    process: Process, open_process: OpenProcess
) -> None:
    other = await open_process()
    harm = asyncio.create_task(beaten(process, other, 4))
    await asyncio.sleep(0)
    tickets = await asyncio.gather(*(process.add(f"{n}") for n in range(64)))
    await harm
    assert tickets == [f"t-{n}" for n in range(64)]
    assert process.log.appended[:3] == [4, 16, 44]
    # First come, first served, all the same.
    assert [number_of(each) for each in process.told] == [f"A-{n:03}" for n in range(5, 69)]


@on_a_shared_log
async def test_who_is_beaten_too_often_says_so(
    process: Process, open_process: OpenProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "_ATTEMPTS", 3)
    other = await open_process()
    harm = asyncio.create_task(beaten(process, other, 3))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await process.add("one")
    await harm
    assert await process.add("one") == "t-one"
    assert len(await process.kept()) == 4


@on_a_shared_log
async def test_a_refusal_is_of_the_queue_as_it_is(process: Process, open_process: OpenProcess) -> None:
    other = await open_process()
    ticket = await other.add("one")
    assert ticket is not None
    await other.do(CALL)
    # This process has read nothing of it, and by what it knows there is no such ticket.
    assert await process.do(commands.Start(id=ticket)) == ticket
    with pytest.raises(Conflict):
        await other.do(commands.Start(id=ticket))


@on_a_shared_log
async def test_a_key_is_known_to_all(process: Process, open_process: OpenProcess) -> None:
    other = await open_process()
    assert await other.add("one", "job-1") == "t-one"
    assert await process.add("one", "job-1", **ids_of("again")) == "t-one"
    assert len(await process.kept()) == 1


@on_a_shared_log
async def test_what_another_was_told_is_seen_at_once(process: Process, open_process: OpenProcess) -> None:
    other = await open_process()
    for n in range(20):
        ticket = await other.add(f"{n}")
        assert ticket is not None
        assert (await process.processor.fresh()).ticket(ticket) is not None
    # Whoever follows the log hears of an event from the one who appended it.
    assert process.told == []


@on_a_shared_log
async def test_many_readers_ask_the_log_together(process: Process) -> None:
    await process.add("one")
    process.log.asked = 0
    states = await asyncio.gather(*(process.processor.fresh() for _ in range(100)))
    assert {state.version for state in states} == {1}
    assert process.log.asked <= 2


@on_a_shared_log
async def test_who_comes_during_a_look_is_not_served_its_answer(process: Process, open_process: OpenProcess) -> None:
    other = await open_process()
    answered, go_on = asyncio.Event(), asyncio.Event()
    version = process.log.log.version

    async def slow() -> int:
        found = await version()
        answered.set()
        await go_on.wait()
        return found

    process.log.version = slow  # type: ignore[method-assign]
    early = asyncio.create_task(process.processor.fresh())
    await answered.wait()
    ticket = await other.add("one")
    assert ticket is not None
    late = asyncio.create_task(process.processor.fresh())
    await asyncio.sleep(0)
    go_on.set()
    assert (await late).ticket(ticket) is not None
    await early


@on_a_shared_log
async def test_what_was_seen_once_stays_seen(process: Process, open_process: OpenProcess) -> None:
    """A reader catches up with another process while the answer to an append is on its way."""
    other = await open_process()
    seen: list[int] = []

    async def read() -> None:
        await other.add("two")
        seen.append((await process.processor.fresh()).version)

    process.log.after = read
    state, _ = await process.processor.submit(add("one"), given_now(**ids_of("one")))
    assert (state.version, seen) == (1, [2])
    assert process.processor.state.version == 2
    assert [each.version for each in process.told] == [1]


@on_a_shared_log
async def test_a_reader_is_told_when_the_log_does_not_answer(process: Process) -> None:
    await process.log.log.close()
    answers = await asyncio.gather(*(process.processor.fresh() for _ in range(3)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}
    await process.log.log.open()
    assert (await process.processor.fresh()).version == 0


@pytest.mark.parametrize("shared", [False], ids=["alone"])
async def test_a_log_of_one_process_is_not_asked(process: Process) -> None:
    await process.add("one")
    assert (await process.processor.fresh()).version == 1
    assert process.log.asked == 0


@on_a_shared_log
async def test_a_log_that_went_back_is_folded_anew(process: Process, open_process: OpenProcess) -> None:
    """A server that did not sync its writes forgets some; what it has left is the truth then."""
    other = await open_process()
    await other.add("one")
    await process.processor.fresh()
    process.processor.state = folded([msgspec.structs.replace(each, version=2) for each in other.told])
    assert (await process.processor.fresh()).version == 1
    process.processor.state = folded([msgspec.structs.replace(each, version=2) for each in other.told])
    await process.add("two")
    assert process.processor.state == folded(await process.kept())
    assert len(await process.kept()) == 2

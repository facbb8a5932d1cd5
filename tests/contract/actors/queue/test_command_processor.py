"""The command processor on every event log: batches, answers and deadlines."""

import asyncio
import time

import pytest

from mediq.actors.queue.command_processor import Outcome
from mediq.actors.queue.rules import commands, queue
from mediq.actors.queue.rules.commands import Command, Given
from mediq.actors.queue.rules.queue import Queue
from mediq.domain.clinic import Clinic
from mediq.domain.errors import NotFound
from mediq.messages.errors import Expired, StorageFull, Unavailable
from tests.fixtures.queue.journal import replayed
from tests.fixtures.queue.processes import (
    CALL,
    QueueProcess,
    WatchedLog,
    add,
    given_now,
    ids_of,
    number_of,
    patient_of,
    raising,
)
from tests.fixtures.stores.backends import OpenLog


async def test_commands_that_wait_together_are_written_in_one_append(process: QueueProcess) -> None:
    hold = asyncio.Event()
    process.log.before = hold.wait
    first = asyncio.create_task(process.add("first"))
    await process.log.append_begun.wait()
    others = [asyncio.create_task(process.add(f"{n}")) for n in range(50)]
    await asyncio.sleep(0)
    hold.set()
    await asyncio.gather(first, *others)
    assert process.log.append_sizes == [1, 50]
    assert [each.version for each in process.published] == list(range(1, 52))
    assert process.published == await process.logged()
    assert [number_of(each) for each in process.published] == [f"A-{n:03}" for n in range(1, 52)]


async def test_an_answer_shows_the_queue_right_after_its_command(process: QueueProcess) -> None:
    outcomes = await asyncio.gather(
        *(process.processor.submit(add(f"{n}"), given_now(**ids_of(f"{n}"))) for n in range(5))
    )
    assert [state.version for state, _ in outcomes] == [1, 2, 3, 4, 5]


async def test_a_refusal_does_not_affect_the_rest_of_its_batch(process: QueueProcess) -> None:
    one, refused, two = await asyncio.gather(
        process.add("one"),
        process.do(commands.Start(id="unknown")),
        process.add("two"),
        return_exceptions=True,
    )
    assert (one, two) == ("t-one", "t-two")
    assert isinstance(refused, NotFound)
    assert process.log.append_sizes == [2]
    assert len(await process.logged()) == 2


async def test_a_command_that_crashes_fails_alone(process: QueueProcess, monkeypatch: pytest.MonkeyPatch) -> None:
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


async def test_a_full_disk_fails_the_batch_and_the_next_batch_goes_on(process: QueueProcess) -> None:
    process.log.before = raising(StorageFull())
    answers = await asyncio.gather(*(process.add(f"{n}") for n in range(3)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {StorageFull}
    assert process.published == await process.logged() == []
    assert await process.add("next") == "t-next"
    assert process.processor.state == replayed(await process.logged())


@pytest.mark.parametrize("key", ["job-1", None])
async def test_an_append_in_doubt_that_was_written_counts_once(process: QueueProcess, key: str | None) -> None:
    process.log.after = raising(Unavailable())
    with pytest.raises(Unavailable):
        await process.add("one", key)
    # A repetition, known by its key or by its patient, is answered with the first ticket.
    assert await process.add("one", key, **ids_of("again")) == "t-one"
    assert await process.add("two") == "t-two"
    assert [each.version for each in await process.logged()] == [1, 2]
    # The event is published later, since it was not published when it was written.
    assert process.published == await process.logged()


async def test_a_command_after_an_append_in_doubt_is_decided_on_the_log(process: QueueProcess) -> None:
    process.log.after = raising(Unavailable())
    with pytest.raises(Unavailable):
        await process.add("one")
    assert await process.do(CALL) == "t-one"


async def test_an_append_in_doubt_that_was_not_written_can_be_repeated(process: QueueProcess) -> None:
    process.log.before = raising(Unavailable())
    with pytest.raises(Unavailable):
        await process.add("one", "job-1")
    assert await process.add("two") == "t-two"
    assert await process.add("one", "job-1") == "t-one"
    assert process.published == await process.logged()
    assert [number_of(each) for each in process.published] == ["A-001", "A-002"]


async def test_an_append_that_lands_late_counts_once(process: QueueProcess) -> None:
    """A server that was cut off carries out the append when it comes back."""
    process.log.before = raising(Unavailable())
    with pytest.raises(Unavailable):
        await process.add("one", "job-1")
    version, events = process.log.last_append

    async def land() -> None:
        await process.log.log.append(version, events)

    process.log.before = land
    assert await process.add("one", "job-1", **ids_of("again")) == "t-one"
    await process.add("two")
    assert process.published == await process.logged()
    assert len(process.published) == 2


async def test_a_command_expires_at_its_deadline(process: QueueProcess) -> None:
    go = asyncio.Event()
    process.log.before = go.wait

    def submit(name: str, seconds: float) -> asyncio.Task[Outcome]:
        return asyncio.create_task(
            process.processor.submit(add(name), given_now(**ids_of(name)), deadline=time.time() + seconds)
        )

    under_way = submit("a", 0.3)
    await process.log.append_begun.wait()
    patient, later, sooner = submit("b", 60), submit("c", 0.2), submit("d", 0.1)
    for waits in (sooner, later, under_way):
        assert not under_way.done()
        with pytest.raises(Expired):
            await waits
    go.set()
    await patient
    assert [patient_of(each) for each in await process.logged()] == ["u-a", "u-b"], (
        "the command under way was carried out"
    )
    with pytest.raises(Expired):
        await submit("e", -1)
    assert (await submit("f", 60))[1].ticket_id == "t-f"
    assert [patient_of(each) for each in await process.logged()] == ["u-a", "u-b", "u-f"]


async def test_a_stop_fails_the_commands_that_wait(open_log: OpenLog) -> None:
    log = WatchedLog(await open_log())
    process = QueueProcess(log, shared=False)
    run = asyncio.create_task(process.processor.run())
    log.before = asyncio.Event().wait
    waiting = [asyncio.create_task(process.add(f"{n}")) for n in range(3)]
    await log.append_begun.wait()
    waiting.append(asyncio.create_task(process.add("later")))
    await asyncio.sleep(0)
    run.cancel()
    answers = await asyncio.gather(*waiting, run, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 4 + [asyncio.CancelledError]

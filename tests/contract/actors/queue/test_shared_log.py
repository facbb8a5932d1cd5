"""Command processors of several processes on one log: lost appends, and reads that see what another process wrote."""

import asyncio

import msgspec
import pytest

from mediq.actors.queue.rules import commands
from mediq.domain.errors import Conflict
from mediq.messages.errors import Unavailable
from tests.fixtures.queue.journal import replayed
from tests.fixtures.queue.processes import (
    CALL,
    OpenProcess,
    QueueProcess,
    add,
    given_now,
    ids_of,
    number_of,
    on_a_shared_log,
)


@on_a_shared_log
async def test_the_loser_of_an_append_decides_again(process: QueueProcess, open_process: OpenProcess) -> None:
    other = await open_process()
    for n in range(10):
        await asyncio.gather(*((process, other)[m % 2].add(f"{n}-{m}") for m in range(6)))
    await other.do(CALL)
    with pytest.raises(Conflict) as refused:
        await process.do(CALL)
    assert refused.value.code == "counter-busy"
    logged = await process.logged()
    assert sorted(process.published + other.published, key=lambda each: each.version) == logged
    assert [number_of(each) for each in logged[:60]] == [f"A-{n:03}" for n in range(1, 61)]


async def forestall(process: QueueProcess, other: QueueProcess, times: int) -> None:
    """Let `other` append right before each of the next appends of `process`, `times` times."""
    for n in range(times):
        begun = process.log.append_begun
        begun.clear()

        async def first(n: int = n) -> None:
            await other.add(f"faster-{n}")

        process.log.before = first
        await begun.wait()


@on_a_shared_log
async def test_a_process_that_loses_repeatedly_decides_smaller_batches(
    process: QueueProcess, open_process: OpenProcess
) -> None:
    other = await open_process()
    losses = asyncio.create_task(forestall(process, other, 4))
    await asyncio.sleep(0)
    tickets = await asyncio.gather(*(process.add(f"{n}") for n in range(64)))
    await losses
    assert tickets == [f"t-{n}" for n in range(64)]
    assert process.log.append_sizes[:3] == [4, 16, 44]
    # The commands are still carried out in the order in which they came.
    assert [number_of(each) for each in process.published] == [f"A-{n:03}" for n in range(5, 69)]


@on_a_shared_log
async def test_a_process_that_loses_too_often_is_unavailable(
    process: QueueProcess, open_process: OpenProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediq.actors.queue.command_processor._ATTEMPTS", 3)
    other = await open_process()
    losses = asyncio.create_task(forestall(process, other, 3))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await process.add("one")
    await losses
    assert await process.add("one") == "t-one"
    assert len(await process.logged()) == 4


@on_a_shared_log
async def test_a_refusal_holds_for_the_queue_as_it_is_in_the_log(
    process: QueueProcess, open_process: OpenProcess
) -> None:
    other = await open_process()
    ticket = await other.add("one")
    assert ticket is not None
    await other.do(CALL)
    # This process has not read those events yet, so its own state has no such ticket.
    assert await process.do(commands.Start(id=ticket)) == ticket
    with pytest.raises(Conflict):
        await other.do(commands.Start(id=ticket))


@on_a_shared_log
async def test_a_key_used_at_one_process_is_known_to_the_other(
    process: QueueProcess, open_process: OpenProcess
) -> None:
    other = await open_process()
    assert await other.add("one", "job-1") == "t-one"
    assert await process.add("one", "job-1", **ids_of("again")) == "t-one"
    assert len(await process.logged()) == 1


@on_a_shared_log
async def test_a_read_sees_every_answered_command_of_the_other_process(
    process: QueueProcess, open_process: OpenProcess
) -> None:
    other = await open_process()
    for n in range(20):
        ticket = await other.add(f"{n}")
        assert ticket is not None
        assert (await process.processor.fresh()).ticket(ticket) is not None
    # An event is published by the process that appended it, and by no other.
    assert process.published == []


@on_a_shared_log
async def test_reads_that_wait_together_share_one_look_at_the_log(process: QueueProcess) -> None:
    await process.add("one")
    process.log.version_reads = 0
    states = await asyncio.gather(*(process.processor.fresh() for _ in range(100)))
    assert {state.version for state in states} == {1}
    assert process.log.version_reads <= 2


@on_a_shared_log
async def test_a_read_that_begins_during_a_look_waits_for_the_next_look(
    process: QueueProcess, open_process: OpenProcess
) -> None:
    other = await open_process()
    answered, go_on = asyncio.Event(), asyncio.Event()

    async def hold_the_answer() -> None:
        answered.set()
        await go_on.wait()

    process.log.after_version = hold_the_answer
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
async def test_an_append_does_not_move_the_state_back(process: QueueProcess, open_process: OpenProcess) -> None:
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
    assert [each.version for each in process.published] == [1]


@on_a_shared_log
async def test_a_read_fails_while_the_log_does_not_answer(process: QueueProcess) -> None:
    await process.log.log.close()
    answers = await asyncio.gather(*(process.processor.fresh() for _ in range(3)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}
    await process.log.log.open()
    assert (await process.processor.fresh()).version == 0


@pytest.mark.parametrize("shared", [False], ids=["alone"])
async def test_a_read_of_a_log_that_is_not_shared_does_not_ask_the_log(process: QueueProcess) -> None:
    await process.add("one")
    assert (await process.processor.fresh()).version == 1
    assert process.log.version_reads == 0


@on_a_shared_log
async def test_a_log_that_lost_events_is_folded_again(process: QueueProcess, open_process: OpenProcess) -> None:
    """A server that did not sync its writes loses some; the log as it then stands is the truth."""
    other = await open_process()
    await other.add("one")
    await process.processor.fresh()
    process.processor.state = replayed([msgspec.structs.replace(each, version=2) for each in other.published])
    assert (await process.processor.fresh()).version == 1
    process.processor.state = replayed([msgspec.structs.replace(each, version=2) for each in other.published])
    await process.add("two")
    assert process.processor.state == replayed(await process.logged())
    assert len(await process.logged()) == 2

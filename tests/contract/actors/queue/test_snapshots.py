"""Snapshots and compaction on every event log: a start from the snapshot equals a replay of the whole log."""

import asyncio
from datetime import timedelta

import pytest

from mediq.actors.queue.event_store.base import Trimmed
from tests.fixtures.queue.journal import CLINIC, MORNING, replayed
from tests.fixtures.queue.processes import CALL, OpenProcess, QueueProcess


async def a_day(process: QueueProcess, patients: int) -> None:
    """Issue a ticket to each patient and call the first: `patients` + 2 events, since the call opens the counter."""
    await asyncio.gather(*(process.add(f"{n}", f"job-{n}") for n in range(patients)))
    await process.do(CALL, key="call-1")


async def test_a_start_from_the_snapshot_equals_a_replay(process: QueueProcess, open_process: OpenProcess) -> None:
    await a_day(process, 20)
    await process.processor.compact(MORNING)
    await process.add("tail")
    everything = await process.logged()
    snapshot = await process.log.snapshot()
    assert snapshot is not None
    assert snapshot[0] == 22
    again = await open_process()
    assert again.processor.state == process.processor.state == replayed(everything)
    assert await again.add("next") == "t-next"


async def test_no_snapshot_is_saved_without_new_events(process: QueueProcess, open_process: OpenProcess) -> None:
    await a_day(process, 3)
    await process.processor.compact(MORNING)
    again = await open_process()
    await again.log.save_snapshot(again.processor.state.version, b"kept")
    await again.processor.compact(MORNING + timedelta(days=1))
    assert await again.log.snapshot() == (5, b"kept")


async def test_events_older_than_the_retention_are_trimmed(process: QueueProcess, open_process: OpenProcess) -> None:
    await a_day(process, 20)
    everything = await process.logged()
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
    # A second compaction on the same day has nothing to do.
    await process.processor.compact(later)


async def test_events_within_the_retention_are_kept(process: QueueProcess) -> None:
    await a_day(process, 3)
    await process.processor.compact(MORNING + timedelta(days=CLINIC.policy.retention_days - 1))
    assert len(await process.logged()) == 5


async def test_an_unreadable_snapshot_is_replaced_by_a_replay(process: QueueProcess, open_process: OpenProcess) -> None:
    await a_day(process, 5)
    await process.log.save_snapshot(process.processor.state.version, b"of a later version")
    again = await open_process()
    assert again.processor.state == process.processor.state
    await again.add("next")
    await again.processor.compact(MORNING)
    assert (await open_process()).processor.state == again.processor.state


async def test_a_long_log_is_read_in_pages(
    process: QueueProcess, open_process: OpenProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediq.actors.queue.command_processor._PAGE", 7)
    await a_day(process, 26)
    assert len(await process.processor.events(0, 100)) == 28
    assert (await open_process()).processor.state == process.processor.state

"""The contract of the event log, on every back end."""

import asyncio

import pytest

from mediq.actors.queue.event_store.base import MAX_APPEND, EventLog, Trimmed, VersionConflict
from mediq.messages.errors import Unavailable
from tests.fixtures.stores.backends import OpenLog


def events(first: int, last: int) -> list[bytes]:
    """The events from version `first` to `last`; each one's content names its version."""
    return [b"event %d" % version for version in range(first, last + 1)]


def numbered(first: int, last: int) -> list[tuple[int, bytes]]:
    return list(enumerate(events(first, last), start=first))


async def test_a_new_log_is_empty(log: EventLog) -> None:
    assert await log.version() == 0
    assert await log.read() == []
    assert await log.snapshot() is None
    await log.ping()


async def test_versions_run_from_one_without_gaps(log: EventLog) -> None:
    assert await log.append(0, events(1, 1)) == 1
    assert await log.append(1, events(2, 4)) == 4
    assert await log.version() == 4
    assert await log.read() == numbered(1, 4)


async def test_events_come_back_byte_for_byte(log: EventLog) -> None:
    strange = [b"", b"\x00", bytes(range(256)), b"'; DROP TABLE events; --", b"x" * 1_000_000]
    await log.append(0, strange)
    assert [body for _, body in await log.read()] == strange


async def test_a_read_returns_the_events_after_a_version_up_to_its_limit(log: EventLog) -> None:
    await log.append(0, events(1, 10))
    assert await log.read(after_version=3, limit=4) == numbered(4, 7)
    assert await log.read(after_version=9) == numbered(10, 10)
    assert await log.read(after_version=10) == []
    assert await log.read(after_version=99) == []
    assert await log.read(limit=0) == []


async def test_a_read_without_a_limit_returns_at_most_a_thousand_events(log: EventLog) -> None:
    await log.append(0, events(1, 1500))
    assert await log.read() == numbered(1, 1000)
    assert await log.read(1000) == numbered(1001, 1500)
    assert await log.read(limit=2000) == numbered(1, 1500)


@pytest.mark.parametrize("expected", [0, 1, 3, 99, -1])
async def test_an_append_at_another_version_writes_nothing(log: EventLog, expected: int) -> None:
    await log.append(0, events(1, 2))
    with pytest.raises(VersionConflict) as refused:
        await log.append(expected, [b"lost", b"lost"])
    assert refused.value.actual == 2
    assert await log.read() == numbered(1, 2)


async def test_an_append_of_no_events_only_checks_the_version(log: EventLog) -> None:
    await log.append(0, events(1, 2))
    assert await log.append(2, []) == 2
    with pytest.raises(VersionConflict):
        await log.append(1, [])
    assert await log.version() == 2


async def test_an_append_of_too_many_events_is_refused(log: EventLog) -> None:
    assert await log.append(0, [b"x"] * MAX_APPEND) == MAX_APPEND
    with pytest.raises(ValueError, match="10001 events"):
        await log.append(MAX_APPEND, [b"x"] * (MAX_APPEND + 1))
    assert await log.version() == MAX_APPEND


async def test_events_and_snapshot_are_there_after_reopening(log: EventLog, open_log: OpenLog) -> None:
    await log.append(0, events(1, 3))
    await log.save_snapshot(2, b"state")
    await log.close()
    again = await open_log()
    assert await again.read() == numbered(1, 3)
    assert await again.snapshot() == (2, b"state")
    assert await again.append(3, events(4, 4)) == 4


async def test_a_closed_log_is_unavailable_until_it_is_opened_again(log: EventLog) -> None:
    await log.append(0, events(1, 1))
    await log.close()
    await log.close()
    for call in (log.append(1, events(2, 2)), log.read(), log.version(), log.ping()):
        with pytest.raises(Unavailable):
            await call
    await log.open()
    await log.open()
    assert await log.append(1, events(2, 2)) == 2


async def test_two_writers_on_one_log_lose_and_repeat_nothing(open_log: OpenLog) -> None:
    """A writer whose append meets a version conflict tries again at the log's version."""
    wanted = 40

    async def write(log: EventLog, name: bytes) -> None:
        version = 0
        written = 0
        while written < wanted:
            try:
                version = await log.append(version, [name + b" %d a" % written, name + b" %d b" % written])
                written += 1
            except VersionConflict as conflict:
                version = conflict.actual

    one, two = await open_log(), await open_log()
    await asyncio.gather(write(one, b"one"), write(two, b"two"))
    for log in (one, two):
        found = await log.read()
        assert [version for version, _ in found] == list(range(1, 4 * wanted + 1))
        bodies = [body for _, body in found]
        for name in (b"one", b"two"):
            mine = [body for body in bodies if body.startswith(name)]
            assert mine == [name + b" %d %s" % (n, part) for n in range(wanted) for part in (b"a", b"b")]
        # The events of one append stay together.
        assert all(first[:-1] == second[:-1] for first, second in zip(bodies[::2], bodies[1::2], strict=True))


async def test_of_many_appends_at_one_version_one_succeeds(log: EventLog) -> None:
    answers = await asyncio.gather(*(log.append(0, [b"%d" % n]) for n in range(20)), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["VersionConflict"] * 19 + ["int"]
    assert await log.version() == 1


async def test_a_cancelled_append_writes_all_events_or_none(log: EventLog, open_log: OpenLog) -> None:
    other = await open_log()
    version = 0
    for turns in range(60):
        task = asyncio.ensure_future(log.append(version, [b"a", b"b", b"c"]))
        for _ in range(turns % 6):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        # The cancelled append blocks neither connection to the log.
        actual = await log.version()
        assert actual in (version, version + 3)
        version = await other.append(actual, [b"next"])
    found = await log.read()
    assert [number for number, _ in found] == list(range(1, version + 1))


async def test_the_newest_snapshot_is_kept(log: EventLog) -> None:
    await log.append(0, events(1, 5))
    await log.save_snapshot(3, b"three")
    await log.save_snapshot(5, b"five")
    await log.save_snapshot(4, b"four, late")
    assert await log.snapshot() == (5, b"five")
    await log.save_snapshot(5, b"five again")
    assert await log.snapshot() == (5, b"five again")


@pytest.mark.parametrize("version", [3, -1])
async def test_a_snapshot_of_a_version_that_the_log_lacks_is_refused(log: EventLog, version: int) -> None:
    await log.append(0, events(1, 2))
    with pytest.raises(ValueError, match="snapshot of version"):
        await log.save_snapshot(version, b"state")
    assert await log.snapshot() is None


async def test_events_after_the_snapshot_cannot_be_trimmed(log: EventLog) -> None:
    await log.append(0, events(1, 10))
    for upto in (1, 10):
        with pytest.raises(ValueError, match="no snapshot"):
            await log.trim(upto)
    await log.save_snapshot(6, b"six")
    with pytest.raises(ValueError, match="no snapshot"):
        await log.trim(7)
    assert await log.read() == numbered(1, 10)
    assert await log.trim(0) == 0
    assert await log.trim(4) == 4
    assert await log.trim(4) == 0
    assert await log.trim(6) == 2
    assert await log.read(after_version=6) == numbered(7, 10)


async def test_a_read_of_trimmed_events_names_the_snapshot(log: EventLog) -> None:
    await log.append(0, events(1, 10))
    await log.save_snapshot(6, b"six")
    await log.trim(4)
    assert await log.read(after_version=4) == numbered(5, 10)
    for after in (0, 3):
        with pytest.raises(Trimmed) as trimmed:
            await log.read(after_version=after)
        assert trimmed.value.snapshot_version == 6


async def test_versions_continue_after_every_event_was_trimmed(log: EventLog, open_log: OpenLog) -> None:
    await log.append(0, events(1, 3))
    await log.save_snapshot(3, b"three")
    await log.trim(3)
    await log.close()
    again = await open_log()
    assert await again.version() == 3
    assert await again.read(after_version=3) == []
    with pytest.raises(Trimmed):
        await again.read(after_version=2)
    with pytest.raises(VersionConflict) as refused:
        await again.append(0, [b"lost"])
    assert refused.value.actual == 3
    assert await again.append(3, events(4, 4)) == 4
    assert await again.read(after_version=3) == numbered(4, 4)

"""Snapshots: the queue as bytes."""

import msgspec
import pytest

from mediq.actors.queue.rules.queue import EMPTY, UnreadableSnapshot, dump, evolve, load
from tests.fixtures.queue.journal import Journal, replayed
from tests.fixtures.queue.simulation import simulated


def test_a_snapshot_at_any_version_restores_the_queue() -> None:
    journal, _ = simulated(3, days=2, patients=30)
    queue = EMPTY
    for recorded in journal.log:
        queue = evolve(queue, recorded)
        if recorded.version % 17 == 0:
            assert load(dump(queue)) == queue
            assert replayed(journal.log, load(dump(queue))) == journal.queue
    assert queue == journal.queue


def test_a_snapshot_without_earlier_days_follows_the_log_like_the_whole() -> None:
    journal, _ = simulated(4, days=4, patients=10)
    copied = 0
    for version in range(0, len(journal.log), 40):
        whole = replayed(journal.log[:version])
        copy = load(dump(whole.without_history()))
        assert not copy.history
        copied += bool(whole.history)
        after = replayed(journal.log, copy)
        assert after.without_history() == journal.queue.without_history()
    assert copied, "some versions have earlier days"


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", b'{"version": 1}', dump(EMPTY)[:-1]])
def test_damaged_bytes_are_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableSnapshot):
        load(data)


def test_an_unknown_format_is_unreadable() -> None:
    raw = msgspec.msgpack.decode(dump(EMPTY))
    with pytest.raises(UnreadableSnapshot, match="format 99"):
        load(msgspec.msgpack.encode(raw | {"format": 99}))


def test_an_event_is_not_applied_twice() -> None:
    journal = Journal()
    journal.add()
    with pytest.raises(ValueError, match="event 1 after event 1"):
        evolve(journal.queue, journal.log[0])

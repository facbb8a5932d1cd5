"""Snapshots: the queue as bytes."""

import msgspec
import pytest

from mediq.actors.queue.rules.commands import AddPatient, CallNext
from mediq.actors.queue.rules.events import Recorded
from mediq.actors.queue.rules.queue import EMPTY, UnreadableSnapshot, dump, evolve, load
from mediq.domain.errors import Conflict
from tests.fixtures.queue import version_0_1_0
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


def test_a_snapshot_of_version_0_1_0_equals_a_replay_of_its_log() -> None:
    queue = load(version_0_1_0.SNAPSHOT)
    assert queue == replayed(msgspec.msgpack.decode(version_0_1_0.LOG, type=list[Recorded]))
    assert queue == load(dump(queue))
    assert queue.configuration is not None
    assert (queue.configuration.name, list(queue.history)) == ("Klinik Melati Baru", ["2026-11-23"])
    assert len(queue.finished) == 3


def test_a_key_in_a_snapshot_of_version_0_1_0_gets_the_first_answer() -> None:
    assert b"add-patient|u1|umum|NORMAL|" in version_0_1_0.SNAPSHOT, "a description in the place of a fingerprint"
    journal = Journal(at=version_0_1_0.AT)
    journal.queue = load(version_0_1_0.SNAPSHOT)
    again = {"user_id": "u1", "service": "umum", "ticket_id": "second", "token": "link-of-second"}
    repeated = journal.do(AddPatient, **again, key="job-1")
    assert (repeated.events, repeated.ticket_id) == ((), "first")
    assert journal.do(CallNext, counter="1", key="call-1").ticket_id == "t6"
    assert journal.do(AddPatient, user_id="u2", key="job-2~a1b2c3").ticket_id == "t6"
    with pytest.raises(Conflict) as refused:
        journal.do(AddPatient, user_id="u2", key="job-2~d4e5f6")
    assert refused.value.code == "key-reused"
    assert journal.log == [], "no repetition recorded an event"
    ticket = journal.ticket("first")
    assert (ticket.number, ticket.user_id, ticket.token) == ("A-001", "u1", "link-of-first")

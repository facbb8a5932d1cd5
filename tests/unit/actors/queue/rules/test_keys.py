"""Idempotency keys: a repeated command gets the first answer."""

from mediq.actors.queue.rules.commands import AddPatient, CallNext, Cancel, Complete
from mediq.domain.idempotency import marked
from tests.fixtures.queue.journal import Journal, refused


def test_a_repeated_key_gets_the_first_answer(journal: Journal) -> None:
    fields = {"ticket_id": "t", "token": "t", "user_id": "siti", "service": "umum", "key": "job-1"}
    journal.do(AddPatient, **fields)
    called = journal.do(CallNext, counter="1", key="call-1")
    journal.do(Complete, id="t", key="done-1")
    events = len(journal.log)
    assert journal.do(AddPatient, **{**fields, "ticket_id": "other", "token": "other"}).ticket_id == "t"
    assert journal.do(CallNext, counter="1", key="call-1").ticket_id == called.ticket_id
    assert journal.do(Complete, id="t", key="done-1").ticket_id == "t"
    assert len(journal.log) == events


def test_a_repeated_closing_of_the_day_gets_the_first_answer(journal: Journal) -> None:
    journal.add()
    journal.add()
    day = journal.today
    journal.close_day(key="close-1")
    journal.add()
    events = len(journal.log)
    again = journal.close_day(key="close-1").closed
    assert again is not None
    assert (again.day, again.ended, len(journal.log)) == (day, 2, events), "the reopened day stays open"


def test_a_key_with_another_fingerprint_is_refused(journal: Journal) -> None:
    """The gateway puts the fingerprint of the request into its key."""
    fields = {"ticket_id": "t", "token": "t", "user_id": "siti", "service": "umum"}
    journal.do(AddPatient, **fields, key=marked("job-1", "a1"))
    assert journal.do(AddPatient, **fields, key=marked("job-1", "a1")).events == ()
    assert refused(journal, AddPatient, **fields, key=marked("job-1", "b2")).code == "key-reused"
    assert refused(journal, CallNext, counter="1", key=marked("job-1", "c3")).code == "key-reused"
    assert refused(journal, Cancel, id="t", key="job-1").code == "key-reused"


def test_a_key_is_kept_through_the_next_day(journal: Journal) -> None:
    fields = {"ticket_id": "t", "token": "t", "user_id": "siti", "key": "job-1"}
    journal.do(AddPatient, **fields)
    journal.later(days=1)
    journal.add()
    assert journal.do(AddPatient, **fields).ticket_id == "t"
    journal.later(days=1)
    journal.add()
    assert "job-1" not in journal.queue.answers

"""A change of a waiting patient's priority."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediq.actors.queue.rules.commands import CallNext, Hold, Prioritise, Resume, Start, Undo
from mediq.actors.queue.rules.events import TicketPrioritised
from mediq.actors.queue.rules.priority import call_order
from mediq.actors.queue.rules.public_views import public_event
from mediq.actors.queue.rules.sorted_tickets import by_turn
from mediq.actors.queue.rules.statistics import statistics
from mediq.actors.queue.rules.ticket import Priority, Status
from mediq.actors.queue.rules.views import ticket_view
from mediq.domain.errors import Conflict, Invalid
from tests.fixtures.queue.journal import Journal, refused


def in_call_order(journal: Journal) -> list[str]:
    """The tickets that wait for `umum`, in the order of calls."""
    places = call_order(journal.queue.line("umum"), journal.at, journal.clinic.policy)
    return [place.ticket_id for place in places]


def test_a_raised_ticket_waits_by_arrival_within_its_new_priority(journal: Journal) -> None:
    for _ in range(4):
        journal.add()
        journal.later(minutes=1)
    early = journal.ticket("t2")
    late = journal.add(priority_reason="hamil")
    decision = journal.do(
        Prioritise, id=early.id, priority=Priority.HIGH, priority_reason="disabilitas", why="memakai kruk"
    )
    assert decision.ticket_id == early.id
    raised = journal.ticket(early.id)
    assert (raised.priority, raised.priority_reason) == (Priority.HIGH, "disabilitas")
    assert (raised.number, raised.turn, raised.waiting_since) == (early.number, early.turn, early.waiting_since)
    assert in_call_order(journal)[:2] == [early.id, late.id], "by arrival among the HIGH"
    assert journal.log[-1].why == "memakai kruk"
    assert journal.call("1").id == early.id


def test_an_urgent_ticket_is_called_first(journal: Journal) -> None:
    for _ in range(3):
        journal.add()
    journal.add(priority_reason="hamil")
    journal.do(Prioritise, id="t3", priority=Priority.URGENT)
    assert journal.ticket("t3").priority_reason == "darurat"
    assert ticket_view(journal.queue, "t3", journal.clinic, journal.at).people_ahead == 0
    assert journal.call("1").id == "t3"


def test_lowering_a_priority_needs_a_reason(journal: Journal) -> None:
    journal.add(priority_reason="hamil")
    journal.add()
    lowered: dict[str, Any] = {"id": "t1", "priority": Priority.NORMAL}
    refusal = refused(journal, Prioritise, **lowered)
    assert isinstance(refusal, Invalid)
    assert [e.field for e in refusal.errors] == ["why"]
    journal.do(Prioritise, **lowered, why="salah tekan")
    ticket = journal.ticket("t1")
    assert (ticket.priority, ticket.priority_reason) == (Priority.NORMAL, None)
    assert in_call_order(journal) == ["t1", "t2"], "back to the place by arrival"
    journal.do(Prioritise, id="t1", priority=Priority.LOW, why="mau menunggu")
    assert in_call_order(journal) == ["t2", "t1"]


@pytest.mark.parametrize(
    ("priority", "reason", "born"),
    [
        ("HIGH", None, None),
        ("HIGH", "darurat", None),
        ("URGENT", "hamil", None),
        ("NORMAL", "hamil", None),
        ("HIGH", "pejabat", None),
        ("HIGH", "lansia", date(1999, 1, 1)),
    ],
)
def test_a_priority_without_a_valid_reason_is_refused(
    journal: Journal, priority: str, reason: str | None, born: date | None
) -> None:
    journal.add()
    refusal = refused(journal, Prioritise, id="t1", priority=Priority(priority), priority_reason=reason, born=born)
    assert [e.field for e in refusal.errors] == ["priority_reason"]
    assert journal.ticket("t1").priority is Priority.NORMAL


def test_staff_may_override_the_priority_by_age(journal: Journal) -> None:
    born = date(1940, 1, 1)
    journal.add(born=born)
    assert journal.ticket("t1").priority is Priority.HIGH
    journal.do(Prioritise, id="t1", priority=Priority.NORMAL, born=born, why="tahun lahir salah")
    assert journal.ticket("t1").priority is Priority.NORMAL
    journal.do(Prioritise, id="t1", priority=Priority.HIGH, priority_reason="lansia", born=born)
    assert journal.ticket("t1").priority is Priority.HIGH


def test_the_present_priority_records_no_event(journal: Journal) -> None:
    journal.add(priority_reason="hamil")
    fields = {"id": "t1", "priority": Priority.HIGH, "priority_reason": "hamil"}
    assert journal.do(Prioritise, **fields) == journal.do(Prioritise, **fields)
    assert len(journal.log) == 1


def test_a_repeated_key_changes_nothing_and_another_fingerprint_is_refused(journal: Journal) -> None:
    journal.add()
    fields: dict[str, Any] = {"id": "t1", "priority": Priority.HIGH, "priority_reason": "hamil", "key": "k~1"}
    journal.do(Prioritise, **fields)
    journal.do(Prioritise, id="t1", priority=Priority.NORMAL, why="salah")
    assert journal.do(Prioritise, **fields).events == ()
    assert journal.ticket("t1").priority is Priority.NORMAL
    refusal = refused(journal, Prioritise, **{**fields, "priority_reason": "disabilitas", "key": "k~2"})
    assert (type(refusal), refusal.code) == (Conflict, "key-reused")


def test_a_held_ticket_resumes_with_its_new_priority(journal: Journal) -> None:
    journal.add()
    journal.add()
    journal.do(Hold, id="t2")
    journal.do(Prioritise, id="t2", priority=Priority.URGENT)
    assert journal.ticket("t2").status is Status.ON_HOLD
    journal.do(Resume, id="t2")
    assert journal.call("1").id == "t2"


def test_an_undo_is_refused_after_a_change_of_priority(journal: Journal) -> None:
    """Otherwise the undo of the earlier action would take the priority back unnoticed."""
    journal.add()
    journal.do(CallNext, counter="1")
    journal.do(Hold, id="t1")
    journal.do(Prioritise, id="t1", priority=Priority.URGENT)
    with pytest.raises(Conflict) as refusal:
        journal.do(Undo, counter="1")
    assert refusal.value.code == "undo-superseded"
    assert journal.ticket("t1").priority is Priority.URGENT


def test_an_undone_call_returns_to_its_priority(journal: Journal) -> None:
    for _ in range(3):
        journal.add()
    journal.do(Prioritise, id="t3", priority=Priority.HIGH, priority_reason="hamil")
    assert journal.call("1").id == "t3"
    journal.do(Start, id="t3")
    journal.do(Undo, counter="1")
    journal.do(CallNext, counter="2")
    assert in_call_order(journal) == ["t2"]
    assert journal.ticket("t1").status is Status.CALLED


def test_statistics_count_the_last_priority(journal: Journal) -> None:
    journal.add()
    journal.add()
    journal.do(Prioritise, id="t1", priority=Priority.HIGH, priority_reason="hamil")
    journal.do(Prioritise, id="t1", priority=Priority.URGENT)
    found = statistics(journal.queue, journal.clinic, journal.today, journal.today)
    assert found.by_priority == {"NORMAL": 1, "URGENT": 1}


def test_the_public_event_hides_priority_and_reason(journal: Journal) -> None:
    journal.add()
    journal.do(Prioritise, id="t1", priority=Priority.HIGH, priority_reason="hamil", why="trimester tiga")
    event = public_event(journal.log[-1]).event
    assert isinstance(event, TicketPrioritised)
    assert (event.priority, event.priority_reason) == (Priority.NORMAL, None)


CHANGE = st.tuples(
    st.integers(1, 12),
    st.sampled_from([("URGENT", "darurat"), ("HIGH", "hamil"), ("HIGH", "lansia"), ("NORMAL", None), ("LOW", None)]),
)


@given(changes=st.lists(CHANGE, max_size=30), arrivals=st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_after_any_changes_each_ticket_is_called_once_and_by_arrival_within_its_priority(
    changes: list[tuple[int, tuple[str, str | None]]], arrivals: list[int]
) -> None:
    journal = Journal()
    for minutes in arrivals:
        journal.add()
        journal.later(seconds=minutes)
    for number, (priority, reason) in changes:
        journal.do(Prioritise, id=f"t{number}", priority=Priority(priority), priority_reason=reason, why="diminta")
    line = journal.queue.line("umum")
    assert line.waiting == 12
    for priority in Priority:
        lane = line.lane(priority)
        assert list(lane) == sorted(lane, key=by_turn)
        assert [place.order for place in lane] == sorted(place.order for place in lane)
    predicted = in_call_order(journal)
    called = [journal.serve("1", minutes=0).id for _ in range(12)]
    assert called == predicted
    assert sorted(called) == sorted(f"t{n}" for n in range(1, 13))

"""The commands on tickets and counters: their events, and the refusals with their codes."""

from typing import Any

import pytest
from msgspec.structs import replace

from mediq.actors.queue.rules.commands import (
    AddPatient,
    CallNext,
    Cancel,
    CloseCounter,
    Command,
    Complete,
    Given,
    Hold,
    OpenCounter,
    Prioritise,
    Recall,
    Requeue,
    Resume,
    Skip,
    Start,
    Transfer,
    Undo,
)
from mediq.actors.queue.rules.events import CounterOpened, TicketCalled, type_of
from mediq.actors.queue.rules.queue import decide, dump, evolve
from mediq.actors.queue.rules.ticket import Priority, Status
from mediq.domain.clinic import DEFAULT, Counter
from mediq.domain.errors import Conflict, Invalid, NotFound
from mediq.domain.roles import Role
from tests.fixtures.queue.journal import Journal, refused


def test_a_visit_from_ticket_to_completion(journal: Journal) -> None:
    ticket = journal.add()
    assert (ticket.number, ticket.status, ticket.priority) == ("A-001", Status.WAITING, Priority.NORMAL)
    journal.later(minutes=4)
    called = journal.call("1")
    assert (called.id, called.status, called.counter) == (ticket.id, Status.CALLED, "1")
    journal.do(Recall, id=ticket.id)
    journal.later(minutes=1)
    journal.do(Start, id=ticket.id)
    assert journal.ticket(ticket.id).status is Status.IN_PROGRESS
    journal.later(minutes=6)
    journal.do(Complete, id=ticket.id)
    done = journal.ticket(ticket.id)
    assert (done.status, done.recalls, done.operator) == (Status.COMPLETED, 1, "rina")
    (step,) = done.visit().steps
    assert (step.waiting_seconds, step.service_seconds) == (240, 360)
    assert [type_of(r.event) for r in journal.log] == [
        "ticket-issued",
        "counter-opened",
        "ticket-called",
        "ticket-recalled",
        "service-started",
        "ticket-completed",
    ]
    assert [r.version for r in journal.log] == [1, 2, 3, 4, 5, 6]


def test_a_visit_completed_without_a_start_counts_service_from_the_call(journal: Journal) -> None:
    ticket = journal.add()
    journal.call()
    journal.later(minutes=3)
    journal.do(Complete, id=ticket.id)
    assert journal.ticket(ticket.id).visit().steps[0].service_seconds == 180


def test_numbers_continue_past_a_thousand(journal: Journal) -> None:
    for _ in range(1000):
        ticket = journal.add()
    assert ticket.number == "A-1000"
    assert journal.queue.line("umum").waiting == 1000


def test_a_ticket_without_a_service_is_for_the_first_service(journal: Journal) -> None:
    assert journal.add(None).service == "umum"


def test_a_patient_with_an_active_ticket_gets_the_same_ticket_again(journal: Journal) -> None:
    ticket = journal.add(user_id="siti")
    events = len(journal.log)
    assert journal.add(user_id="siti").id == ticket.id
    assert len(journal.log) == events
    assert journal.add("gigi", user_id="siti").id != ticket.id
    journal.serve("1")
    assert journal.add(user_id="siti").number == "A-002"


def test_a_ticket_id_or_token_in_use_is_refused(journal: Journal) -> None:
    ticket = journal.add()
    journal.serve("1")
    for fields in ({"ticket_id": ticket.id, "token": "new"}, {"ticket_id": "new", "token": ticket.token}):
        assert refused(journal, AddPatient, user_id="budi", **fields).code == "ticket-exists"
    assert journal.ticket(ticket.id).status is Status.COMPLETED


def test_an_unknown_service_or_counter_is_refused_by_field(journal: Journal) -> None:
    refusal = refused(journal, AddPatient, ticket_id="x", token="x", user_id="x", service="jantung")
    assert isinstance(refusal, Invalid)
    assert [e.field for e in refusal.errors] == ["service"]
    for command, fields in ((CallNext, {}), (OpenCounter, {}), (CloseCounter, {}), (Undo, {})):
        refusal = refused(journal, command, counter="99", **fields)
        assert isinstance(refusal, Invalid)
        assert [e.field for e in refusal.errors] == ["counter"]
    refusal = refused(journal, CallNext, counter="1", service="gigi")
    assert [e.field for e in refusal.errors] == ["service"]


def test_a_patient_cannot_cancel_a_ticket_that_is_being_served(journal: Journal) -> None:
    ticket = journal.add()
    journal.call("1")
    journal.do(Start, id=ticket.id)
    refusal = refused(journal, Cancel, id=ticket.id, role=Role.PASIEN)
    assert (type(refusal), refusal.code) == (Conflict, "being-served")
    journal.do(Cancel, id=ticket.id)
    called = journal.add()
    journal.call("1")
    journal.do(Cancel, id=called.id, role=Role.PASIEN)
    assert journal.ticket(called.id).status is Status.CANCELLED


def test_a_busy_counter_is_refused_with_the_number_that_it_serves(journal: Journal) -> None:
    ticket = journal.add()
    journal.add()
    journal.call("1")
    for command in (CallNext, CloseCounter):
        refusal = refused(journal, command, counter="1")
        assert refusal.code == "counter-busy"
        assert ticket.number in refusal.detail
    assert journal.ticket(ticket.id).status is Status.CALLED, "the ticket at the counter stays called"


def test_a_recall_above_the_limit_is_refused(journal: Journal) -> None:
    ticket = journal.add()
    journal.call()
    for _ in range(2):
        journal.do(Recall, id=ticket.id)
    assert refused(journal, Recall, id=ticket.id).code == "recall-limit"
    journal.do(Skip, id=ticket.id)
    assert journal.ticket(ticket.id).status is Status.NO_SHOW


ALLOWED: dict[type[Command], set[Status]] = {
    Recall: {Status.CALLED},
    Start: {Status.CALLED},
    Skip: {Status.CALLED},
    Complete: {Status.CALLED, Status.IN_PROGRESS},
    Requeue: {Status.NO_SHOW},
    Hold: {Status.WAITING, Status.CALLED, Status.IN_PROGRESS},
    Resume: {Status.ON_HOLD},
    Prioritise: {Status.WAITING, Status.ON_HOLD},
    Transfer: {Status.WAITING, Status.CALLED, Status.IN_PROGRESS},
    Cancel: {Status.WAITING, Status.CALLED, Status.IN_PROGRESS, Status.ON_HOLD},
}


OTHER_FIELDS: dict[type[Command], dict[str, Any]] = {Transfer: {"service": "gigi"}, Prioritise: {"priority": "URGENT"}}


STEPS_TO: dict[Status, list[type[Command]]] = {
    Status.WAITING: [],
    Status.CALLED: [CallNext],
    Status.IN_PROGRESS: [CallNext, Start],
    Status.COMPLETED: [CallNext, Complete],
    Status.NO_SHOW: [CallNext, Skip],
    Status.ON_HOLD: [Hold],
    Status.CANCELLED: [Cancel],
}


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("command", list(ALLOWED))
def test_each_status_allows_only_its_commands(journal: Journal, status: Status, command: type[Command]) -> None:
    ticket = journal.add()
    for step in STEPS_TO[status]:
        journal.do(step, **({"counter": "1"} if step is CallNext else {"id": ticket.id}))
    assert journal.ticket(ticket.id).status is status
    fields = {"id": ticket.id, **OTHER_FIELDS.get(command, {})}
    if status in ALLOWED[command]:
        assert len(journal.do(command, **fields).events) == 1
    else:
        refusal = refused(journal, command, **fields)
        assert (type(refusal), refusal.code) == (Conflict, "wrong-status")
        assert ticket.number in refusal.detail


def test_an_unknown_ticket_is_not_found(journal: Journal) -> None:
    refusal = refused(journal, Complete, id="nowhere")
    assert (type(refusal), refusal.code) == (NotFound, "no-ticket")


def test_a_transferred_ticket_keeps_its_number_and_adds_a_step(journal: Journal) -> None:
    ticket = journal.add("umum")
    journal.later(minutes=2)
    journal.call("1")
    journal.do(Start, id=ticket.id)
    journal.later(minutes=5)
    journal.do(Transfer, id=ticket.id, service="gigi")
    assert journal.queue.counter("1").ticket_id is None
    journal.later(minutes=7)
    journal.call("2", service="gigi")
    journal.later(minutes=11)
    journal.do(Transfer, id=ticket.id, service="farmasi")
    journal.later(minutes=1)
    journal.serve("3", minutes=3)
    done = journal.ticket(ticket.id)
    assert (done.number, done.issued_at, done.status) == (ticket.number, ticket.issued_at, Status.COMPLETED)
    steps = [(s.service, s.counter, s.waiting_seconds, s.service_seconds) for s in done.visit().steps]
    assert steps == [("umum", "1", 120, 300), ("gigi", "2", 420, 660), ("farmasi", "3", 60, 180)]


def test_a_transfer_to_the_same_service_or_to_a_second_ticket_is_refused(journal: Journal) -> None:
    ticket = journal.add("umum", user_id="siti")
    journal.add("gigi", user_id="siti")
    assert refused(journal, Transfer, id=ticket.id, service="umum").code == "already-queued"
    assert refused(journal, Transfer, id=ticket.id, service="gigi").code == "already-queued"
    assert [e.field for e in refused(journal, Transfer, id=ticket.id, service="?").errors] == ["service"]


def test_a_held_ticket_is_not_called_and_keeps_its_place(journal: Journal) -> None:
    first, second = journal.add(), journal.add()
    journal.do(Hold, id=first.id)
    journal.later(minutes=1)
    assert journal.call("1").id == second.id
    third = journal.add()
    journal.do(Resume, id=first.id)
    assert journal.call("2").id == first.id
    assert journal.ticket(third.id).status is Status.WAITING


def test_a_skipped_ticket_is_not_requeued_beside_a_newer_one(journal: Journal) -> None:
    ticket = journal.add(user_id="siti")
    journal.call()
    journal.do(Skip, id=ticket.id)
    again = journal.add(user_id="siti")
    assert again.number == "A-002"
    assert refused(journal, Requeue, id=ticket.id).code == "already-queued"


def test_twenty_counters_call_twenty_different_patients() -> None:
    counters = tuple(Counter(id=str(n), name=f"Loket {n}") for n in range(1, 21))
    journal = Journal(replace(DEFAULT, counters=counters))
    for _ in range(100):
        journal.add()
    called = [journal.call(counter.id).number for counter in counters]
    assert called == [f"A-{n:03}" for n in range(1, 21)]


def test_a_decision_changes_nothing_in_place(journal: Journal) -> None:
    journal.add()
    before, bytes_before = journal.queue, dump(journal.queue)
    command, given = CallNext(counter="1"), Given(at=journal.at, actor="rina", key="k")
    decision, state = decide(before, command, given, journal.clinic), before
    for recorded in decision.recorded(before.version):
        state = evolve(state, recorded)
    assert state != before
    assert dump(before) == bytes_before
    assert decide(before, command, given, journal.clinic) == decision


def test_a_call_opens_its_counter_and_a_free_counter_closes(journal: Journal) -> None:
    journal.add()
    decision = journal.do(CallNext, counter="1")
    assert [type(e) for e in decision.events] == [CounterOpened, TicketCalled]
    assert journal.do(OpenCounter, counter="1").events == ()
    assert journal.do(CloseCounter, counter="2").events == ()
    journal.do(Complete, id=decision.ticket_id)
    journal.do(CloseCounter, counter="1")
    assert not journal.queue.counter("1").open
    journal.do(OpenCounter, counter="1")
    assert journal.queue.counter("1").open


def test_the_default_clinic_works_without_settings() -> None:
    journal = Journal(DEFAULT)
    assert journal.add().number == "A-001"
    assert journal.serve("2").status is Status.COMPLETED

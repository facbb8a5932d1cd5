"""The commands of the queue: their events, and the refusals with their codes."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from mediq.actors.queue.rules.commands import (
    AddPatient,
    CallNext,
    Cancel,
    CloseCounter,
    CloseDayIfOver,
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
from mediq.actors.queue.rules.day import is_over
from mediq.actors.queue.rules.events import (
    ActionUndone,
    CounterOpened,
    DayClosed,
    TicketCalled,
    TicketCancelled,
    TicketCompleted,
    TicketIssued,
    TicketSkipped,
    type_of,
)
from mediq.actors.queue.rules.queue import Queue, decide, dump, evolve
from mediq.actors.queue.rules.state import EMPTY_LINE
from mediq.actors.queue.rules.statistics import statistics
from mediq.actors.queue.rules.ticket import Priority, Status, unpack
from mediq.actors.queue.rules.views import current_ticket
from mediq.domain.clinic import DEFAULT, Counter, Service
from mediq.domain.errors import Conflict, DomainError, Invalid, NotFound
from mediq.domain.idempotency import marked
from mediq.domain.roles import Role
from tests.fixtures.queue.journal import Journal


@pytest.fixture
def journal() -> Journal:
    return Journal()


def refused(journal: Journal, command: type[Command], **fields: Any) -> DomainError:
    """The error with which the rules refuse a command."""
    with pytest.raises(DomainError) as refusal:
        journal.do(command, **fields)
    return refusal.value


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


def test_numbers_count_by_letter_and_restart_at_local_midnight(journal: Journal) -> None:
    assert [journal.add(s).number for s in ("umum", "umum", "gigi", "umum")] == ["A-001", "A-002", "B-001", "A-003"]
    journal.at = datetime(2026, 11, 23, 15, 59, 59, tzinfo=UTC)  # a second before midnight in WITA
    assert journal.add().number == "A-004"
    journal.later(seconds=1)
    assert journal.add().number == "A-001"


def test_numbers_continue_past_a_thousand(journal: Journal) -> None:
    for _ in range(1000):
        ticket = journal.add()
    assert ticket.number == "A-1000"
    assert journal.queue.line("umum").waiting == 1000


def test_a_clock_set_back_over_midnight_repeats_no_number(journal: Journal) -> None:
    journal.later(days=1)
    first = journal.add()
    journal.later(hours=-20)
    assert (journal.add().number, journal.queue.day) == ("A-002", first.day)


def test_a_clock_set_back_keeps_the_order_of_arrival(journal: Journal) -> None:
    """Later patients wait behind earlier ones, recorded times do not decrease, and no duration is negative."""
    journal.later(hours=2)
    first = journal.add()
    journal.later(hours=-1)
    second, third = journal.add(), journal.add()
    assert [ticket.number for ticket in (first, second, third)] == ["A-001", "A-002", "A-003"]
    assert second.issued_at == first.issued_at
    assert [journal.serve("1", minutes=1).id for _ in range(3)] == [first.id, second.id, third.id]
    times = [recorded.at for recorded in journal.log]
    assert times == sorted(times)
    for ticket in (first, second, third):
        (step,) = journal.ticket(ticket.id).visit().steps
        assert step.waiting_seconds is not None
        assert step.waiting_seconds >= 0
        assert step.service_seconds is not None
        assert step.service_seconds >= 0


def test_a_clock_set_back_by_years_closes_no_day(journal: Journal) -> None:
    """The clock of a PC with an empty battery starts in another century after a power cut."""
    waiting = journal.add()
    day = journal.queue.day
    journal.at = datetime(2000, 1, 1, tzinfo=UTC)
    assert journal.add().number == "A-002"
    assert journal.call("1").id == waiting.id
    assert journal.queue.day == day
    journal.at = datetime(2026, 11, 23, 5, tzinfo=UTC)
    assert journal.add().number == "A-003"
    journal.close_day()
    journal.at = datetime(2026, 11, 23, 4, tzinfo=UTC)
    assert journal.add().number == "A-004", "a day that was closed early and reopened goes on counting"


def test_a_clock_that_ran_ahead_for_a_while_spoils_neither_numbers_nor_statistics(journal: Journal) -> None:
    journal.add()
    journal.serve()
    journal.later(days=1)
    journal.add()
    journal.serve()
    today, right = journal.today, journal.at
    journal.later(days=400)
    assert journal.add().number == "A-001"
    journal.at = right
    journal.close_day(why="jam komputer salah")
    assert journal.add().number == "A-002", "the day goes on where it was"
    assert journal.queue.day == today
    found = statistics(journal.queue, journal.clinic, today - timedelta(days=1), today)
    assert {day: group.service.count for day, group in found.by_day.items()} == {
        (today - timedelta(days=1)).isoformat(): 1,
        today.isoformat(): 1,
    }


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


def test_a_ticket_outside_the_opening_hours_is_refused(journal: Journal) -> None:
    journal.at = datetime(2026, 11, 23, 11, 59, tzinfo=UTC)  # 19:59 in WITA
    ticket = journal.add("gigi", user_id="siti")
    journal.later(minutes=1)
    refusal = refused(journal, AddPatient, ticket_id="x", token="x", user_id="budi", service="gigi")
    assert (type(refusal), refusal.code) == (Conflict, "closed")
    assert "08:00" in refusal.detail
    assert journal.add("gigi", user_id="siti").id == ticket.id, "a patient with a ticket keeps it"
    assert journal.call("2").id == ticket.id, "a patient with a ticket is served"


def test_staff_may_issue_a_ticket_outside_the_opening_hours(journal: Journal) -> None:
    journal.at = datetime(2026, 11, 23, 13, tzinfo=UTC)  # 21:00 in WITA
    assert journal.add("gigi", role=Role.OPERATOR).number == "B-001"


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


@pytest.mark.parametrize(
    ("asked", "reason", "born", "given", "why"),
    [
        (None, None, None, "NORMAL", None),
        ("LOW", None, None, "LOW", None),
        (None, None, date(1966, 11, 23), "HIGH", "lansia"),
        (None, None, date(1966, 11, 24), "NORMAL", None),
        ("LOW", None, date(1940, 1, 1), "HIGH", "lansia"),
        ("NORMAL", None, date(1940, 1, 1), "HIGH", "lansia"),
        ("HIGH", None, date(1940, 1, 1), "HIGH", "lansia"),
        ("HIGH", "hamil", date(1999, 1, 1), "HIGH", "hamil"),
        (None, "disabilitas", None, "HIGH", "disabilitas"),
        ("HIGH", "lansia", None, "HIGH", "lansia"),
        ("URGENT", None, date(1940, 1, 1), "URGENT", "darurat"),
        (None, "darurat", None, "URGENT", "darurat"),
    ],
)
def test_the_priority_follows_from_request_reason_and_age(
    journal: Journal, asked: str | None, reason: str | None, born: date | None, given: str, why: str | None
) -> None:
    ticket = journal.add(priority=asked and Priority(asked), priority_reason=reason, born=born)
    assert (ticket.priority.value, ticket.priority_reason) == (given, why)


@pytest.mark.parametrize(
    ("asked", "reason", "born"),
    [
        ("HIGH", None, None),
        ("HIGH", None, date(1999, 1, 1)),
        ("HIGH", "darurat", None),
        ("URGENT", "hamil", None),
        ("NORMAL", "hamil", None),
        (None, "pejabat", None),
        (None, "lansia", date(1999, 1, 1)),
    ],
)
def test_a_priority_without_a_valid_reason_is_refused(
    journal: Journal, asked: str | None, reason: str | None, born: date | None
) -> None:
    with pytest.raises(Invalid) as refusal:
        journal.add(priority=asked and Priority(asked), priority_reason=reason, born=born)
    assert [e.field for e in refusal.value.errors] == ["priority_reason"]


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


def test_closing_the_day_ends_every_ticket_with_a_reason(journal: Journal) -> None:
    waiting, held, called, served, absent = (journal.add() for _ in range(5))
    journal.do(Hold, id=waiting.id)
    journal.do(Hold, id=held.id)
    journal.call("1")
    journal.call("2")
    journal.do(Start, id=served.id)
    journal.call("3")
    journal.do(Skip, id=absent.id)
    journal.do(Resume, id=waiting.id)
    journal.later(hours=8)
    events = journal.close_day().events
    assert [(type(e), e.reason) for e in events[:-1]] == [  # type: ignore[union-attr]
        (TicketCancelled, "day-closed"),
        (TicketCancelled, "day-closed"),
        (TicketSkipped, "day-closed"),
        (TicketCompleted, "day-closed"),
    ]
    assert events[-1] == DayClosed(day=journal.today, ended=4, forget_before=journal.today - timedelta(days=3))
    statuses = [journal.ticket(t.id).status.value for t in (waiting, held, called, served, absent)]
    assert statuses == ["CANCELLED", "CANCELLED", "NO_SHOW", "COMPLETED", "NO_SHOW"]
    assert journal.ticket(served.id).visit().steps[0].service_seconds is None, "the end of the service is unknown"
    assert not journal.queue.tickets
    assert journal.close_day().events == ()
    assert refused(journal, Requeue, id=absent.id).code == "wrong-status"
    assert journal.add().number == "A-006", "the same day goes on counting"


def test_a_day_is_over_an_hour_after_the_last_service_closed_and_the_last_action(journal: Journal) -> None:
    gigi = Service(id="gigi", name="Poli Gigi", letter="B", opens=time(8), closes=time(14))
    journal.clinic = replace(journal.clinic, services=(gigi,), counters=(Counter(id="2", name="Loket 2"),))

    def over(hour: int, minute: int = 0) -> bool:
        return is_over(journal.queue, journal.clinic, datetime(2026, 11, 23, hour - 8, minute, tzinfo=UTC))

    assert not over(23), "no day is open"
    journal.add("gigi")
    assert [over(hour) for hour in (9, 13, 14)] == [False, False, False]
    assert over(15), "an hour after the service closed"
    journal.at = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)  # 14:30: the counter still calls
    journal.call("2")
    assert not over(15)
    assert over(15, 30)
    journal.at = datetime(2026, 11, 23, 7, 29, tzinfo=UTC)
    assert journal.do(CloseDayIfOver).events == (), "the day is not over yet"
    journal.later(minutes=1)
    assert is_over(journal.queue, journal.clinic, journal.at)
    journal.later(days=1)
    assert is_over(journal.queue, journal.clinic, journal.at), "a day is over at midnight"


def test_the_first_command_of_a_day_closes_the_day_before(journal: Journal) -> None:
    yesterday = journal.add(user_id="siti")
    journal.call("1")
    journal.later(days=1)
    decision = journal.do(AddPatient, ticket_id="n", token="n", user_id="siti", key="k")
    assert [type(e) for e in decision.events] == [TicketSkipped, DayClosed, TicketIssued]
    assert journal.ticket(yesterday.id).status is Status.NO_SHOW
    assert (journal.ticket("n").number, current_ticket(journal.queue, "siti").id) == ("A-001", "n")
    assert journal.do(AddPatient, ticket_id="m", token="m", user_id="siti", key="k").ticket_id == "n"


def test_visits_are_kept_for_the_retention_and_no_longer(journal: Journal) -> None:
    for _ in range(8):
        journal.add()
        journal.serve()
        journal.later(days=1)
    days = sorted(journal.queue.history)
    first = journal.today - timedelta(days=4)  # the day before yesterday was closed yesterday
    assert days[0] == first.isoformat()
    assert all(len(unpack(journal.queue.history[day])) == 1 for day in days)
    assert len(journal.queue.tokens) == 2


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


def test_a_closing_after_midnight_closes_the_day_before(journal: Journal) -> None:
    journal.add()
    day = journal.today
    journal.later(days=1)
    for _ in range(2):
        closed = journal.close_day(key="close-1").closed
        assert closed is not None
        assert (closed.day, closed.ended) == (day, 1)
    assert journal.queue.day is None


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


def non_empty(queue: Queue, name: str) -> dict[str, Any]:
    """One map of a queue without its empty entries."""
    return {key: value for key, value in getattr(queue, name).items() if value and value != EMPTY_LINE}


UNDOABLE: list[list[tuple[type[Command], dict[str, Any]]]] = [
    [(CallNext, {"counter": "1"})],
    [(CallNext, {"counter": "1"}), (Recall, {})],
    [(CallNext, {"counter": "1"}), (Start, {})],
    [(CallNext, {"counter": "1"}), (Complete, {})],
    [(CallNext, {"counter": "1"}), (Start, {}), (Complete, {})],
    [(CallNext, {"counter": "1"}), (Skip, {})],
    [(CallNext, {"counter": "1"}), (Hold, {})],
    [(CallNext, {"counter": "1"}), (Start, {}), (Hold, {})],
    [(CallNext, {"counter": "1"}), (Cancel, {})],
    [(CallNext, {"counter": "1"}), (Transfer, {"service": "gigi"})],
    [(CallNext, {"counter": "1"}), (Start, {}), (Transfer, {"service": "gigi"})],
]


@pytest.mark.parametrize("reason", [None, "hamil", "darurat"])
@pytest.mark.parametrize("steps", UNDOABLE, ids=lambda steps: "-".join(kind.__name__ for kind, _ in steps))
def test_an_undo_restores_the_queue_before_the_action(
    journal: Journal, steps: list[tuple[type[Command], dict[str, Any]]], reason: str | None
) -> None:
    journal.do(OpenCounter, counter="1")
    ticket = journal.add(priority_reason=reason)
    for _ in range(3):
        journal.add()
    for command, fields in steps[:-1]:
        journal.do(command, **(fields or {"id": ticket.id}))
        journal.later(minutes=2)
    before = journal.queue
    command, fields = steps[-1]
    journal.do(command, **({"id": ticket.id} | fields if command is not CallNext else fields))
    journal.later(seconds=60)
    decision = journal.do(Undo, counter="1")
    assert isinstance(decision.events[0], ActionUndone)
    assert decision.ticket_id == ticket.id
    after = journal.queue
    assert journal.ticket(ticket.id).visit() == before.tickets[ticket.id].visit()
    for name in ("lines", "active", "tokens", "users", "numbers", "finished", "history"):
        assert non_empty(after, name) == non_empty(before, name)
    assert all(not pace.seconds and not pace.finished for pace in after.paces.values())
    assert not any(after.hours.values())
    assert after.counter("1").ticket_id == before.counter("1").ticket_id
    assert refused(journal, Undo, counter="1").code == "nothing-to-undo", "an undo cannot be undone"


def test_an_undo_after_more_than_a_minute_is_refused(journal: Journal) -> None:
    journal.add()
    journal.call("1")
    journal.later(seconds=61)
    assert refused(journal, Undo, counter="1").code == "undo-too-late"


def test_an_undo_takes_back_the_last_action_of_its_own_counter(journal: Journal) -> None:
    first, second = journal.add(), journal.add()
    journal.call("1")
    journal.call("2")
    journal.do(Undo, counter="1")
    assert journal.ticket(first.id).status is Status.WAITING
    assert journal.ticket(second.id).status is Status.CALLED
    assert refused(journal, Undo, counter="3").code == "nothing-to-undo"


def test_an_undo_is_refused_once_the_ticket_or_its_patient_moved_on(journal: Journal) -> None:
    ticket = journal.add(user_id="siti")
    journal.call("1")
    journal.do(Skip, id=ticket.id)
    journal.do(Requeue, id=ticket.id)
    assert refused(journal, Undo, counter="1").code == "undo-superseded"
    journal.call("1")
    journal.do(Complete, id=ticket.id)
    journal.add(user_id="siti")
    assert refused(journal, Undo, counter="1").code == "already-queued"


def test_an_undone_call_is_removed_from_the_boards(journal: Journal) -> None:
    journal.add()
    journal.call("1")
    assert len(journal.queue.line("umum").calls) == 1
    journal.do(Undo, counter="1")
    assert journal.queue.line("umum").calls == ()


def test_the_default_clinic_works_without_settings() -> None:
    journal = Journal(DEFAULT)
    assert journal.add().number == "A-001"
    assert journal.serve("2").status is Status.COMPLETED

"""The clinic's day: its numbers, its opening hours, its closing, and the days that are kept."""

from datetime import UTC, datetime, time, timedelta

from msgspec.structs import replace

from mediq.actors.queue.rules.commands import AddPatient, CloseDayIfOver, Hold, Requeue, Resume, Skip, Start
from mediq.actors.queue.rules.day import is_over
from mediq.actors.queue.rules.events import DayClosed, TicketCancelled, TicketCompleted, TicketIssued, TicketSkipped
from mediq.actors.queue.rules.ticket import Status, unpack
from mediq.actors.queue.rules.views import current_ticket
from mediq.domain.clinic import Counter, Service
from mediq.domain.errors import Conflict
from mediq.domain.roles import Role
from tests.fixtures.queue.journal import Journal, refused


def test_numbers_count_by_letter_and_restart_at_local_midnight(journal: Journal) -> None:
    assert [journal.add(s).number for s in ("umum", "umum", "gigi", "umum")] == ["A-001", "A-002", "B-001", "A-003"]
    journal.at = datetime(2026, 11, 23, 15, 59, 59, tzinfo=UTC)  # a second before midnight in WITA
    assert journal.add().number == "A-004"
    journal.later(seconds=1)
    assert journal.add().number == "A-001"


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
    assert [(type(e), getattr(e, "reason", None)) for e in events[:-1]] == [
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


def test_a_closing_after_midnight_closes_the_day_before(journal: Journal) -> None:
    journal.add()
    day = journal.today
    journal.later(days=1)
    for _ in range(2):
        closed = journal.close_day(key="close-1").closed
        assert closed is not None
        assert (closed.day, closed.ended) == (day, 1)
    assert journal.queue.day is None

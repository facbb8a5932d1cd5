"""Clocks that are set back or run ahead: the order of tickets, the numbers and the statistics stay right."""

from datetime import UTC, datetime, timedelta

from mediq.actors.queue.rules.statistics import statistics
from tests.fixtures.queue.journal import Journal


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

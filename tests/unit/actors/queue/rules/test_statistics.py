"""The statistics of a clinic's days, and their rows for a spreadsheet."""

import json
from collections import Counter as Tally
from datetime import timedelta
from statistics import median, quantiles

import msgspec
import pytest

from mediq.actors.queue.rules.commands import Complete, Skip, Transfer
from mediq.actors.queue.rules.statistics import CSV_HEADER, Spread, Statistics, csv_rows, statistics
from mediq.domain.clinic import ClinicConfiguration
from mediq.domain.errors import Invalid
from tests.fixtures.queue.journal import Journal
from tests.fixtures.queue.recount import recount, same
from tests.fixtures.queue.simulation import BUSY, simulated


@pytest.fixture
def journal() -> Journal:
    """Two days: two visits, a transfer and a no-show."""
    journal = Journal()
    journal.add("umum")
    journal.later(minutes=10)
    journal.serve("1", minutes=6)
    journal.later(days=1)
    ticket = journal.add("umum")
    journal.add("umum", priority_reason="hamil")
    journal.later(minutes=4)
    absent = journal.call("2", actor="budi")
    journal.do(Skip, id=absent.id)
    journal.call("2", actor="budi")
    journal.later(minutes=8)
    journal.do(Transfer, id=ticket.id, service="farmasi")
    journal.later(hours=1)
    journal.call("3")
    journal.later(minutes=2)
    journal.do(Complete, id=ticket.id)
    return journal


def test_counts_and_times(journal: Journal) -> None:
    found = statistics(journal.queue, journal.clinic, journal.today - timedelta(days=1), journal.today)
    assert found.tickets == 3
    assert (found.by_status["COMPLETED"], found.by_status["NO_SHOW"], found.by_status["WAITING"]) == (2, 1, 0)
    assert found.by_priority == {"HIGH": 1, "NORMAL": 2}
    assert found.no_show_rate == 1 / 3
    assert found.waiting == Spread(count=4, p50=7.0, p90=45.0)
    assert found.service == Spread(count=3, p50=6.0, p90=7.6)
    assert {name: group.steps for name, group in found.by_service.items()} == {"umum": 3, "farmasi": 1}
    assert {name: group.steps for name, group in found.by_counter.items()} == {"1": 1, "2": 2, "3": 1}
    assert {name: group.steps for name, group in found.by_operator.items()} == {"rina": 2, "budi": 2}
    assert {name: group.steps for name, group in found.by_hour.items()} == {"09": 4}
    assert [group.steps for group in found.by_day.values()] == [1, 3]


def test_statistics_of_one_service_and_of_one_day(journal: Journal) -> None:
    today = statistics(journal.queue, journal.clinic, journal.today, journal.today)
    assert (today.tickets, list(today.by_day)) == (2, [journal.today.isoformat()])
    farmasi = statistics(journal.queue, journal.clinic, journal.today, journal.today, "farmasi")
    assert (farmasi.tickets, farmasi.waiting.p50, list(farmasi.by_service)) == (1, 60.0, ["farmasi"])
    with pytest.raises(Invalid):
        statistics(journal.queue, journal.clinic, journal.today, journal.today, "jantung")
    with pytest.raises(Invalid):
        statistics(journal.queue, journal.clinic, journal.today, journal.today - timedelta(days=1))


def test_statistics_without_tickets_have_no_times() -> None:
    journal = Journal()
    found = statistics(journal.queue, journal.clinic, journal.today, journal.today)
    assert (found.tickets, found.no_show_rate, found.waiting) == (0, None, Spread())


def test_statistics_survive_json(journal: Journal) -> None:
    found = statistics(journal.queue, journal.clinic, journal.today, journal.today)
    data = msgspec.json.encode(found)
    assert {"from", "to", "by_hour"} < json.loads(data).keys()
    assert msgspec.json.decode(data, type=Statistics) == found


def test_each_step_of_a_visit_is_a_row(journal: Journal) -> None:
    rows = rows_of(journal)
    assert len(rows) == 4
    assert {len(row) for row in rows} == {len(CSV_HEADER)}
    first = dict(zip(CSV_HEADER, rows[0], strict=True))
    assert first["nomor"] == "A-001"
    assert first["dipanggil"] == "2026-11-23T09:10:00+08:00"
    assert (first["menit_menunggu"], first["menit_dilayani"]) == ("10.0", "6.0")
    assert len(list(csv_rows(journal.queue, journal.clinic, journal.today, journal.today, "farmasi"))) == 1


def rows_of(journal: Journal) -> list[tuple[str, ...]]:
    """The rows of today and yesterday."""
    first = journal.today - timedelta(days=1)
    return [row for _, row in csv_rows(journal.queue, journal.clinic, first, journal.today)]


def test_rows_continue_after_any_row(journal: Journal) -> None:
    first = journal.today - timedelta(days=1)
    marked = list(csv_rows(journal.queue, journal.clinic, first, journal.today))
    assert [mark for mark, _ in marked] == sorted(mark for mark, _ in marked)
    for n, (mark, _) in enumerate(marked):
        rest = list(csv_rows(journal.queue, journal.clinic, first, journal.today, after=mark))
        assert rest == [each for each in marked[n:] if each[0] > mark]


def test_rows_and_statistics_agree() -> None:
    journal, _ = simulated(11, days=3, patients=50)
    first = journal.today - timedelta(days=2)
    found = statistics(journal.queue, BUSY, first, journal.today)
    rows = [dict(zip(CSV_HEADER, row, strict=True)) for _, row in csv_rows(journal.queue, BUSY, first, journal.today)]
    assert len({(row["tanggal"], row["nomor"]) for row in rows}) == found.tickets
    for column, groups in (("tanggal", found.by_day), ("poli", found.by_service), ("loket", found.by_counter)):
        assert {name: group.steps for name, group in groups.items()} == Tally(
            row[column] for row in rows if row[column]
        )
    waits = sorted(float(row["menit_menunggu"]) for row in rows if row["menit_menunggu"])
    assert len(waits) == found.waiting.count
    assert found.waiting.p50 == pytest.approx(median(waits), abs=0.11)
    assert found.waiting.p90 == pytest.approx(quantiles(waits, n=10, method="inclusive")[-1], abs=0.11)


def test_a_removed_service_with_visits_can_still_be_asked_for(journal: Journal) -> None:
    smaller = ClinicConfiguration(name="K", services=journal.clinic.services[:1], counters=journal.clinic.counters)
    clinic = journal.clinic.changed(smaller)
    assert statistics(journal.queue, clinic, journal.today, journal.today, "farmasi").tickets == 1
    assert len(list(csv_rows(journal.queue, clinic, journal.today, journal.today, "farmasi"))) == 1
    with pytest.raises(Invalid):
        statistics(journal.queue, clinic, journal.today, journal.today, "gigi")


def test_whole_days_equal_a_recount_from_the_events() -> None:
    journal, _ = simulated(7, days=4, patients=60)
    first = journal.today - timedelta(days=3)
    found = statistics(journal.queue, BUSY, first, journal.today)
    assert found.tickets == 240
    assert same(found, recount(journal.log, BUSY, first, journal.today))
    one = first + timedelta(days=1)
    assert same(statistics(journal.queue, BUSY, one, one), recount(journal.log, BUSY, one, one))

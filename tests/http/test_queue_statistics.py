"""Statistics over HTTP: numbers by every group, and the same as a CSV table."""

import csv
import io
from collections import Counter as Tally
from collections.abc import AsyncIterator, Iterator
from statistics import median
from typing import Any

import pytest

from mediq.actors.queue import statistics_csv as figures
from mediq.actors.queue.rules.statistics import CSV_HEADER
from tests.fixtures.application import GENEROUS, Application, made_with_admin, running
from tests.fixtures.client import Client, client_at
from tests.fixtures.queue.simulation import BUSY, simulated
from tests.fixtures.visitors import new_nik

SERVED = 3


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    base = tmp_path_factory.mktemp("statistics")
    made_with_admin(base)
    with running(base, GENEROUS) as application:
        yield application


@pytest.fixture
async def admin(application: Application) -> AsyncIterator[Client]:
    async with client_at(application) as client:
        await client.ready()
        yield await client.sign_in()


@pytest.fixture
async def figures_of_a_day(admin: Client) -> dict[str, Any]:
    """The statistics after a few visits of every kind, made once for the module."""
    told = (await admin.get("/queue/statistics")).body
    if not told["tickets"]:
        for counter, service in (("1", "umum"), ("3", "gigi")):
            for _ in range(SERVED):
                ticket = await admin.queue(await admin.register(new_nik()), service=service)
                await admin.patch("/queue/call-next", {"counter": counter})
                await admin.patch(f"/queue/{ticket['id']}/start")
                await admin.patch(f"/queue/{ticket['id']}/complete")
        absent = await admin.queue(await admin.register(new_nik()), priority_reason="hamil")
        await admin.patch("/queue/call-next", {"counter": "2"})
        await admin.patch(f"/queue/{absent['id']}/skip")
        moved = await admin.queue(await admin.register(new_nik()))
        await admin.patch("/queue/call-next", {"counter": "2"})
        await admin.patch(f"/queue/{moved['id']}/transfer", {"service": "gigi"})
        told = (await admin.get("/queue/statistics")).body
    return dict(told)


async def table(admin: Client, query: str = "") -> list[dict[str, str]]:
    answered = await admin.get(f"/queue/statistics.csv{query}")
    assert answered.status == 200, answered
    assert answered.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answered.body)))


async def test_statistics_by_hour_service_counter_and_operator(admin: Client, figures_of_a_day: dict[str, Any]) -> None:
    told = figures_of_a_day
    assert told["by_status"]["COMPLETED"] == 2 * SERVED
    assert (told["by_status"]["NO_SHOW"], told["by_status"]["WAITING"]) == (1, 1)
    assert told["no_show_rate"] == pytest.approx(1 / (2 * SERVED + 1))
    assert told["by_priority"] == {"HIGH": 1, "NORMAL": 2 * SERVED + 1}
    assert {name: group["steps"] for name, group in told["by_service"].items()} == {"gigi": 4, "umum": 5}
    assert {name: group["steps"] for name, group in told["by_counter"].items()} == {"1": 3, "2": 2, "3": 3}
    assert {name: group["steps"] for name, group in told["by_operator"].items()} == {admin.id: 8}
    assert sum(group["steps"] for group in told["by_hour"].values()) == 9
    for groups in ("by_day", "by_hour", "by_service", "by_counter", "by_operator"):
        for group in told[groups].values():
            for times in (group["waiting"], group["service"]):
                assert times["count"] == 0 or (times["p50"] >= 0 and times["p90"] >= times["p50"])


async def test_the_csv_table_matches_the_statistics(admin: Client, figures_of_a_day: dict[str, Any]) -> None:
    told, rows = figures_of_a_day, await table(admin)
    assert list(rows[0]) == list(CSV_HEADER)
    assert len({row["nomor"] for row in rows}) == told["tickets"]
    by = {"tanggal": "by_day", "poli": "by_service", "loket": "by_counter", "petugas": "by_operator"}
    for column, groups in by.items():
        counted = Tally(row[column] for row in rows if row[column])
        assert counted == {name: group["steps"] for name, group in told[groups].items()}
    assert Tally(row["mulai_menunggu"][11:13] for row in rows) == {
        hour: group["steps"] for hour, group in told["by_hour"].items()
    }
    for column, times in (("menit_menunggu", told["waiting"]), ("menit_dilayani", told["service"])):
        minutes = [float(row[column]) for row in rows if row[column]]
        assert len(minutes) == times["count"]
        assert median(minutes) == pytest.approx(times["p50"], abs=0.11)
    words = {"COMPLETED": "Selesai", "NO_SHOW": "Tidak Hadir", "WAITING": "Menunggu"}
    first_rows = {row["nomor"]: row for row in reversed(rows)}
    assert Tally(row["status"] for row in first_rows.values()) == {
        words[status]: count for status, count in told["by_status"].items() if count
    }


async def test_statistics_of_one_service_and_a_range_of_days(admin: Client, figures_of_a_day: dict[str, Any]) -> None:
    day = figures_of_a_day["from"]
    only = (await admin.get(f"/queue/statistics?service=gigi&from={day}&to={day}")).body
    rows = await table(admin, f"?service=gigi&from={day}&to={day}")
    assert len(rows) == only["by_service"]["gigi"]["steps"] == 4
    assert await table(admin, "?from=2020-01-01&to=2020-01-31") == []
    named = await admin.get(f"/queue/statistics.csv?service=gigi&from={day}&to={day}")
    assert named.headers["Content-Disposition"] == f'attachment; filename="statistik-gigi-{day}-{day}.csv"'


async def test_an_invalid_range_is_refused(admin: Client) -> None:
    for query, field in (
        ("?from=2026-02-02&to=2026-02-01", "to"),
        ("?service=jantung", "service"),
        ("?from=kemarin", "from"),
        ("?before=x", "before"),
        ("?before=2026-01-01/2026-01-01T00:00:00/A-001", "before"),
    ):
        refused = await admin.get(f"/queue/statistics.csv{query}")
        assert (refused.status, refused.fields) == (422, [field]), query


def test_a_long_table_is_sent_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    journal, _ = simulated(5, days=2, patients=40)
    first, last = journal.clinic.day(journal.at).replace(day=1), journal.today

    def part(before: str | None) -> Any:
        return figures.table(journal.queue, BUSY, first, last, service=None, before=before)

    whole = part(None)
    assert whole.next is None
    monkeypatch.setattr(figures, "_ROWS", 7)
    parts = [part(None)]
    while parts[-1].next is not None:
        parts.append(part(parts[-1].next))
    assert len(parts) > 10
    assert b"".join(each.content for each in parts) == whole.content

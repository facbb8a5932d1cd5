"""A kill during the start's clean-up, after a day that nobody closed and with weeks of events past their retention."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from mediq.actors.queue.event_store.sqlite import SqliteEventLog
from mediq.actors.queue.rules.commands import CloseDay
from mediq.actors.queue.rules.statistics import statistics
from mediq.domain.clinic import Clinic, Counter, Policy, Service
from tests.fixtures.application import HANG, Application, environment, made_with_admin
from tests.fixtures.client import POLL, client_at
from tests.fixtures.queue.journal import Journal
from tests.fixtures.visitors import new_nik

RETENTION = 5
DAYS = 12
"""Days that the clinic has worked, the last one yesterday."""
SETTINGS = f"""
[http.limits]
requests = 1000000
login_requests = 1000000
[clinic.policy]
retention_days = {RETENTION}
[queue]
cleanup_interval_ms = 50
"""
CLINIC = Clinic(
    name="Klinik Uji",
    services=(Service(id="umum", name="Poli Umum", letter="A"), Service(id="gigi", name="Poli Gigi", letter="B")),
    counters=(Counter(id="1", name="Loket 1", services=("umum",)), Counter(id="3", name="Loket 3", services=("gigi",))),
    policy=Policy(retention_days=RETENTION),
)


async def worked(file: Path) -> Journal:
    """A log of days up to yesterday, whose last one was left open with people waiting."""
    noon = datetime.now(UTC).replace(hour=5, minute=0, second=0, microsecond=0)
    journal = Journal(CLINIC, noon - timedelta(days=DAYS))
    for _ in range(DAYS):
        for n in range(60):
            journal.add("gigi" if n % 3 == 0 else "umum")
            journal.later(seconds=20)
        for _ in range(15):
            journal.serve("1", minutes=3)
        journal.call("3")
        journal.at = (journal.at + timedelta(days=1)).replace(hour=5, minute=0, second=0)
    log = SqliteEventLog(file)
    await log.open()
    await log.append(0, [msgspec.msgpack.encode(each) for each in journal.log])
    await log.close()
    return journal


def killed_when(application: Application, file: Path, so_far: Callable[[sqlite3.Connection], bool]) -> None:
    """Start the application's process, and kill it as soon as that is so in its log."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mediq", "--port", str(application.port)],
        cwd=application.folder.parent,
        env=environment(application.folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + HANG
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as seen:
        while not so_far(seen):
            assert process.poll() is None, "it ended by itself"
            assert time.monotonic() < until
            time.sleep(POLL / 20)
    process.kill()
    assert process.wait(HANG) < 0


def number(seen: sqlite3.Connection, what: str) -> int:
    return int(seen.execute(f"SELECT coalesce({what}, 0)").fetchone()[0])


def last(seen: sqlite3.Connection) -> int:
    return number(seen, "(SELECT max(version) FROM events)")


def first(seen: sqlite3.Connection) -> int:
    return number(seen, "(SELECT min(version) FROM events)")


def snapshot(seen: sqlite3.Connection) -> int:
    return number(seen, "(SELECT version FROM snapshot)")


def oldest_kept(journal: Journal, now: datetime) -> int:
    """The first event that is not older than the retention."""
    return next(each.version for each in journal.log if each.at >= now - timedelta(days=RETENTION))


async def test_an_application_killed_at_every_step_of_its_cleaning(tmp_path: Path) -> None:
    folder = made_with_admin(tmp_path)
    application = Application(tmp_path, SETTINGS)
    file = folder / "queue.db"
    journal = await worked(file)
    written, began = len(journal.log), datetime.now(UTC)

    killed_when(application, file, lambda seen: last(seen) > written)  # yesterday has just been closed
    killed_when(application, file, lambda seen: snapshot(seen) > 0)  # about to trim
    killed_when(application, file, lambda seen: first(seen) > 1)  # trimmed

    journal.do(CloseDay, actor="system", why="day-over")
    yesterday = CLINIC.day(journal.at - timedelta(days=1))
    kept = yesterday - timedelta(days=RETENTION - 2)
    application.start()
    try:
        async with client_at(application) as client:
            await client.ready()
            admin = await client.sign_in()
            told = (await admin.get(f"/queue/statistics?from={kept}&to={yesterday}")).body
            assert told == msgspec.to_builtins(statistics(journal.queue, CLINIC, kept, yesterday), str_keys=True)
            assert told["by_status"]["WAITING"] == told["by_status"]["CALLED"] == 0
            ended = (await admin.get("/audit?action=queue.day-closed&limit=200")).body["data"]
            days = [entry["subject"] for entry in ended]
            assert days[0] == yesterday.isoformat()
            assert len(days) == len(set(days)), "each day was closed once"
            ticket = await admin.queue(await admin.register(new_nik()), service="gigi")
            assert ticket["number"] == "B-001"
        with closing(sqlite3.connect(file)) as seen:
            assert seen.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert oldest_kept(journal, began) <= first(seen) <= oldest_kept(journal, datetime.now(UTC))
        assert application.stop() == 0, application.log
        assert "Traceback" not in application.log
    finally:
        if application.process is not None and application.process.poll() is None:
            application.kill()

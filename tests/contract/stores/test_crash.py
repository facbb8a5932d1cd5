"""A process killed in the middle of its writes: what it acknowledged is there, once, and the file is sound."""

import sqlite3
import subprocess
import sys
from pathlib import Path

from mediq.actors.cards.job_store.sqlite import SqliteJobStore
from mediq.actors.queue.event_store.sqlite import SqliteEventLog
from mediq.actors.users.users import UserStore
from mediq.stores.audit_trail import AuditTrail
from mediq.stores.database import migrate, open_database
from tests.fixtures.application import ROOT
from tests.fixtures.stores.backends import a_user, utc_now
from tests.fixtures.stores.crash_writer import IMAGE

ROUNDS = (1, 40, 150)
"""After how many acknowledged writes each process is killed."""


def killed_after(lines: int, store: str, folder: Path) -> list[list[str]]:
    """Everything that a writer on `store` acknowledged until it was killed, somewhere behind `lines` lines."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fixtures.stores.crash_writer", store, str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(lines)]
        writer.kill()
        said += writer.stdout.readlines()
    assert "" not in said, "the writer failed by itself"
    # The last line may have been cut off as it was written.
    return [line.split() for line in said if line.endswith("\n")]


def assert_sound(file: Path) -> None:
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


async def test_acknowledged_events_survive_a_kill(tmp_path: Path) -> None:
    for lines in ROUNDS:
        acknowledged = [int(version) for [version] in killed_after(lines, "log", tmp_path)]
        log = SqliteEventLog(tmp_path / "queue.db")
        await log.open()
        found = await log.read(limit=1_000_000)
        assert acknowledged[-1] <= len(found)
        assert [version for version, _ in found] == list(range(1, len(found) + 1))
        # Every batch is whole and stands where it was told it would.
        expected = 0
        while expected < len(found):
            size = int(found[expected][1].split()[0].split(b"/")[1])
            batch = [body for _, body in found[expected : expected + size]]
            assert batch == [b"%d/%d after %d" % (n, size, expected) for n in range(1, size + 1)]
            expected += size
        await log.close()
        assert_sound(tmp_path / "queue.db")


async def test_acknowledged_users_survive_a_kill(tmp_path: Path) -> None:
    told: dict[int, tuple[str, str]] = {}
    for lines in ROUNDS:
        for number, user_id, created in killed_after(lines, "users", tmp_path):
            assert told.setdefault(int(number), (user_id, created)) == (user_id, created)
        assert_sound(tmp_path / "mediq.db")
    engine = open_database(f"sqlite+aiosqlite:///{tmp_path / 'mediq.db'}")
    await migrate(engine)
    found, total = await UserStore(engine).page(limit=1_000_000)
    noted = await AuditTrail(engine).before(limit=1_000_000)
    await engine.dispose()
    assert len(found) == total == len({user.nik for user in found})
    by_nik = {user.nik: user.id for user in found}
    assert {number: by_nik[a_user(number).nik] for number in told} == {n: told[n][0] for n in told}
    assert {created for _, created in told.values()} == {"True"}
    assert sorted(entry.subject or "" for _, entry in noted) == sorted(user.id for user in found)


async def test_acknowledged_jobs_survive_a_kill(tmp_path: Path) -> None:
    told: dict[int, str] = {}
    last: dict[int, str] = {}
    for lines in ROUNDS:
        for number, job_id, status in killed_after(lines, "jobs", tmp_path):
            assert told.setdefault(int(number), job_id) == job_id
            last[int(number)] = status
        assert_sound(tmp_path / "ocr.db")
    jobs = SqliteJobStore(tmp_path / "ocr.db", clock=utc_now)
    await jobs.open()
    for n, job_id in told.items():
        job = await jobs.get(job_id)
        assert job is not None
        assert job.digest == f"card-{n}"
        if last[n] == "REGISTERED":
            assert job.status == "REGISTERED"
        assert await jobs.image(job_id) == (IMAGE if job.status == "PENDING" else None)
    await jobs.close()
    connection = sqlite3.connect(tmp_path / "ocr.db")
    assert connection.execute("SELECT count(*) - count(DISTINCT digest) FROM jobs").fetchone() == (0,)
    connection.close()

"""The one-connection SQLite file: safe settings, layouts, repair after a break, and no trace of what was deleted."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mediq.actors.cards.job_store.sqlite import SqliteJobStore
from mediq.messages.errors import Unavailable
from mediq.stores import sqlite_file
from mediq.stores.sqlite_file import SqliteFile, UnknownSchema, make_ready
from tests.fixtures.stores.backends import Clock, a_job, create_job

ONE = "CREATE TABLE IF NOT EXISTS one (n INTEGER PRIMARY KEY);"
TWO = "CREATE TABLE IF NOT EXISTS two (n INTEGER PRIMARY KEY);"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "one.db"


@pytest.fixture
async def file(path: Path) -> AsyncIterator[SqliteFile]:
    file = SqliteFile(path, schema=[ONE])
    await file.open()
    yield file
    await file.close()


async def test_every_commit_is_synced(file: SqliteFile) -> None:
    assert await file.rows("PRAGMA journal_mode") == [("wal",)]
    assert await file.rows("PRAGMA synchronous") == [(2,)]


async def test_the_file_is_the_owners_alone(file: SqliteFile, path: Path) -> None:
    await file.write("INSERT INTO one VALUES (1)")
    assert {found.stat().st_mode & 0o077 for found in path.parent.iterdir()} == {0}


async def test_a_layout_grows_and_keeps_its_rows(file: SqliteFile, path: Path) -> None:
    await file.write("INSERT INTO one VALUES (1)")
    await file.close()
    newer = SqliteFile(path, schema=[ONE, TWO])
    await newer.open()
    assert await newer.rows("SELECT n FROM one") == [(1,)]
    assert await newer.rows("SELECT n FROM two") == []
    await newer.close()
    with pytest.raises(UnknownSchema, match="newer version"):
        await file.open()
    with pytest.raises(Unavailable):
        await file.rows("SELECT 1")


async def test_a_failed_layout_changes_nothing(path: Path) -> None:
    broken = SqliteFile(path, schema=[ONE, "CREATE TABEL two"])
    with pytest.raises(sqlite3.OperationalError):
        await broken.open()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()


async def test_many_processes_open_a_new_file_at_once(path: Path) -> None:
    files = [SqliteFile(path, schema=[ONE, TWO]) for _ in range(5)]
    await asyncio.gather(*(file.open() for file in files))
    for number, file in enumerate(files):
        assert await file.write("INSERT INTO two VALUES (?)", (number,)) == 1
        await file.close()


async def test_a_file_that_another_process_reads_is_switched_to_write_ahead_mode(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a restored copy may be, while someone looks into it."""
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.01)
    make_ready(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")
    other.executescript("CREATE TABLE theirs (n); BEGIN; SELECT * FROM theirs;")
    file = SqliteFile(path, schema=[ONE])
    with pytest.raises(Unavailable):
        await file.open()
    other.execute("COMMIT")
    await file.open()
    assert await file.rows("PRAGMA journal_mode") == [("wal",)]
    other.close()
    await file.close()


async def test_a_closed_connection_is_replaced(file: SqliteFile) -> None:
    await file.write("INSERT INTO one VALUES (1)")
    assert file._connection is not None
    await file._connection.close()
    assert await file.write("INSERT INTO one VALUES (2)") == 1
    assert await file.rows("SELECT n FROM one") == [(1,), (2,)]


async def test_the_file_is_reopened_after_an_io_error(file: SqliteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = file._connection
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE

    async def execute(*_: Any) -> None:
        raise error

    monkeypatch.setattr(broken, "execute", execute)
    with pytest.raises(Unavailable):
        await file.write("INSERT INTO one VALUES (1)")
    assert await file.write("INSERT INTO one VALUES (1)") == 1
    assert file._connection is not broken


async def test_many_callers_survive_a_closed_connection(file: SqliteFile) -> None:
    assert file._connection is not None
    await file._connection.close()
    written = await asyncio.gather(*(file.write("INSERT INTO one VALUES (?)", (n,)) for n in range(10)))
    assert written == [1] * 10


async def test_a_path_where_no_file_can_be_created_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    file = SqliteFile(tmp_path / "taken", schema=[ONE])
    with pytest.raises(OSError, match="taken"):
        await file.open()
    await file.close()


# --- personal data ---

FACE = b"the patient's face" * 5000


def traces(folder: Path) -> list[str]:
    return [found.name for found in folder.iterdir() if FACE[:18] in found.read_bytes()]


async def test_deleted_images_leave_no_trace(tmp_path: Path, clock: Clock) -> None:
    jobs = SqliteJobStore(tmp_path / "ocr.db", clock=clock)
    await jobs.open()
    kept = await create_job(jobs, a_job(), b"another image")
    one = await create_job(jobs, a_job(), FACE)
    assert traces(tmp_path)
    await jobs.update(msgspec.structs.replace(one, status="REGISTERED"), delete_image=True)
    assert traces(tmp_path) == []
    await create_job(jobs, a_job(), FACE)
    await jobs.update(msgspec.structs.replace(kept, expires_at=clock.now.replace(year=2030)))
    assert traces(tmp_path)
    assert await jobs.expire(clock.pass_(hours=2)) == 2
    assert traces(tmp_path) == []
    assert await jobs.image(kept.id) == b"another image"
    await jobs.close()


async def test_the_next_start_finishes_an_interrupted_erasure(tmp_path: Path, clock: Clock) -> None:
    jobs = SqliteJobStore(tmp_path / "ocr.db", clock=clock)
    await jobs.open()
    job = await create_job(jobs, a_job(), FACE)
    # A process that died after the deletion and before it emptied the write-ahead log leaves the image there.
    killed = sqlite3.connect(tmp_path / "ocr.db", isolation_level=None)
    killed.execute("UPDATE jobs SET image = NULL WHERE id = ?", (job.id,))
    assert traces(tmp_path) == ["ocr.db-wal"]
    await jobs.close()
    await jobs.open()
    assert traces(tmp_path) == []
    killed.close()
    await jobs.close()

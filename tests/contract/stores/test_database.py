"""Transactions of the SQL database: whole or not at all, blocking nobody, and naming what went wrong."""

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import event, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from mediq.actors.users.users import UserStore
from mediq.messages.errors import Unavailable
from mediq.stores import database
from mediq.stores.database import migrate, open_database, ping, reading, writing
from mediq.stores.sqlite_file import SqliteFile, UnknownSchema
from mediq.stores.tables import audit
from tests.fixtures.stores.backends import NOW, a_user

AN_ACT = insert(audit).values(at=NOW, action="test")


async def acts(engine: AsyncEngine) -> int:
    async with reading(engine) as connection:
        return (await connection.execute(select(func.count()).select_from(audit))).scalar_one()


async def test_a_failed_transaction_writes_nothing(engine: AsyncEngine) -> None:
    await ping(engine)
    async with writing(engine) as connection:
        await connection.execute(AN_ACT)
        await connection.execute(AN_ACT)

    async def fail() -> None:
        async with writing(engine) as connection:
            await connection.execute(AN_ACT)
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await fail()
    assert await acts(engine) == 2


@pytest.mark.parametrize("moment", ["begin", "first statement", "second statement", "commit", "rollback"])
async def test_a_cancelled_write_happens_whole_or_not_at_all(
    engine: AsyncEngine, other_engine: AsyncEngine, moment: str
) -> None:
    async def write_two() -> None:
        async with writing(engine) as connection:
            await connection.execute(AN_ACT)
            await connection.execute(AN_ACT)
            if moment == "rollback":
                raise RuntimeError("a bug")

    statements = itertools.count(1)

    def cancel(*arguments: object) -> None:
        """Strike while the task waits for what it is about to send."""
        if not arguments[2:] or next(statements) == {"first statement": 1, "second statement": 2}[moment]:
            task.cancel()

    hook = moment if moment in ("begin", "commit", "rollback") else "before_cursor_execute"
    event.listen(engine.sync_engine, hook, cancel)
    task = asyncio.ensure_future(write_two())
    [outcome] = await asyncio.gather(task, return_exceptions=True)
    event.remove(engine.sync_engine, hook, cancel)
    assert isinstance(outcome, asyncio.CancelledError)
    # The next writer, here or in another process, is not blocked.
    for either in (engine, other_engine):
        async with writing(either) as connection:
            await connection.execute(AN_ACT)
    # Told to commit, the database may have done so.
    assert await acts(engine) in ((2, 4) if moment == "commit" else (2,))


async def test_errors_carry_no_personal_data(engine: AsyncEngine) -> None:
    user = a_user(1)
    assert user.nik is not None

    async def fail() -> None:
        async with writing(engine) as connection:
            await connection.execute(text("INSERT INTO nowhere VALUES (:nik)"), {"nik": user.nik})

    with pytest.raises(DBAPIError) as refused:
        await fail()
    assert user.nik not in str(refused.value)


# --- what is SQLite's own ---


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "own.db"


@pytest.fixture
async def own(path: Path) -> AsyncIterator[AsyncEngine]:
    engine = open_database(f"sqlite+aiosqlite:///{path}")
    await migrate(engine)
    yield engine
    await engine.dispose()


async def test_a_read_that_turns_to_writing_does_not_fail(own: AsyncEngine, path: Path) -> None:
    another = open_database(f"sqlite+aiosqlite:///{path}")

    async def count_up(either: AsyncEngine) -> None:
        async with writing(either) as connection:
            n = (await connection.execute(select(func.count()).select_from(audit))).scalar_one()
            await connection.execute(insert(audit).values(at=NOW, action="test", subject=str(n)))

    await asyncio.gather(*(count_up((own, another)[n % 2]) for n in range(30)))
    async with reading(own) as connection:
        subjects = (await connection.execute(select(audit.c.subject))).scalars().all()
    assert sorted(int(subject or -1) for subject in subjects) == list(range(30))
    await another.dispose()


async def test_readers_do_not_wait_for_a_writer(own: AsyncEngine) -> None:
    async with writing(own) as connection:
        await connection.execute(AN_ACT)
        assert await acts(own) == 0
    assert await acts(own) == 1


async def test_every_connection_syncs_and_enforces_foreign_keys(own: AsyncEngine) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(database.POOL):
            connection = await stack.enter_async_context(reading(own))
            found = {
                name: (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            }
            assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_a_pool_without_free_connections_is_unavailable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "POOL_WAIT", 0.01)
    engine = open_database(f"sqlite+aiosqlite:///{path}")
    async with AsyncExitStack() as stack:
        for _ in range(database.POOL):
            await stack.enter_async_context(reading(engine))
        with pytest.raises(Unavailable):
            await ping(engine)
    await ping(engine)
    await engine.dispose()


async def test_a_database_that_another_process_locks_is_unavailable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    engine = open_database(f"sqlite+aiosqlite:///{path}")
    await migrate(engine)
    store = UserStore(engine)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        await store.create(a_user(1))
    assert await store.page() == ([], 0)
    other.execute("ROLLBACK")
    other.close()
    await store.create(a_user(1))
    assert (await store.page())[1] == 1
    await engine.dispose()


async def test_the_file_is_the_owners_alone(path: Path) -> None:
    engine = open_database(f"sqlite+aiosqlite:///{path.parent / 'new' / 'folder' / 'own.db'}")
    await migrate(engine)
    [*files] = (path.parent / "new" / "folder").iterdir()
    assert {file.stat().st_mode & 0o077 for file in files} == {0}
    await engine.dispose()


@pytest.fixture
def letter(path: Path) -> Iterator[None]:
    """A file that is no database where the database should be."""
    path.write_bytes(b"a letter to the patient" * 100)
    yield
    assert path.read_bytes() == b"a letter to the patient" * 100


@pytest.mark.usefixtures("letter")
async def test_a_file_that_is_no_database_is_refused_unchanged(path: Path) -> None:
    with pytest.raises(UnknownSchema, match=r"own\.db is not a database"):
        open_database(f"sqlite+aiosqlite:///{path}")
    with pytest.raises(UnknownSchema, match=r"own\.db is not a database"):
        await SqliteFile(path, schema=[]).open()


async def test_a_deleted_user_leaves_every_file(own: AsyncEngine, path: Path) -> None:
    store = UserStore(own)
    gone = await store.create(a_user(7, nama="NAMA YANG DIHAPUS"))
    files = (path, path.with_name(f"{path.name}-wal"))
    assert any(b"NAMA YANG DIHAPUS" in file.read_bytes() for file in files)
    await store.delete(gone.id)
    for file in files:
        assert b"NAMA YANG DIHAPUS" not in file.read_bytes(), file.name
        assert gone.nik is not None
        assert gone.nik.encode() not in file.read_bytes(), file.name

"""Migrations: from nothing, again, all or nothing, and in agreement with the tables."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mediq.actors.users.users import UserStore
from mediq.messages.audit_entry import AuditEntry
from mediq.stores.audit_trail import AuditTrail
from mediq.stores.database import migrate, open_database, reading, writing
from mediq.stores.migrations import HEAD
from mediq.stores.migrations.apply import configuration
from mediq.stores.sqlite_file import UnknownSchema
from mediq.stores.tables import metadata
from tests.fixtures.application import ROOT
from tests.fixtures.servers import MariaDB
from tests.fixtures.stores.backends import NOW, a_user


@pytest.fixture
def database_url(sql_server: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of this test's own."""
    if sql_server == "mysql":
        server: MariaDB = request.getfixturevalue("mariadb")
        return server.url()
    return f"sqlite+aiosqlite:///{tmp_path / 'mediq.db'}"


@pytest.fixture
async def empty(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_database(database_url)
    yield engine
    await engine.dispose()


async def tables(engine: AsyncEngine) -> set[str]:
    async with reading(engine) as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def test_migrating_an_empty_database_twice_changes_nothing_the_second_time(empty: AsyncEngine) -> None:
    assert await tables(empty) == set()
    await migrate(empty)
    assert await tables(empty) == {*metadata.tables, "alembic_version"}
    user = await UserStore(empty).create(a_user(1))
    await migrate(empty)
    assert await UserStore(empty).get(user.id) == user


async def test_migrating_an_earlier_version_keeps_its_rows(empty: AsyncEngine) -> None:
    def earlier(connection: Connection) -> None:
        command.upgrade(configuration(connection), "0001")

    async with writing(empty) as connection:
        await connection.run_sync(earlier)
    user = await UserStore(empty).create(a_user(1))
    await AuditTrail(empty).record(AuditEntry(at=NOW, action="user.create", subject=user.id))
    await migrate(empty)
    assert await UserStore(empty).get(user.id) == user
    assert [entry.subject for _, entry in await AuditTrail(empty).before(subject=user.id)] == [user.id]


async def test_the_migrations_build_the_declared_tables(engine: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    async with reading(engine) as connection:
        assert await connection.run_sync(differences) == []


async def test_head_is_the_newest_revision(engine: AsyncEngine) -> None:
    async with reading(engine) as connection:
        scripts = await connection.run_sync(lambda sync: ScriptDirectory.from_config(configuration(sync)))
    assert scripts.get_heads() == [HEAD]


async def test_several_processes_start_at_once(empty: AsyncEngine, database_url: str) -> None:
    others = [open_database(database_url) for _ in range(3)]
    await asyncio.gather(*(migrate(engine) for engine in (empty, *others)))
    assert await tables(empty) == {*metadata.tables, "alembic_version"}
    for engine in others:
        await engine.dispose()


async def test_a_database_of_a_newer_version_is_refused(engine: AsyncEngine) -> None:
    async with writing(engine) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UnknownSchema, match="newer version"):
        await migrate(engine)


# --- what is SQLite's own ---


async def test_a_failed_migration_changes_nothing(tmp_path: Path) -> None:
    engine = open_database(f"sqlite+aiosqlite:///{tmp_path / 'own.db'}")

    def fail(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "CREATE TABLE sessions" in statement:
            raise RuntimeError("power cut")

    event.listen(engine.sync_engine, "before_cursor_execute", fail)
    with pytest.raises(RuntimeError, match="power cut"):
        await migrate(engine)
    assert await tables(engine) == set()
    event.remove(engine.sync_engine, "before_cursor_execute", fail)
    await migrate(engine)
    assert await tables(engine) == {*metadata.tables, "alembic_version"}
    await engine.dispose()


START = """
import asyncio, sys
from mediq.messages.audit_entry import AuditEntry

from mediq.stores.audit_trail import AuditTrail
from mediq.stores.database import migrate, open_database

async def start():
    engine = open_database(sys.argv[1])
    await migrate(engine)
    await engine.dispose()

asyncio.run(start())
print("alembic" in sys.modules)
"""


def test_only_a_start_that_migrates_loads_alembic(tmp_path: Path) -> None:
    """From any folder, without alembic.ini."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'own.db'}"
    said = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", START, url],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for _ in range(2)
    ]
    assert said == ["True", "False"]

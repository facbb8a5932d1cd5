"""The SQL database behind users, sessions and audit trail: opening it, its transactions, and its migrations.

`sqlite+aiosqlite:///PATH` for one PC; `mysql://USER:PASSWORD@HOST/DATABASE` for MySQL and MariaDB.
"""

import asyncio
import functools
import itertools
import random
import time
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from mediq.stores.driver_errors import Contended, translated_errors
from mediq.stores.migrations import HEAD
from mediq.stores.sqlite_file import BUSY_SECONDS, UnknownSchema, make_ready

POOL: Final = 10
"""Connections a process keeps."""
POOL_WAIT: Final = 5.0
"""Seconds to wait for a free connection before the database counts as unavailable."""

ANSWER_SECONDS: Final = 3.0
"""How long a transaction may take on MySQL, waiting for a connection and connecting included."""
_LOCK_SECONDS: Final = 1
"""Seconds that MySQL waits for another transaction's rows: fewer than `ANSWER_SECONDS`. If the client gave up first,
the server would go on waiting and keep its locks."""
_RECYCLE_SECONDS: Final = 1800
_IDLE_SECONDS: Final = 3600
"""Seconds after which MySQL closes our idle connections, whatever its own setting; they are renewed earlier."""
REPEATS: Final = 5
"""The most runs of a transaction that conflicts with another, within `ANSWER_SECONDS`."""

MIGRATION_WAIT: Final = 60
"""Seconds that a process waits for another process's migration, on MySQL."""

_WRITES: Final = "mediq_writes"
_MIGRATES: Final = "mediq_migrates"
_ALONE: Final = "mediq_alone"  # outside any transaction
_writers: "weakref.WeakKeyDictionary[Engine, asyncio.Lock]" = weakref.WeakKeyDictionary()
"""SQLite has one writer at a time. This lock is first come, first served; SQLite itself would sleep and retry."""


_P = ParamSpec("_P")
_T = TypeVar("_T")

_ONE_MIGRATES: Final = text(f"SELECT GET_LOCK(CONCAT('mediq:', MD5(DATABASE())), {MIGRATION_WAIT})")
"""MySQL commits each change of a table at once, so processes that start together must take turns."""


def open_database(url: str) -> AsyncEngine:
    """An engine for `url`; the file of a SQLite address is created when absent.

    Example::

        engine = open_database("sqlite+aiosqlite:///data/users.db")
        await migrate(engine)
        async with writing(engine) as connection:
            await connection.execute(insert(users).values(row))
        await engine.dispose()

    Raises:
        ValueError: an address of another kind.
        UnknownSchema: the file of a SQLite address is no database.
        OSError, StorageFull, Unavailable: the file cannot be created or opened.
    """
    address = make_url(url)
    # Error messages and logs must not contain patients' data.
    shared: dict[str, Any] = {
        "pool_size": POOL,
        "max_overflow": 0,
        "pool_timeout": POOL_WAIT,
        "hide_parameters": True,
    }
    if address.get_backend_name() == "sqlite":
        return _sqlite(address, shared)
    if address.get_backend_name() in ("mysql", "mariadb"):
        return _mysql(address, shared)
    raise ValueError(f"{address.get_backend_name()} is no database that MediQ can use; use mysql:// or sqlite://")


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that reads committed data only; on SQLite, all of it from one moment.

    Raises:
        Unavailable: the database is locked, gone, or all connections are in use.
    """
    with translated_errors():
        async with _connected(engine) as connection:
            yield connection


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that writes: committed and durable when the block ends, undone when it raises.

    On SQLite it holds the write lock from the start: what it has read cannot change before it writes.

    Raises:
        StorageFull: the disk is full; nothing was written.
        Contended: the transaction conflicts with another; nothing was written. See :func:`retry_on_conflict`.
        Unavailable: the database is locked, gone, or all connections are in use.
    """
    with translated_errors():
        async with _writers.get(engine.sync_engine) or nullcontext(), _connected(engine) as connection:
            await connection.execution_options(**{_WRITES: True})
            async with connection.begin():
                yield connection


def retry_on_conflict(method: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """Run `method`, which writes in one transaction, a few more times if the transaction conflicts with another."""

    @functools.wraps(method)
    async def again(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        until = time.monotonic() + ANSWER_SECONDS
        for run in itertools.count(1):
            try:
                return await method(*args, **kwargs)
            except Contended:
                if run == REPEATS or time.monotonic() > until:
                    raise
            await asyncio.sleep(random.uniform(0, 0.01 * run))  # noqa: S311 - jitter, no secret
        raise AssertionError("unreachable: the last run returns or raises")

    return again


async def forget_deleted(engine: AsyncEngine) -> None:
    """Remove deleted content from SQLite's files: copy the write-ahead log into the database, and empty the log."""
    if engine.dialect.name == "sqlite":
        with translated_errors():
            async with _connected(engine) as connection:
                await connection.execution_options(**{_ALONE: True})
                await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


async def ping(engine: AsyncEngine) -> None:
    """Return if the database answers; raise Unavailable if it does not."""
    async with reading(engine) as connection:
        await connection.execute(text("SELECT 1"))


async def migrate(engine: AsyncEngine) -> None:
    """Bring the tables up to date, on SQLite all steps or none. An up-to-date database costs one query.

    Raises:
        UnknownSchema: the database was written by a newer program.
        StorageFull, Unavailable: nothing was changed.
    """
    async with reading(engine) as connection:
        if await connection.run_sync(_revision) == HEAD:
            return
    # Importing Alembic takes as long as the rest of the start: only a start that migrates does so.
    from alembic.util import CommandError

    from mediq.stores.migrations.apply import upgrade

    with translated_errors():
        async with _writers.get(engine.sync_engine) or nullcontext(), engine.connect() as connection:
            await connection.execution_options(**{_MIGRATES: True})
            try:
                async with connection.begin():
                    if engine.dialect.name == "mysql":
                        await connection.execute(_ONE_MIGRATES)
                    await connection.run_sync(upgrade)
            except CommandError as error:
                raise UnknownSchema(
                    "the database was written by a newer version of MediQ; start that version instead"
                ) from error
            finally:
                # The pool must not get this connection: it enforces no foreign keys (SQLite) or holds the lock (MySQL).
                await connection.invalidate()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection for one transaction.

    SQLite limits its own waits. The MySQL driver would wait for ever for a server that is cut off, even when it
    releases a connection. Therefore the connection is closed under the driver after `ANSWER_SECONDS`.
    """
    if engine.dialect.name != "mysql":
        async with engine.connect() as connection:
            yield connection
        return
    loop = asyncio.get_running_loop()
    until = loop.time() + ANSWER_SECONDS
    async with asyncio.timeout_at(until):
        connection = await engine.connect()
    driver: Any = (await connection.get_raw_connection()).driver_connection
    cut = loop.call_at(until, driver.close)
    try:
        yield connection
    finally:
        release = asyncio.create_task(connection.close())
        release.add_done_callback(lambda _: cut.cancel())
        await asyncio.shield(release)


def _mysql(address: URL, shared: dict[str, Any]) -> AsyncEngine:
    return create_async_engine(
        address.set(drivername="mysql+aiomysql").update_query_dict({"charset": "utf8mb4"}),
        connect_args={
            "connect_timeout": ANSWER_SECONDS,
            "init_command": (
                f"SET SESSION wait_timeout = {_IDLE_SECONDS}, innodb_lock_wait_timeout = {_LOCK_SECONDS},"
                # Refuse values that do not fit instead of truncating them.
                " sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')"
            ),
        },
        # Connections are renewed before the server closes them, and checked before use: no request fails at a restart.
        pool_recycle=_RECYCLE_SECONDS,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        **shared,
    )


def _sqlite(address: URL, shared: dict[str, Any]) -> AsyncEngine:
    if address.database and address.database != ":memory:":
        with translated_errors():
            make_ready(Path(address.database))
    engine = create_async_engine(
        # The driver starts no transactions; `_begin` does.
        address,
        connect_args={"isolation_level": None, "timeout": BUSY_SECONDS},
        **shared,
    )
    _writers[engine.sync_engine] = asyncio.Lock()
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA secure_delete = ON")  # deleted users leave the file too
    finally:
        cursor.close()


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(_ALONE):
        return
    if options.get(_MIGRATES):
        # A batch migration drops and rebuilds a table; with foreign keys on, tables that refer to it would be emptied.
        _execute_directly(connection, "PRAGMA foreign_keys = OFF")
    # A transaction that reads first and writes later would fail at once if another wrote in between.
    writes = options.get(_WRITES) or options.get(_MIGRATES)
    _execute_directly(connection, "BEGIN IMMEDIATE" if writes else "BEGIN")


def _execute_directly(connection: Connection, sql: str) -> None:
    """Run `sql` with one call into the connection's thread; SQLAlchemy's cursor would need three."""
    driver: Any = connection.connection.dbapi_connection
    driver.run_async(lambda aiosqlite_connection: aiosqlite_connection.execute(sql))

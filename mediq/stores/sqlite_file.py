"""One SQLite file on one connection, for the stores whose every write is a single statement.

SQLite commits such a statement whole or not at all before it answers, and no transaction is ever left open: a
task that is cancelled while it waits leaves a write that happened or one that did not, never half of one.
"""

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from mediq.messages.errors import Unavailable
from mediq.stores.driver_errors import closed_before_it_ran, fault_of

Row = tuple[Any, ...]
_T = TypeVar("_T")

BUSY_SECONDS = 5.0
"""How long a statement waits for another process's write before it gives up as unavailable."""


class UnknownSchema(RuntimeError):
    """The file or database was written by a newer program than this one, or by no MediQ at all."""


def make_ready(path: Path) -> None:
    """See that `path` is a database in write-ahead mode; a new one is readable by its owner only.

    Raises:
        UnknownSchema: it is a file of another kind, which is left as it is.
        OSError: no file can be there.
        sqlite3.OperationalError: the disk is full, or others keep it locked.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        for tries_left in reversed(range(10)):
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or not tries_left:
                    raise
            # Others are switching the same new file over, for which SQLite does not wait as it does for a lock.
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise UnknownSchema(f"{path} is not a database of MediQ") from error
        raise
    finally:
        connection.close()


class SqliteFile:
    """A file in write-ahead mode, each commit synced to the disk before it is reported.

    Args:
        path: the file; created when absent.
        schema: one script per version of the file's layout, oldest first; a file at version n gets the rest.
            Scripts must be safe to repeat (`IF NOT EXISTS`).
        secure_delete: overwrite deleted content with zeros.
        max_bytes: refuse, as a full disk would, to grow beyond this size.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        schema: Sequence[str],
        secure_delete: bool = False,
        max_bytes: int | None = None,
    ) -> None:
        self.path = Path(path)
        self._schema = schema
        self._secure_delete = secure_delete
        self._max_bytes = max_bytes
        self._connection: aiosqlite.Connection | None = None
        self._in_use = False
        self._connecting = asyncio.Lock()

    async def open(self) -> None:
        """Open or create the file and bring its layout up to date; opening an open file does nothing.

        Raises:
            UnknownSchema: a newer program wrote the file.
        """
        self._in_use = True
        try:
            await self._connected()
        except BaseException:
            self._in_use = False
            raise

    async def close(self) -> None:
        """Finish what is queued and close; closing twice does nothing. The file can be opened again."""
        self._in_use = False
        async with self._connecting:
            connection, self._connection = self._connection, None
            if connection is not None:
                await _close(connection)

    async def write(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run one writing statement and commit it; how many rows it changed."""

        async def call(connection: aiosqlite.Connection) -> int:
            # The cursor is not closed by a call of its own, which would cost a second trip to the thread.
            return (await connection.execute(sql, parameters)).rowcount

        return await self._run(call)

    async def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run one reading statement; all its rows."""

        async def call(connection: aiosqlite.Connection) -> list[Row]:
            return list(await connection.execute_fetchall(sql, parameters))  # type: ignore[arg-type]

        return await self._run(call)

    async def forget_deleted(self) -> None:
        """Move the write-ahead log into the file and empty it, so that no copy of deleted content stays."""
        await self.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    async def _run(self, call: Callable[[aiosqlite.Connection], Awaitable[_T]]) -> _T:
        """Run `call`, naming faults; a connection found closed is reopened and the call repeated, once."""
        connection = await self._connected()
        try:
            return await call(connection)
        except Exception as error:
            if closed_before_it_ran(error):
                await self._drop(connection)
                return await call(await self._connected())
            fault = fault_of(error)
            if fault is None:
                raise
            if _broken(error):
                await self._drop(connection)
            raise fault from error

    async def _connected(self) -> aiosqlite.Connection:
        if self._connection is not None:
            return self._connection
        async with self._connecting:
            if not self._in_use:
                raise Unavailable(f"{self.path.name}: not open")
            if self._connection is None:
                try:
                    self._connection = await self._connect()
                except Exception as error:
                    fault = fault_of(error)
                    if fault is None:
                        raise
                    raise fault from error
            return self._connection

    async def _drop(self, connection: aiosqlite.Connection) -> None:
        """Throw away a broken connection; the next call opens another."""
        if self._connection is connection:
            self._connection = None
            await _close(connection)

    async def _connect(self) -> aiosqlite.Connection:
        await asyncio.to_thread(make_ready, self.path)
        connection = aiosqlite.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        # A process that failed before it could close its stores must still be able to exit.
        connection._thread.daemon = True
        await connection
        try:
            await self._prepare(connection)
        except BaseException:
            await _close(connection)
            raise
        return connection

    async def _prepare(self, connection: aiosqlite.Connection) -> None:
        await connection.execute_fetchall("PRAGMA synchronous = FULL")
        await connection.execute_fetchall(f"PRAGMA secure_delete = {'ON' if self._secure_delete else 'OFF'}")
        if self._max_bytes is not None:
            [[page_size]] = await connection.execute_fetchall("PRAGMA page_size")
            await connection.execute_fetchall(f"PRAGMA max_page_count = {max(1, self._max_bytes // page_size)}")
        [[version]] = await connection.execute_fetchall("PRAGMA user_version")
        if version > len(self._schema):
            raise UnknownSchema(f"{self.path} was written by a newer version of MediQ; start that version instead")
        if version < len(self._schema):
            script = "\n".join(self._schema[version:])
            await connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {len(self._schema)};\nCOMMIT;"
            )


def _broken(error: Exception) -> bool:
    code: int = getattr(error, "sqlite_errorcode", None) or 0
    return code & 0xFF in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}


async def _close(connection: aiosqlite.Connection) -> None:
    try:
        await connection.close()
    except (sqlite3.Error, ValueError):
        # It was broken or closed already; its thread is stopped either way.
        return

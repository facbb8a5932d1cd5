"""One SQLite file on one connection, for stores whose every write is a single statement.

SQLite commits such a statement as a whole or not at all before it returns, and no transaction stays open: a task that
is cancelled during a write leaves the whole write or none of it.
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
"""Seconds that a statement waits for another process's write before the file counts as unavailable."""


class UnknownSchema(RuntimeError):
    """The file or database was written by a newer version of MediQ, or by another program."""


def make_ready(path: Path) -> None:
    """Make `path` a database in write-ahead mode; only the owner can read a new one.

    Raises:
        UnknownSchema: `path` is a file of another kind, which stays as it is.
        OSError: the file cannot be created.
        sqlite3.OperationalError: the disk is full, or other processes keep the file locked.
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
            # Another process is switching the same new file over; SQLite does not wait for that as it does for a lock.
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise UnknownSchema(f"{path} is not a database of MediQ") from error
        raise
    finally:
        connection.close()


class SqliteFile:
    """A file in write-ahead mode; each commit is synced to the disk before `write` returns.

    Args:
        path: the file; created if absent.
        schema: one script for each version of the file's layout, oldest first; a file at version n gets the later ones.
            Scripts must be safe to repeat (`IF NOT EXISTS`), since two processes may open the same old file at once.
        secure_delete: overwrite deleted content with zeros.
        max_bytes: the largest size; beyond it, writes fail as on a full disk.

    Example::

        file = SqliteFile("data/notes.db", schema=("CREATE TABLE IF NOT EXISTS notes (text TEXT);",))
        await file.open()
        await file.write("INSERT INTO notes VALUES (?)", ("halo",))
        assert await file.rows("SELECT text FROM notes") == [("halo",)]
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
        """Open or create the file and bring its layout up to date. Opening an open file does nothing.

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
        """Finish pending calls and close. Closing twice does nothing; the file can be opened again."""
        self._in_use = False
        async with self._connecting:
            connection, self._connection = self._connection, None
            if connection is not None:
                await _close(connection)

    async def write(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run one writing statement and commit it; the number of changed rows."""

        async def call(connection: aiosqlite.Connection) -> int:
            # Closing the cursor would need a second call into the connection's thread.
            return (await connection.execute(sql, parameters)).rowcount

        return await self._run(call)

    async def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run one reading statement; all its rows."""

        async def call(connection: aiosqlite.Connection) -> list[Row]:
            return list(await connection.execute_fetchall(sql, parameters))  # type: ignore[arg-type]

        return await self._run(call)

    async def forget_deleted(self) -> None:
        """Copy the write-ahead log into the file and empty it, so that no copy of deleted content stays."""
        await self.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    async def _run(self, call: Callable[[aiosqlite.Connection], Awaitable[_T]]) -> _T:
        """Run `call`, with errors translated. If the connection was closed, reopen it and repeat the call once."""
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
        """Discard a broken connection; the next call opens another."""
        if self._connection is connection:
            self._connection = None
            await _close(connection)

    async def _connect(self) -> aiosqlite.Connection:
        await asyncio.to_thread(make_ready, self.path)
        connection = aiosqlite.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        # The process must be able to exit even if it failed before it closed its stores.
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
        # The connection was broken or closed already; its thread stops in any case.
        return

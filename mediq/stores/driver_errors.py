"""Translates the errors of database drivers: a full disk, a store that cannot be reached, a conflict."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from mediq.messages.errors import Fault, StorageFull, Unavailable

_FULL_SQLITE = {
    sqlite3.SQLITE_FULL,
    # The shared-memory index of the write-ahead log could not grow, because the disk is full.
    sqlite3.SQLITE_IOERR_SHMSIZE,
}
_AWAY_SQLITE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}
_FULL_SYSTEM = {errno.ENOSPC, errno.EDQUOT}
_FULL_MYSQL = {1021, 1114, 3675}
"""ER_DISK_FULL, ER_RECORD_FILE_FULL, ER_DISK_FULL_NOWAIT."""
_AWAY_MYSQL = {1040, 1053, 1290, 1836, 1927, 2002, 2003, 2006, 2013, 2014, 2055}
"""Too many connections, shutting down, read-only, killed, and the client's lost connections."""
_CONTENDED_MYSQL = {1205, 1213}
"""Lock wait timeout, deadlock."""


class Contended(Unavailable):
    """The transaction conflicts with another and was rolled back, so it may be run again."""


def closed_before_it_ran(error: BaseException) -> bool:
    """Whether the SQLite connection was closed already, so that the statement cannot have run."""
    text = str(error).lower()
    return (isinstance(error, ValueError) and text in {"no active connection", "connection closed"}) or (
        isinstance(error, sqlite3.Error)
        and ("closed database" in text or text in {"no active connection", "connection closed"})
    )


def fault_of(error: BaseException) -> Fault | None:
    """The fault for `error` of a driver or of SQLAlchemy; None for any other error."""
    if isinstance(error, PoolExhausted):
        return Unavailable()
    if isinstance(error, DBAPIError):
        inner = fault_of(error.orig) if error.orig is not None else None
        return inner or (Unavailable() if error.connection_invalidated else None)
    if closed_before_it_ran(error):
        return Unavailable()
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error)
    if isinstance(error, OSError):
        if error.errno in _FULL_SYSTEM:
            return StorageFull()
        return Unavailable() if isinstance(error, (ConnectionError, TimeoutError)) else None
    return _of_mysql(error)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise drivers' errors in the block as faults; other errors pass unchanged."""
    try:
        yield
    except Exception as error:
        fault = fault_of(error)
        if fault is None:
            raise
        raise fault from error


def _of_sqlite(error: sqlite3.Error) -> Fault | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return StorageFull() if "disk is full" in str(error) else None
    if code in _FULL_SQLITE:
        return StorageFull()
    return Unavailable() if code & 0xFF in _AWAY_SQLITE else None


def _of_mysql(error: BaseException) -> Fault | None:
    code = error.args[0] if error.args else None
    if code in _FULL_MYSQL:
        return StorageFull()
    if code in _CONTENDED_MYSQL:
        return Contended()
    return Unavailable() if code in _AWAY_MYSQL else None

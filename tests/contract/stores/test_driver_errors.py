"""Which driver errors are which fault."""

import errno
import sqlite3

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from mediq.messages.errors import Fault, StorageFull, Unavailable, to_wire
from mediq.stores.driver_errors import Contended, fault_of, translated_errors


def sqlite_error(code: int, message: str = "") -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


class MySqlError(Exception):
    """What the MySQL drivers raise: code and text as arguments."""


FULL: list[Exception] = [
    sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full"),
    sqlite3.OperationalError("database or disk is full"),
    sqlite_error(sqlite3.SQLITE_IOERR_SHMSIZE),
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    MySqlError(1114, "The table 'users' is full"),
]
AWAY: list[Exception] = [
    sqlite_error(sqlite3.SQLITE_BUSY, "database is locked"),
    sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT),
    sqlite_error(sqlite3.SQLITE_LOCKED),
    sqlite_error(sqlite3.SQLITE_IOERR_READ, "disk I/O error"),
    sqlite_error(sqlite3.SQLITE_CANTOPEN, "unable to open database file"),
    sqlite3.ProgrammingError("Cannot operate on a closed database."),
    ValueError("Connection closed"),
    ValueError("no active connection"),
    ConnectionResetError(),
    MySqlError(2013, "Lost connection to MySQL server during query"),
    PoolExhausted("QueuePool limit of size 10 overflow 0 reached"),
]
MET: list[Exception] = [
    MySqlError(1205, "Lock wait timeout exceeded; try restarting transaction"),
    MySqlError(1213, "Deadlock found when trying to get lock; try restarting transaction"),
]
OURS: list[Exception] = [
    sqlite_error(sqlite3.SQLITE_ERROR, 'near "SELCT": syntax error'),
    sqlite3.IntegrityError("UNIQUE constraint failed: users.nik"),
    sqlite3.DatabaseError("file is not a database"),
    ValueError("something else"),
    FileNotFoundError(errno.ENOENT, "No such file"),
    MySqlError(1062, "Duplicate entry"),
    MySqlError(),
    KeyError("connection closed"),
]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        *((e, StorageFull) for e in FULL),
        *((e, Unavailable) for e in AWAY),
        *((e, Contended) for e in MET),
        *((e, None) for e in OURS),
    ],
    ids=repr,
)
def test_each_driver_error_becomes_its_fault(error: Exception, kind: type[Fault] | None) -> None:
    fault = fault_of(error)
    assert (None if fault is None else type(fault)) is kind
    wrapped = fault_of(OperationalError("SELECT 1", {}, error))
    if not isinstance(error, PoolExhausted):
        assert (None if wrapped is None else type(wrapped)) is kind


def test_a_lost_connection_is_unavailable_for_every_driver() -> None:
    assert isinstance(fault_of(DBAPIError("", {}, MySqlError(), connection_invalidated=True)), Unavailable)


def test_a_conflict_between_transactions_is_a_kind_of_unavailable() -> None:
    fault = fault_of(MET[0])
    assert isinstance(fault, Unavailable)
    assert to_wire(fault) == to_wire(Unavailable())


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(StorageFull) as full, translated_errors():
        raise FULL[0]
    assert full.value.__cause__ is FULL[0]
    with pytest.raises(IntegrityError), translated_errors():
        raise IntegrityError("", {}, OURS[1])

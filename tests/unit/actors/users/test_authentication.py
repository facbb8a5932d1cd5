"""Signing in does as much for people whom nobody knows as for the others, so that no clock tells them apart."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import argon2
import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from mediq.actors.users import auth_messages as auth
from mediq.actors.users.authentication import Authentication, AuthStores
from mediq.actors.users.credentials import CredentialStore
from mediq.actors.users.passwords import Passwords, hash_password
from mediq.actors.users.sessions import SessionStore
from mediq.actors.users.setup_tokens import SetupStore
from mediq.actors.users.tokens import Tokens
from mediq.actors.users.user import User
from mediq.actors.users.users import UserStore
from mediq.messages.errors import Unauthenticated
from mediq.runtime.bus import Bus
from mediq.runtime.context import NOBODY
from mediq.stores.audit_trail import AuditTrail
from mediq.stores.database import migrate, open_database
from mediq.transport.memory import MemoryBroker, MemoryTransport

NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
PASSWORD = "kata-sandi-petugas"
KNOWN, STAFF, STRANGER = "3201150101900001", "3201150101900002", "3201150101900003"


class Counting(Executor):
    """Counts what is done in threads."""

    def __init__(self) -> None:
        self.done = 0
        self._threads = ThreadPoolExecutor(1)

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> "Future[Any]":
        self.done += 1
        return self._threads.submit(work, *arguments, **named)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait, cancel_futures=cancel_futures)


class Work:
    """What the user service has done since it was last asked: statements to the database, and passwords hashed."""

    def __init__(self, engine: AsyncEngine, threads: Counting) -> None:
        self._threads = threads
        self._statements: list[str] = []
        event.listen(engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        self._statements.append(statement)

    def taken(self) -> tuple[list[str], int]:
        found = self._statements, self._threads.done
        self._statements, self._threads.done = [], 0
        return found


@asynccontextmanager
async def service(folder: Path) -> AsyncIterator[tuple[Authentication, Work]]:
    engine = open_database(f"sqlite+aiosqlite:///{folder / 'users.db'}")
    await migrate(engine)
    users = UserStore(engine)
    for fields in (
        {"id": "patient", "nik": KNOWN, "nama": "SITI", "role": "PASIEN", "tgl_lahir": "01-01-1990"},
        {"id": "undated", "nik": STRANGER[:-1] + "9", "nama": "SITI", "role": "PASIEN", "email": "siti@klinik.example"},
    ):
        await users.create(User(created_at=NOW, updated_at=NOW, **fields))
    staff = {"id": "staff", "nik": STAFF, "nama": "BUDI", "role": "OPERATOR", "email": "budi@klinik.example"}
    await users.create(User(created_at=NOW, updated_at=NOW, **staff), password_hash=hash_password(PASSWORD))
    threads = Counting()
    authentication = Authentication(
        Bus(MemoryTransport(MemoryBroker()), {}),
        AuthStores(
            users=users,
            credentials=CredentialStore(engine),
            sessions=SessionStore(engine),
            setup_tokens=SetupStore(engine),
            audit=AuditTrail(engine),
        ),
        Tokens("a" * 32, "b" * 32),
        Passwords(threads),
        patient_login=True,
        patient_birth_date=True,
        clock=lambda: NOW,
    )
    try:
        yield authentication, Work(engine, threads)
    finally:
        threads.shutdown()
        await engine.dispose()


async def test_a_refused_password_takes_the_same_work_for_known_and_unknown_staff(tmp_path: Path) -> None:
    async with service(tmp_path) as (authentication, work):
        done = []
        for email in ("budi@klinik.example", "BUDI@Klinik.Example", "siti@klinik.example", "siapa@klinik.example"):
            with pytest.raises(Unauthenticated):
                await authentication.login_admin(auth.LoginAdmin(email=email, password="salah-sama-sekali"), NOBODY)
            done.append(work.taken())
        statements, hashed = done[0]
        assert (len(statements), hashed) == (2, 1)
        assert done == [done[0]] * len(done)
        right = auth.LoginAdmin(email="budi@klinik.example", password=PASSWORD)
        assert (await authentication.login_admin(right, NOBODY)).user.id == "staff"


async def test_a_refused_card_takes_the_same_work_for_known_and_unknown_patients(tmp_path: Path) -> None:
    async with service(tmp_path) as (authentication, work):
        done = []
        for nik in (KNOWN, STAFF, STRANGER, STRANGER[:-1] + "9", "1"):
            for nama, born in (("BUDI", "01-01-1990"), ("SITI", "02-01-1990"), ("SITI", "01-01-1900")):
                with pytest.raises(Unauthenticated):
                    await authentication.login_user(auth.LoginUser(nik=nik, nama=nama, tgl_lahir=born), NOBODY)
                done.append(work.taken())
        assert len(done[0][0]) == 2
        assert done == [done[0]] * len(done)
        right = auth.LoginUser(nik=KNOWN, nama="Siti", tgl_lahir="01-01-1990")
        assert (await authentication.login_user(right, NOBODY)).user.id == "patient"


def test_checking_against_no_password_takes_as_long_as_against_a_stored_one() -> None:
    from mediq.actors.users import passwords

    stored = argon2.extract_parameters(hash_password(PASSWORD))
    assert argon2.extract_parameters(passwords._NO_PASSWORD) == stored
    assert (stored.type, stored.memory_cost, stored.time_cost) == (argon2.Type.ID, 19_456, 2), "OWASP's minimum"

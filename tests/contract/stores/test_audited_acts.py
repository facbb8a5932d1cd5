"""What is done and what the trail says was done: always both or neither, on every SQL database."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncEngine

from mediq.actors.users.credentials import CredentialStore
from mediq.actors.users.sessions import Session, SessionStore
from mediq.actors.users.setup_tokens import SetupStore
from mediq.actors.users.user import User
from mediq.actors.users.users import UserStore
from mediq.messages.audit_entry import AuditEntry
from mediq.messages.errors import Conflict, DomainError, Unauthenticated
from mediq.stores.audit_trail import AuditTrail
from mediq.stores.database import reading
from mediq.stores.tables import metadata
from tests.fixtures.stores.backends import NOW, a_user, an_admin

ACT = AuditEntry(
    at=NOW, actor="admin-1", role="ADMIN_FASKES", action="test.act", subject="user-1", why="uji", ref="r-1"
)
ADMIN, OTHER, PATIENT = "admin-1", "admin-2", "user-1"


class Stores(NamedTuple):
    """All stores of one database."""

    engine: AsyncEngine
    users: UserStore
    credentials: CredentialStore
    sessions: SessionStore
    setup: SetupStore
    trail: AuditTrail

    async def everything(self) -> dict[str, list[Any]]:
        """Every row of every table but the trail's."""
        async with reading(self.engine) as connection:
            return {
                name: [tuple(row) for row in await connection.execute(select(table).order_by(*table.primary_key))]
                for name, table in metadata.tables.items()
                if name != "audit"
            }

    async def noted(self) -> list[AuditEntry]:
        return [entry for _, entry in await self.trail.before()]

    @contextmanager
    def without_trail(self) -> Iterator[None]:
        """The trail cannot be written while the block takes."""

        def fail(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if "INSERT INTO audit" in statement:
                raise RuntimeError("no trail")

        event.listen(self.engine.sync_engine, "before_cursor_execute", fail)
        try:
            yield
        finally:
            event.remove(self.engine.sync_engine, "before_cursor_execute", fail)


def a_session(user_id: str, role: str, name: str) -> Session:
    return Session(
        id=name,
        user_id=user_id,
        role=role,
        token_hash="hash",
        created_at=NOW,
        expires_at=NOW + timedelta(days=7),
        last_used_at=NOW,
    )


@pytest.fixture
async def stores(
    engine: AsyncEngine,
    users: UserStore,
    credentials: CredentialStore,
    sessions: SessionStore,
    setup_store: SetupStore,
    trail: AuditTrail,
) -> Stores:
    """A clinic with two administrators and a patient, all signed in, and nothing in the trail."""
    await users.create(an_admin(id=ADMIN), password_hash="hash")
    await users.create(an_admin("wakil@klinik.example", id=OTHER), password_hash="hash")
    await users.create(a_user(1, id=PATIENT), key="key-1")
    await sessions.open(a_session(ADMIN, "ADMIN_FASKES", "s-admin"))
    await sessions.open(a_session(PATIENT, "PASIEN", "s-patient"))
    return Stores(engine, users, credentials, sessions, setup_store, trail)


async def update(stores: Stores) -> None:
    patient = await stores.users.get(PATIENT)
    await stores.users.update(msgspec.structs.replace(patient, nama="NAMA BARU"), act=ACT)


async def reuse(stores: Stores) -> None:
    with pytest.raises(Unauthenticated):
        await stores.sessions.rotate("s-patient", "old", "new", NOW, NOW, reuse=ACT)


A_DEVICE = User(id="kiosk", nama="Kiosk lobi", role="KIOSK", created_at=NOW, updated_at=NOW)

Act = Callable[[Stores], Awaitable[object]]

DONE: dict[str, Act] = {
    "create": lambda stores: stores.users.create(a_user(2), key="key-2", act=ACT),
    "find or create": lambda stores: stores.users.find_or_create(a_user(2), key="key-2", act=ACT),
    "update": update,
    "another role": lambda stores: stores.users.set_role(PATIENT, "OPERATOR", act=ACT),
    "another password": lambda stores: stores.credentials.change(ADMIN, "two", act=ACT),
    "delete": lambda stores: stores.users.delete(PATIENT, act=ACT),
    "sign in": lambda stores: stores.sessions.open(a_session(ADMIN, "ADMIN_FASKES", "s-new"), act=ACT),
    "a first session": lambda stores: stores.sessions.open_for(
        A_DEVICE, a_session("kiosk", "KIOSK", "s-kiosk"), act=ACT
    ),
    "sign in over another": lambda stores: stores.sessions.open(
        a_session(ADMIN, "ADMIN_FASKES", "s-new"), former="s-patient", ended=ACT
    ),
    "sign out": lambda stores: stores.sessions.end("s-admin", act=ACT),
    "sign out everywhere": lambda stores: stores.sessions.end_all(ADMIN, act=ACT),
    "a token shown again": reuse,
}
NOT_DONE: dict[str, Act] = {
    "the same key": lambda stores: stores.users.create(a_user(1), key="key-1", act=ACT),
    "the same patient": lambda stores: stores.users.find_or_create(a_user(1), act=ACT),
    "a NIK that is taken": lambda stores: stores.users.create(a_user(1), act=ACT),
    "the same role": lambda stores: stores.users.set_role(PATIENT, "PASIEN", act=ACT),
    "a role of nobody": lambda stores: stores.users.set_role("nobody", "OPERATOR", act=ACT),
    "a password of nobody": lambda stores: stores.credentials.change("nobody", "two", act=ACT),
    "delete nobody": lambda stores: stores.users.delete("nobody", act=ACT),
    "sign in under another role": lambda stores: stores.sessions.open(a_session(ADMIN, "OPERATOR", "s-new"), act=ACT),
    "sign in over nobody, under another role": lambda stores: stores.sessions.open(
        a_session(ADMIN, "OPERATOR", "s-new"), former="s-patient", ended=ACT
    ),
    "end no session": lambda stores: stores.sessions.end("s-nobody", act=ACT),
    "end nobody's sessions": lambda stores: stores.sessions.end_all(OTHER, act=ACT),
    "exchange nobody's token": lambda stores: stores.sessions.rotate("s-nobody", "hash", "new", NOW, NOW, reuse=ACT),
}


@pytest.mark.parametrize("name", DONE)
async def test_every_act_is_recorded_with_its_write(stores: Stores, name: str) -> None:
    before = await stores.everything()
    await DONE[name](stores)
    assert await stores.everything() != before
    assert await stores.noted() == [ACT]


@pytest.mark.parametrize("name", DONE)
async def test_an_act_that_cannot_be_recorded_is_undone(stores: Stores, name: str) -> None:
    before = await stores.everything()
    with stores.without_trail(), pytest.raises(RuntimeError, match="no trail"):
        await DONE[name](stores)
    assert await stores.everything() == before
    assert await stores.noted() == []


@pytest.mark.parametrize("name", NOT_DONE)
async def test_an_act_that_changes_nothing_is_not_recorded(stores: Stores, name: str) -> None:
    before = await stores.everything()
    with suppress(DomainError):
        await NOT_DONE[name](stores)
    assert await stores.everything() == before
    assert await stores.noted() == []


async def test_finding_a_patient_under_a_new_key_is_not_recorded(stores: Stores) -> None:
    """A new key is remembered, so something is written; nothing is done to anybody."""
    found, created = await stores.users.find_or_create(a_user(1), key="key-2", act=ACT)
    assert (found.id, created) == (PATIENT, False)
    assert await stores.noted() == []


async def test_refreshing_a_session_is_not_recorded(stores: Stores) -> None:
    await stores.sessions.rotate("s-patient", "hash", "new", NOW, NOW + timedelta(days=7), reuse=ACT)
    assert await stores.noted() == []


async def test_creating_the_first_administrator_is_recorded(
    setup_store: SetupStore, users: UserStore, trail: AuditTrail
) -> None:
    await setup_store.issue("hash", NOW)
    await setup_store.redeem("hash", an_admin(), "argon2", act=ACT)
    with pytest.raises(Conflict):
        await setup_store.redeem("hash", an_admin("dua@klinik.example"), "argon2", act=ACT)
    assert [entry for _, entry in await trail.before()] == [ACT]


async def test_reuse_of_a_token_is_recorded_with_the_user(stores: Stores) -> None:
    with pytest.raises(Unauthenticated):
        await stores.sessions.rotate(
            "s-patient", "old", "new", NOW, NOW, reuse=msgspec.structs.replace(ACT, subject=None)
        )
    assert [entry.subject for entry in await stores.noted()] == [PATIENT]

"""The contract of the passwords, on every SQL database."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from mediq.actors.users.credentials import Credentials, CredentialStore
from mediq.actors.users.sessions import Session, SessionStore
from mediq.actors.users.user import User
from mediq.actors.users.users import UserStore
from mediq.messages.errors import Conflict, NotFound
from tests.fixtures.stores.backends import NOW, Clock, a_user, an_admin


@pytest.fixture
async def admin(users: UserStore) -> User:
    return await users.create(an_admin("Ani@Klinik.example"), password_hash="one")


async def signed_in(sessions: SessionStore, user: User, *names: str) -> None:
    for name in names:
        session = Session(
            id=name,
            user_id=user.id,
            role=user.role,
            token_hash="hash",
            created_at=NOW,
            expires_at=NOW + timedelta(days=7),
            last_used_at=NOW,
        )
        await sessions.open(session)


async def stored(credentials: CredentialStore, user: User) -> str | None:
    known = await credentials.of_user(user.id)
    return known.password_hash if known else None


async def test_a_user_record_never_holds_the_password_hash(
    users: UserStore, credentials: CredentialStore, admin: User
) -> None:
    assert b"one" not in msgspec.json.encode(await users.get(admin.id))
    wanted = Credentials(user_id=admin.id, password_hash="one", role="ADMIN_FASKES")
    assert await credentials.of_email("aNI@klinik.EXAMPLE") == wanted
    assert await credentials.of_user(admin.id) == wanted
    assert await credentials.of_email("nobody@klinik.example") is None
    assert await credentials.of_user("nobody") is None
    patient = await users.create(a_user(1, email="budi@klinik.example"))
    assert await credentials.of_email("budi@klinik.example") is None
    assert await credentials.of_user(patient.id) is None


async def test_a_new_password_ends_all_sessions_but_the_spared_one(
    users: UserStore, credentials: CredentialStore, sessions: SessionStore, admin: User, clock: Clock
) -> None:
    other = await users.create(an_admin("budi@klinik.example"))
    await signed_in(sessions, other, "other")
    await signed_in(sessions, admin, "here", "there")
    changed_at = clock.pass_(minutes=1)
    await credentials.change(admin.id, "two", spare="here")
    assert await stored(credentials, admin) == "two"
    assert (await users.get(admin.id)).updated_at == changed_at
    assert [await sessions.alive(name) for name in ("here", "there", "other")] == [True, False, True]
    await credentials.change(admin.id, "three")
    assert [await sessions.alive(name) for name in ("here", "other")] == [False, True]


async def test_a_repeated_key_changes_the_password_once(
    credentials: CredentialStore, sessions: SessionStore, admin: User, other_engine: AsyncEngine
) -> None:
    assert not await credentials.changed("key-1~a")
    elsewhere = CredentialStore(other_engine)
    await asyncio.gather(
        *((credentials, elsewhere)[n % 2].change(admin.id, f"two-{n}", key="key-1~a") for n in range(8))
    )
    assert (await stored(credentials, admin) or "").startswith("two-")
    assert await credentials.changed("key-1~a")
    await credentials.change(admin.id, "three")
    await signed_in(sessions, admin, "here")
    await credentials.change(admin.id, "two again", key="key-1~a")
    assert await stored(credentials, admin) == "three"
    assert await sessions.alive("here")
    for attempt in (credentials.change(admin.id, "four", key="key-1~b"), credentials.changed("key-1~b")):
        with pytest.raises(Conflict) as refused:
            await attempt
        assert refused.value.code == "key-reused"


async def test_a_user_without_an_email_gets_no_password(users: UserStore, credentials: CredentialStore) -> None:
    patient = await users.create(a_user(1))
    with pytest.raises(Conflict) as refused:
        await credentials.change(patient.id, "one")
    assert refused.value.code == "no-email"
    assert await stored(credentials, patient) is None
    with pytest.raises(NotFound):
        await credentials.change("nobody", "one")


async def test_rehashing_the_same_password_ends_no_session(
    credentials: CredentialStore, sessions: SessionStore, admin: User
) -> None:
    await signed_in(sessions, admin, "here")
    await credentials.rehash(admin.id, "one", "one again")
    assert await stored(credentials, admin) == "one again"
    assert await sessions.alive("here")


async def test_rehashing_does_not_restore_an_old_password(
    credentials: CredentialStore, admin: User, other_engine: AsyncEngine
) -> None:
    await credentials.change(admin.id, "two")
    await credentials.rehash(admin.id, "one", "one again")
    assert await stored(credentials, admin) == "two"
    elsewhere = CredentialStore(other_engine)
    await asyncio.gather(credentials.change(admin.id, "three"), elsewhere.rehash(admin.id, "two", "two again"))
    assert await stored(credentials, admin) == "three"

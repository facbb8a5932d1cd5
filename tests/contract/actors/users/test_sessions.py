"""The contract of the refresh sessions, on every SQL database."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from mediq.actors.users.credentials import CredentialStore
from mediq.actors.users.sessions import Session, SessionStore
from mediq.actors.users.user import User
from mediq.actors.users.users import UserStore
from mediq.messages.errors import Conflict, Unauthenticated
from tests.fixtures.stores.backends import NOW, a_user, an_admin

LATER = NOW + timedelta(minutes=15)
WEEK = NOW + timedelta(days=7)


@pytest.fixture
async def user(users: UserStore) -> User:
    return await users.create(a_user(1))


def a_session(user: User, name: str = "s1", **fields: object) -> Session:
    known: dict[str, object] = {
        "id": name,
        "user_id": user.id,
        "role": user.role,
        "token_hash": "hash-1",
        "created_at": NOW,
        "expires_at": WEEK,
        "last_used_at": NOW,
    }
    return Session(**known | fields)  # type: ignore[arg-type]


async def test_a_session_lives_until_it_is_ended(sessions: SessionStore, user: User) -> None:
    assert not await sessions.alive("s1")
    await sessions.open(a_session(user))
    assert await sessions.alive("s1")
    assert await sessions.end("s1")
    assert not await sessions.alive("s1")
    assert not await sessions.end("s1")


async def test_a_session_is_refused_if_its_user_is_gone_or_has_another_role(
    sessions: SessionStore, users: UserStore, user: User
) -> None:
    for session in (a_session(user, user_id="nobody"), a_session(user, role="ADMIN_FASKES")):
        with pytest.raises(Unauthenticated):
            await sessions.open(session)
    await users.delete(user.id)
    with pytest.raises(Unauthenticated):
        await sessions.open(a_session(user))


async def test_a_session_id_that_is_taken_is_refused(sessions: SessionStore, user: User) -> None:
    await sessions.open(a_session(user))
    with pytest.raises(Conflict):
        await sessions.open(a_session(user, token_hash="other"))
    assert (await sessions.rotate("s1", "hash-1", "hash-2", LATER, WEEK)).token_hash == "hash-2"


async def test_a_session_is_refused_if_the_password_was_changed_meanwhile(
    sessions: SessionStore, users: UserStore, credentials: CredentialStore
) -> None:
    admin = await users.create(an_admin(), password_hash="one")
    await sessions.open(a_session(admin), password_hash="one")
    await credentials.change(admin.id, "two")
    with pytest.raises(Unauthenticated) as refused:
        await sessions.open(a_session(admin, "s2"), password_hash="one")
    assert refused.value.code == "session-ended"
    assert not await sessions.alive("s1")
    assert not await sessions.alive("s2")


async def test_rotation_replaces_the_refresh_token(sessions: SessionStore, user: User) -> None:
    await sessions.open(a_session(user))
    longer = WEEK + timedelta(minutes=15)
    turned = await sessions.rotate("s1", "hash-1", "hash-2", LATER, longer)
    assert turned == a_session(user, token_hash="hash-2", last_used_at=LATER, expires_at=longer)
    assert await sessions.rotate("s1", "hash-2", "hash-3", LATER, longer)


async def test_a_used_token_ends_the_session(sessions: SessionStore, user: User) -> None:
    await sessions.open(a_session(user))
    await sessions.open(a_session(user, "s2"))
    await sessions.rotate("s1", "hash-1", "hash-2", LATER, WEEK)
    with pytest.raises(Unauthenticated) as refused:
        await sessions.rotate("s1", "hash-1", "hash-x", LATER, WEEK)
    assert refused.value.code == "token-reused"
    # Not even the token that was good a moment ago.
    with pytest.raises(Unauthenticated) as refused:
        await sessions.rotate("s1", "hash-2", "hash-3", LATER, WEEK)
    assert refused.value.code == "session-ended"
    assert await sessions.alive("s2")


async def test_an_expired_session_cannot_be_refreshed(sessions: SessionStore, user: User) -> None:
    await sessions.open(a_session(user))
    assert not await sessions.alive("s1", WEEK)
    assert await sessions.alive("s1", WEEK - timedelta(microseconds=1))
    with pytest.raises(Unauthenticated) as refused:
        await sessions.rotate("s1", "hash-1", "hash-2", WEEK, WEEK + timedelta(days=7))
    assert refused.value.code == "session-expired"
    assert not await sessions.alive("s1")


async def test_an_unknown_session_cannot_be_refreshed(sessions: SessionStore) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await sessions.rotate("s1", "hash-1", "hash-2", NOW, WEEK)
    assert refused.value.code == "session-ended"


async def test_of_many_rotations_with_one_token_one_succeeds(
    sessions: SessionStore, other_engine: AsyncEngine, user: User
) -> None:
    elsewhere = SessionStore(other_engine)
    await sessions.open(a_session(user))
    answers = await asyncio.gather(
        *((sessions, elsewhere)[n % 2].rotate("s1", "hash-1", f"new-{n}", LATER, WEEK) for n in range(20)),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, Session) for answer in answers) == 1
    reasons = [answer.code for answer in answers if isinstance(answer, Unauthenticated)]
    assert sorted(reasons) == ["session-ended"] * 18 + ["token-reused"]
    assert not await sessions.alive("s1")


async def test_all_sessions_of_one_user_end(sessions: SessionStore, users: UserStore, user: User) -> None:
    other = await users.create(a_user(2))
    for name in ("s1", "s2"):
        await sessions.open(a_session(user, name))
    await sessions.open(a_session(other, "s3"))
    assert await sessions.end_all(user.id) == 2
    assert await sessions.end_all(user.id) == 0
    assert await sessions.alive("s3")


async def test_purge_removes_what_expired(sessions: SessionStore, user: User) -> None:
    await sessions.open(a_session(user, "old", expires_at=LATER))
    await sessions.open(a_session(user, "new"))
    assert await sessions.purge(LATER) == 1
    assert not await sessions.alive("old")
    assert await sessions.alive("new")

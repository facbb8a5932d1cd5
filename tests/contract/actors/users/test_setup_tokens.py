"""The contract of the one-time set-up token, on every SQL database."""

import asyncio

import pytest
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from mediq.actors.users.credentials import CredentialStore
from mediq.actors.users.setup_tokens import SetupStore
from mediq.actors.users.user import User
from mediq.actors.users.users import UserStore
from mediq.messages.errors import Conflict, Unauthenticated
from mediq.stores.database import ping, reading, writing
from mediq.stores.tables import setup_tokens
from tests.fixtures.stores.backends import NOW, a_user, an_admin


async def stored_tokens(engine: AsyncEngine) -> int:
    async with reading(engine) as connection:
        return len((await connection.execute(select(setup_tokens.c.id))).all())


async def test_the_token_makes_the_first_admin_once(
    setup_store: SetupStore, users: UserStore, credentials: CredentialStore, engine: AsyncEngine
) -> None:
    await setup_store.issue("hash", NOW)
    admin = await setup_store.redeem("hash", an_admin(role="PASIEN"), "argon2")
    assert admin.role == "ADMIN_FASKES"
    assert await users.get(admin.id) == admin
    assert admin.email is not None
    known = await credentials.of_email(admin.email)
    assert known is not None
    assert (known.password_hash, known.role) == ("argon2", "ADMIN_FASKES")
    assert await stored_tokens(engine) == 0
    with pytest.raises(Conflict) as refused:
        await setup_store.redeem("hash", an_admin("two@klinik.example"), "argon2")
    assert refused.value.code == "already-set-up"
    with pytest.raises(Conflict):
        await setup_store.issue("hash", NOW)
    assert await users.count_admins() == 1


async def test_processes_that_start_together_can_all_issue_a_token(
    setup_store: SetupStore, engine: AsyncEngine
) -> None:
    await asyncio.gather(*(ping(engine) for _ in range(2)))  # connected, so that they meet
    for _ in range(10):
        async with writing(engine) as connection:
            await connection.execute(delete(setup_tokens))
        await asyncio.gather(*(setup_store.issue(f"hash-{n}", NOW) for n in range(2)))
        assert await stored_tokens(engine) == 1


async def test_an_older_token_is_refused(setup_store: SetupStore, users: UserStore) -> None:
    with pytest.raises(Unauthenticated):
        await setup_store.redeem("hash", an_admin(), "argon2")
    await setup_store.issue("old", NOW)
    await setup_store.issue("new", NOW)
    for wrong in ("old", "", "NEW"):
        with pytest.raises(Unauthenticated) as refused:
            await setup_store.redeem(wrong, an_admin(), "argon2")
        assert refused.value.code == "setup-token-unknown"
    assert await users.count_admins() == 0
    await setup_store.redeem("new", an_admin(), "argon2")


async def test_a_token_is_refused_once_there_is_an_administrator(setup_store: SetupStore, users: UserStore) -> None:
    await setup_store.issue("hash", NOW)
    await users.create(an_admin())
    with pytest.raises(Conflict) as refused:
        await setup_store.redeem("hash", an_admin("two@klinik.example"), "argon2")
    assert refused.value.code == "already-set-up"


async def test_a_refused_admin_does_not_use_up_the_token(setup_store: SetupStore, users: UserStore) -> None:
    await users.create(a_user(1, email="ani@klinik.example"))
    await setup_store.issue("hash", NOW)
    with pytest.raises(Conflict) as refused:
        await setup_store.redeem("hash", an_admin("ANI@klinik.example"), "argon2")
    assert refused.value.code == "email-taken"
    await setup_store.redeem("hash", an_admin(), "argon2")


async def test_of_many_redemptions_at_once_one_succeeds(
    setup_store: SetupStore, users: UserStore, other_engine: AsyncEngine
) -> None:
    elsewhere = SetupStore(other_engine)
    await setup_store.issue("hash", NOW)
    answers = await asyncio.gather(
        *(
            (setup_store, elsewhere)[n % 2].redeem("hash", an_admin(f"a{n}@klinik.example"), "argon2")
            for n in range(10)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, User) for answer in answers) == 1
    assert {a.code for a in answers if isinstance(a, Conflict)} == {"already-set-up"}
    assert await users.count_admins() == 1

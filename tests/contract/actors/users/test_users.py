"""The contract of the user store, on every SQL database."""

import asyncio
from datetime import timedelta, timezone
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from mediq.actors.users.credentials import CredentialStore
from mediq.actors.users.sessions import Session, SessionStore
from mediq.actors.users.users import UserStore
from mediq.domain.card import FIELDS
from mediq.messages.errors import Conflict, Invalid, NotFound
from tests.fixtures.stores.backends import NOW, Clock, a_user, an_admin


def a_session(user_id: str, role: str, name: str = "s1") -> Session:
    return Session(
        id=name,
        user_id=user_id,
        role=role,
        token_hash="hash",
        created_at=NOW,
        expires_at=NOW + timedelta(days=7),
        last_used_at=NOW,
    )


async def test_a_created_user_is_read_back_with_every_field(users: UserStore) -> None:
    jakarta = timezone(timedelta(hours=7))
    printed: dict[str, Any] = {name: f"nilai {name}" for name in FIELDS if name != "nik"}
    user = a_user(email="Siti@Contoh.id", created_at=NOW.astimezone(jakarta), **printed)
    assert await users.create(user) == user
    found = await users.get(user.id)
    assert found == user
    assert found.created_at == NOW
    assert found.created_at.tzinfo is not None
    assert user.nik is not None
    assert await users.by_nik(user.nik) == user


async def test_an_unknown_user_is_not_found(users: UserStore) -> None:
    with pytest.raises(NotFound):
        await users.get("nobody")
    assert await users.by_nik("3173010000000001") is None
    for change in (
        users.update(a_user()),
        users.set_role("nobody", "OPERATOR"),
        users.delete("nobody"),
    ):
        with pytest.raises(NotFound):
            await change


async def test_several_users_are_found_in_one_call(users: UserStore) -> None:
    first, second, _ = [await users.create(a_user(n)) for n in (1, 2, 3)]
    found = await users.find([second.id, "nobody", first.id])
    assert sorted(found, key=lambda user: user.id) == sorted([first, second], key=lambda user: user.id)
    assert await users.find([]) == []


async def test_a_nik_belongs_to_one(users: UserStore) -> None:
    first = await users.create(a_user(1))
    with pytest.raises(Conflict) as refused:
        await users.create(a_user(1))
    assert refused.value.code == "nik-taken"
    assert [error.field for error in refused.value.errors] == ["nik"]
    assert await users.page() == ([first], 1)


@pytest.mark.parametrize("email", ["ani@klinik.example", "ANI@Klinik.Example", " ani@klinik.example "])
async def test_an_email_in_any_case_belongs_to_one_user(users: UserStore, email: str) -> None:
    await users.create(a_user(1, email="Ani@klinik.example"))
    with pytest.raises(Conflict) as refused:
        await users.create(a_user(2, email=email))
    assert refused.value.code == "email-taken"
    assert [error.field for error in refused.value.errors] == ["email"]


async def test_emails_and_names_that_differ_in_accents_are_different(users: UserStore) -> None:
    await users.create(a_user(1, email="andre@klinik.example"))
    other = await users.create(a_user(2, email="andré@klinik.example"))
    assert (await users.get(other.id)).email == "andré@klinik.example"


async def test_many_may_have_neither_nik_nor_email(users: UserStore) -> None:
    for _ in range(3):
        await users.create(a_user(nik=None))
    assert (await users.page())[1] == 3


async def test_an_id_that_is_taken_is_refused(users: UserStore) -> None:
    user = await users.create(a_user(1))
    with pytest.raises(Conflict) as refused:
        await users.create(a_user(2, id=user.id))
    assert refused.value.code == "id-taken"


@pytest.mark.parametrize(("field", "value"), [("alamat", "J" * 256), ("nik", "3" * 17), ("nama", "N" * 256)])
async def test_a_field_too_long_is_refused_by_name(users: UserStore, field: str, value: str) -> None:
    too_long = a_user(1, **{field: value})
    for attempt in (users.create(too_long), users.find_or_create(too_long), users.update(too_long)):
        with pytest.raises(Invalid) as refused:
            await attempt
        assert [error.field for error in refused.value.errors] == [field]
    assert await users.page() == ([], 0)


async def test_a_repeated_key_creates_one_user(users: UserStore) -> None:
    first = await users.create(a_user(1), key="job-1")
    assert await users.create(a_user(1), key="job-1") == first
    assert await users.create(a_user(2), key="job-1") == first
    assert await users.find_or_create(a_user(3), key="job-1") == (first, True)
    assert (await users.page())[1] == 1


async def test_a_key_used_for_another_request_is_refused(users: UserStore) -> None:
    first = await users.create(a_user(1), key="job-1~a")
    assert await users.create(a_user(1), key="job-1~a") == first
    for other in (users.create(a_user(2), key="job-1~b"), users.find_or_create(a_user(1), key="job-1~b")):
        with pytest.raises(Conflict) as refused:
            await other
        assert refused.value.code == "key-reused"
    assert await users.page() == ([first], 1)


async def test_a_repeated_key_changes_the_role_once(users: UserStore) -> None:
    user = await users.create(a_user(1))
    assert (await users.set_role(user.id, "OPERATOR", key="give~a")).role == "OPERATOR"
    assert (await users.set_role(user.id, "PASIEN")).role == "PASIEN"
    assert (await users.set_role(user.id, "OPERATOR", key="give~a")).role == "PASIEN", "answered long ago"
    with pytest.raises(Conflict) as refused:
        await users.set_role(user.id, "ADMIN_FASKES", key="give~b")
    assert refused.value.code == "key-reused"


async def test_one_key_used_for_two_users_at_once_counts_for_one(users: UserStore, other_engine: AsyncEngine) -> None:
    elsewhere = UserStore(other_engine)
    people = [await users.create(a_user(n)) for n in range(2)]
    answers = await asyncio.gather(
        *((users, elsewhere)[n % 2].set_role(people[n % 2].id, "OPERATOR", key=f"give~{n % 2}") for n in range(20)),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, Conflict)]
    assert {answer.code for answer in refused} == {"key-reused"}
    given = {answer.id for answer in answers if not isinstance(answer, BaseException)}
    assert len(given) == 1
    assert len(refused) == 10


async def test_a_refused_creation_leaves_its_key_unused(users: UserStore) -> None:
    await users.create(a_user(1))
    with pytest.raises(Conflict):
        await users.create(a_user(1), key="job-1")
    assert (await users.create(a_user(2), key="job-1")).nama == "PASIEN 2"


async def test_a_repeated_key_does_not_restore_a_deleted_user(users: UserStore) -> None:
    user = await users.create(a_user(1), key="job-1")
    await users.delete(user.id)
    with pytest.raises(NotFound) as refused:
        await users.create(a_user(1), key="job-1")
    assert refused.value.code == "user-deleted"
    assert (await users.create(a_user(1), key="job-2")).nik == user.nik


async def test_old_keys_are_deleted(users: UserStore, clock: Clock) -> None:
    await users.create(a_user(1), key="job-1")
    assert await users.forget_keys(clock.now) == 0
    assert await users.forget_keys(clock.pass_(seconds=1)) == 1
    assert (await users.create(a_user(2), key="job-1")).nama == "PASIEN 2"


async def test_a_returning_patient_is_found_unchanged(users: UserStore) -> None:
    first, created = await users.find_or_create(a_user(1), key="job-1")
    assert created
    again, created = await users.find_or_create(a_user(1, nama="SALAH BACA"), key="job-2")
    assert (again, created) == (first, False)
    # The same requests once more get the same answers.
    assert await users.find_or_create(a_user(1), key="job-1") == (first, True)
    assert await users.find_or_create(a_user(1), key="job-2") == (first, False)


async def test_a_new_patient_with_the_email_of_another_user_is_refused(users: UserStore) -> None:
    await users.create(a_user(1, email="ani@klinik.example"))
    with pytest.raises(Conflict) as refused:
        await users.find_or_create(a_user(2, email="ani@klinik.example"))
    assert refused.value.code == "email-taken"


async def test_many_registrations_of_one_card_at_once_add_one_user(
    users: UserStore, other_engine: AsyncEngine, clock: Clock
) -> None:
    elsewhere = UserStore(other_engine, clock=clock)
    answers = await asyncio.gather(
        *((users, elsewhere)[n % 2].find_or_create(a_user(7), key=f"job-{n}") for n in range(60))
    )
    assert len({user.id for user, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1
    assert (await users.page())[1] == 1


async def test_of_many_creations_with_one_nik_one_succeeds_and_the_others_are_refused(
    users: UserStore, other_engine: AsyncEngine
) -> None:
    elsewhere = UserStore(other_engine)
    answers = await asyncio.gather(
        *((users, elsewhere)[n % 2].create(a_user(7)) for n in range(40)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, Conflict)]
    assert len(refused) == 39
    assert {conflict.code for conflict in refused} == {"nik-taken"}


async def test_many_creations_with_one_key_at_once_add_one_user(users: UserStore, other_engine: AsyncEngine) -> None:
    elsewhere = UserStore(other_engine)
    answers = await asyncio.gather(*((users, elsewhere)[n % 2].create(a_user(n), key="job-1") for n in range(40)))
    assert len({user.id for user in answers}) == 1
    assert (await users.page())[1] == 1


async def test_pages_together_hold_every_user_oldest_first(users: UserStore) -> None:
    made = [await users.create(a_user(n, created_at=NOW + timedelta(seconds=n // 2))) for n in range(25)]
    pages = [await users.page(page=page, limit=10) for page in (1, 2, 3, 4)]
    assert [total for _, total in pages] == [25] * 4
    assert [len(found) for found, _ in pages] == [10, 10, 5, 0]
    seen = [user for found, _ in pages for user in found]
    assert seen == sorted(made, key=lambda user: (user.created_at, user.id))


async def test_pages_can_be_limited_to_a_role(users: UserStore) -> None:
    await users.create(a_user(1))
    admin = await users.create(an_admin())
    assert await users.page(role="ADMIN_FASKES") == ([admin], 1)
    assert (await users.page(role="PASIEN", search="kepala"))[1] == 0


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("siti", {"SITI RAHAYU"}),
        ("SiTi", {"SITI RAHAYU"}),
        (" rahayu ", {"SITI RAHAYU"}),
        ("0000000002", {"ÉMILE 100%"}),
        ("émile", {"ÉMILE 100%"}),
        ("100%", {"ÉMILE 100%"}),
        ("%", {"ÉMILE 100%"}),
        ("_", {"A_B"}),
        ("/", {"C/D"}),
        ("\\", set()),
        ("siti@", {"SITI RAHAYU"}),
        ("", {"SITI RAHAYU", "ÉMILE 100%", "A_B", "C/D"}),
        ("' OR 1=1 --", set()),
    ],
)
async def test_search_finds_parts_of_name_nik_and_email_in_any_case(
    users: UserStore, search: str, found: set[str]
) -> None:
    await users.create(a_user(1, nama="SITI RAHAYU", email="siti@contoh.id"))
    await users.create(a_user(2, nama="ÉMILE 100%"))
    await users.create(a_user(3, nama="A_B"))
    await users.create(a_user(4, nama="C/D"))
    users_found, total = await users.page(search=search)
    assert {user.nama for user in users_found} == found
    assert total == len(found)


async def test_search_finds_a_user_by_changed_fields(users: UserStore) -> None:
    user = await users.create(a_user(1, nama="LAMA"))
    await users.update(msgspec.structs.replace(user, nama="BARU"))
    assert (await users.page(search="lama"))[1] == 0
    assert (await users.page(search="baru"))[1] == 1


async def test_an_update_keeps_role_password_and_creation_date(
    users: UserStore, credentials: CredentialStore, clock: Clock
) -> None:
    user = await users.create(an_admin("ani@klinik.example"), password_hash="hash")
    later = clock.pass_(minutes=1)
    changed = await users.update(
        msgspec.structs.replace(
            user, nama="ANI", email="Ani2@klinik.example", agama="ISLAM", role="PASIEN", created_at=later
        )
    )
    wanted = msgspec.structs.replace(user, nama="ANI", email="Ani2@klinik.example", agama="ISLAM", updated_at=later)
    assert changed == wanted
    assert await users.get(user.id) == wanted
    assert await credentials.of_email("ani@klinik.example") is None
    known = await credentials.of_email("ani2@klinik.example")
    assert known is not None
    assert (known.password_hash, known.role) == ("hash", "ADMIN_FASKES")


async def test_an_update_takes_nobodys_nik_or_email(users: UserStore) -> None:
    await users.create(a_user(1, email="ani@klinik.example"))
    user = await users.create(a_user(2))
    for change, reason in (
        ({"nik": a_user(1).nik}, "nik-taken"),
        ({"email": "ANI@klinik.example"}, "email-taken"),
    ):
        with pytest.raises(Conflict) as refused:
            await users.update(msgspec.structs.replace(user, **change))
        assert refused.value.code == reason
    assert await users.get(user.id) == user


async def test_a_new_role_ends_the_sessions_of_the_user(users: UserStore, sessions: SessionStore, clock: Clock) -> None:
    user = await users.create(a_user(1, role="OPERATOR"))
    await sessions.open(a_session(user.id, "OPERATOR"))
    clock.pass_(minutes=1)
    assert await users.set_role(user.id, "OPERATOR") == user
    assert await sessions.alive("s1")
    changed = await users.set_role(user.id, "PASIEN")
    assert (changed.role, changed.updated_at) == ("PASIEN", clock.now)
    assert not await sessions.alive("s1")


async def test_deleting_a_user_ends_the_sessions(users: UserStore, sessions: SessionStore) -> None:
    user = await users.create(a_user(1))
    await sessions.open(a_session(user.id, "PASIEN"))
    await users.delete(user.id)
    assert not await sessions.alive("s1")
    with pytest.raises(NotFound):
        await users.get(user.id)


async def test_the_last_admin_can_be_neither_deleted_nor_demoted(users: UserStore, sessions: SessionStore) -> None:
    admin = await users.create(an_admin())
    await sessions.open(a_session(admin.id, admin.role))
    for attempt in (users.delete(admin.id), users.set_role(admin.id, "OPERATOR")):
        with pytest.raises(Conflict) as refused:
            await attempt
        assert refused.value.code == "last-admin"
    assert await users.get(admin.id) == admin
    assert await sessions.alive("s1")
    assert await users.count_admins() == 1


async def test_two_admins_who_delete_each_other_at_once_leave_one(users: UserStore, other_engine: AsyncEngine) -> None:
    elsewhere = UserStore(other_engine)
    for round_ in range(10):
        one = await users.create(an_admin(f"one{round_}@klinik.example"))
        two = await users.create(an_admin(f"two{round_}@klinik.example"))
        for admin in (await users.page(role="ADMIN_FASKES"))[0]:
            if admin.id not in (one.id, two.id):
                await users.delete(admin.id)
        await asyncio.gather(users.delete(one.id), elsewhere.set_role(two.id, "OPERATOR"), return_exceptions=True)
        assert await users.count_admins() == 1


async def test_a_repeated_key_deletes_once(users: UserStore) -> None:
    gone, other = await users.create(a_user(1)), await users.create(a_user(2))
    await users.delete(gone.id, key="hapus~one")
    await users.delete(gone.id, key="hapus~one")
    with pytest.raises(Conflict) as refused:
        await users.delete(other.id, key="hapus~two")
    assert refused.value.code == "key-reused"
    assert await users.get(other.id) == other

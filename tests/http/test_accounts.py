"""Accounts: password changes and resets, sessions that end, refusals that do not tell which accounts exist."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fixtures.application import ADMIN, GENEROUS, Application, made_with_admin, running
from tests.fixtures.client import PASSWORD, Client, Reply, client_at
from tests.fixtures.visitors import new_nik

FRESH = "kata-sandi-yang-baru"


async def signs_in(client: Client, email: str, password: str) -> bool:
    reply = await client.post("/auth/login/admin", {"email": email, "password": password})
    assert reply.status in (200, 401), reply
    return reply.status == 200


async def goes_on(*clients: Client) -> list[bool]:
    """For each client, whether its access token and its refresh token are still valid."""
    found = []
    for client in clients:
        asked = await client.get("/users/profile")
        if asked.status == 200:
            found.append(True)
            continue
        assert (asked.status, asked.problem) == (401, "session-ended")
        refreshed = await client.refresh()
        assert (refreshed.status, refreshed.problem) == (401, "session-ended")
        found.append(False)
    return found


class TestChangingOnesPassword:
    async def test_ends_all_other_sessions(self, admin: Client) -> None:
        mail = "ganti@klinik.example"
        here = await admin.hire(mail)
        there = await here.sign_in(mail, PASSWORD)
        assert await goes_on(here, there) == [True, True]  # so the gateway believes both for a while
        changed = await here.patch("/users/password", {"current_password": PASSWORD, "new_password": FRESH})
        assert (changed.status, changed.body) == (200, {"done": True})
        assert await goes_on(here, there) == [True, False]
        assert not await signs_in(here, mail, PASSWORD)
        assert await signs_in(here, mail, FRESH)
        assert (await here.refresh()).status == 200

    async def test_needs_the_present_one(self, admin: Client) -> None:
        mail = "salah@klinik.example"
        here = await admin.hire(mail)
        there = await here.sign_in(mail, PASSWORD)
        refused = await here.patch("/users/password", {"current_password": FRESH, "new_password": FRESH})
        assert (refused.status, refused.problem, refused.fields) == (422, "password-wrong", ["current_password"])
        assert await goes_on(here, there) == [True, True]
        assert await signs_in(here, mail, PASSWORD)

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"new_password": FRESH}, "current_password"),
            ({"current_password": PASSWORD}, "new_password"),
            ({"current_password": PASSWORD, "new_password": "pendek"}, "new_password"),
            ({"current_password": PASSWORD, "new_password": "x" * 257}, "new_password"),
        ],
    )
    async def test_an_invalid_change_is_refused(self, admin: Client, body: dict[str, str], field: str) -> None:
        refused = await admin.patch("/users/password", body)
        assert (refused.status, refused.fields) == (422, [field])

    async def test_a_repeated_request_under_one_key_is_done_once(self, admin: Client) -> None:
        mail = "sekali-saja@klinik.example"
        here = await admin.hire(mail)
        body, key = {"current_password": PASSWORD, "new_password": FRESH}, {"Idempotency-Key": "ganti-1"}
        for _ in range(2):
            changed = await here.patch("/users/password", body, headers=key)
            assert (changed.status, changed.body) == (200, {"done": True})
        assert (await here.patch("/users/password", body)).problem == "password-wrong"
        refused = await here.patch("/users/password", body | {"new_password": f"{FRESH}-lain"}, headers=key)
        assert (refused.status, refused.problem) == (409, "key-reused")
        assert await signs_in(here, mail, FRESH)

    async def test_users_without_a_password_are_refused(self, admin: Client) -> None:
        nik = new_nik()
        await admin.register(nik, "SITI")
        patient = await admin.sign_in_patient(nik, "SITI")
        refused = await patient.patch("/users/password", {"current_password": "x", "new_password": FRESH})
        assert (refused.status, refused.problem) == (403, "no-password")


class TestAnAdministratorsReset:
    async def test_a_late_repetition_changes_nothing_back(self, admin: Client) -> None:
        mail = "terlambat@klinik.example"
        someone = await admin.hire(mail)
        path, key = f"/users/{someone.id}/password", {"Idempotency-Key": "atur-1"}
        assert (await admin.patch(path, {"new_password": FRESH}, headers=key)).status == 200
        again = await admin.sign_in(mail, FRESH)
        change = {"current_password": FRESH, "new_password": f"{FRESH}-lain"}
        assert (await again.patch("/users/password", change)).status == 200
        assert (await admin.patch(path, {"new_password": FRESH}, headers=key)).status == 200
        assert await goes_on(again) == [True]
        assert await signs_in(admin, mail, f"{FRESH}-lain")

    async def test_ends_all_sessions_of_that_user(self, admin: Client) -> None:
        mail = "lupa@klinik.example"
        here = await admin.hire(mail)
        there = await here.sign_in(mail, PASSWORD)
        other = await admin.hire("ingat@klinik.example")
        assert await goes_on(here, there, other) == [True, True, True]
        assert (await admin.patch(f"/users/{here.id}/password", {"new_password": FRESH})).status == 200
        assert await goes_on(here, there, other, admin) == [False, False, True, True]
        assert not await signs_in(here, mail, PASSWORD)
        assert await signs_in(here, mail, FRESH)

    async def test_is_for_others_alone(self, admin: Client) -> None:
        """An open browser is not enough to lock an administrator out: their own change needs the current password."""
        refused = await admin.patch(f"/users/{admin.id}/password", {"new_password": FRESH})
        assert (refused.status, refused.problem) == (409, "own-password")
        assert await signs_in(admin, *ADMIN)

    async def test_a_user_without_an_email_address_gets_no_password(self, admin: Client) -> None:
        patient = await admin.register(new_nik())
        refused = await admin.patch(f"/users/{patient}/password", {"new_password": FRESH})
        assert (refused.status, refused.problem) == (409, "no-email")
        refused = await admin.patch("/users/nobody/password", {"new_password": FRESH})
        assert (refused.status, refused.problem) == (404, "user-not-found")


async def test_signing_out_everywhere_ends_every_session(admin: Client) -> None:
    mail = "dimana-mana@klinik.example"
    clients = [await admin.hire(mail)]
    clients += [await clients[0].sign_in(mail, PASSWORD) for _ in range(2)]
    assert await goes_on(*clients, admin) == [True, True, True, True]
    async with clients[1].events("/events/operator") as stream:
        assert (await clients[0].post("/auth/logout-all")).status == 200
        while await stream.next() is not None:
            continue  # until it is ended
    assert await goes_on(*clients, admin) == [False, False, False, True]
    assert (await clients[0].post("/auth/logout-all")).status == 401
    assert await goes_on(await admin.sign_in(mail, PASSWORD)) == [True]


async def test_a_sign_in_during_a_password_change_ends_with_it(admin: Client) -> None:
    """A session that began with the old password has ended when the change is answered."""
    mail = "berlomba@klinik.example"
    here = await admin.hire(mail)
    old = PASSWORD
    for n in range(5):
        fresh = f"{FRESH}-{n}"
        credentials = {"email": mail, "password": old}
        body = {"current_password": old, "new_password": fresh}
        *attempts, changed = await asyncio.gather(
            *(here.post("/auth/login/admin", credentials) for _ in range(6)), here.patch("/users/password", body)
        )
        assert changed.status == 200
        inside = [Client(here.http, attempt.body) for attempt in attempts if attempt.status == 200]
        assert await goes_on(*inside) == [False] * len(inside)
        assert await goes_on(here) == [True]
        old = fresh


# --- who is known ---


def seen(reply: Reply) -> tuple[int, dict[str, Any], list[str]]:
    """What a response tells a stranger, without the parts that differ between any two responses."""
    passing = {"x-request-id", "date", "ratelimit-remaining", "ratelimit-reset"}
    headers = sorted(f"{name}: {value}" for name, value in reply.headers.items() if name.lower() not in passing)
    return reply.status, {name: value for name, value in reply.body.items() if name != "request_id"}, headers


async def test_refused_sign_ins_look_alike_for_every_account(admin: Client) -> None:
    nik = new_nik()
    without = {"nama": "SITI", "nik": nik, "email": "tanpa@klinik.example"}
    assert (await admin.post("/users", without)).status == 201
    stranger = Client(admin.http)
    refusals = [
        await stranger.post("/auth/login/admin", {"email": email, "password": "salah-sama-sekali"})
        for email in (ADMIN[0], ADMIN[0].upper(), "tanpa@klinik.example", "siapa@klinik.example")
    ]
    assert refusals[0].problem == "credentials-wrong"
    assert [seen(refusal) for refusal in refusals] == [seen(refusals[0])] * len(refusals)


async def test_a_refused_patient_learns_nothing(admin: Client) -> None:
    known, staff = new_nik(), new_nik()
    await admin.post("/users", {"nik": known, "nama": "SITI", "tgl_lahir": "01-02-1990"})
    hired = {"nama": "BUDI", "nik": staff, "email": "nik@klinik.example", "password": PASSWORD, "role": "OPERATOR"}
    assert (await admin.post("/users", hired)).status == 201
    stranger = Client(admin.http)
    refusals = [
        await stranger.post("/auth/login/user", body)
        for body in (
            {"nik": known, "nama": "BUDI"},
            {"nik": known, "nama": "SITI", "tgl_lahir": "02-02-1990"},
            {"nik": staff, "nama": "BUDI"},
            {"nik": new_nik(), "nama": "SITI"},
            {"nik": new_nik(), "nama": "SITI", "tgl_lahir": "01-02-1990"},
            {"nik": "1", "nama": "SITI"},
        )
    ]
    assert refusals[0].problem == "credentials-wrong"
    assert [seen(refusal) for refusal in refusals] == [seen(refusals[0])] * len(refusals)
    assert (await stranger.post("/auth/login/user", {"nik": known, "nama": "SITI"})).status == 200


# --- as a clinic may set it ---


class TestAStrictClinic:
    """Patients must give their date of birth; signing in is limited to ten times an hour."""

    @pytest.fixture(scope="class")
    @classmethod
    def strict(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
        base = tmp_path_factory.mktemp("strict")
        made_with_admin(base)
        limits = GENEROUS.replace("login_requests = 1000000", "login_requests = 10\nwindow_ms = 3600000")
        with running(base, f"{limits}\n[auth]\npatient_birth_date = true") as application:
            yield application

    async def test_patients_give_their_date_of_birth(self, strict: Application) -> None:
        async with client_at(strict) as client:
            await client.ready()
            admin = await client.sign_in()
            known, undated = new_nik(), new_nik()
            await admin.post("/users", {"nik": known, "nama": "SITI", "tgl_lahir": "01-02-1990"})
            await admin.post("/users", {"nik": undated, "nama": "SITI"})
            told = {"nik": known, "nama": "SITI"}
            missing = await client.post("/auth/login/user", told)
            assert (missing.status, missing.fields) == (422, ["tgl_lahir"])
            wrong = await client.post("/auth/login/user", told | {"tgl_lahir": "02-01-1990"})
            assert (wrong.status, wrong.problem) == (401, "credentials-wrong")
            nonsense = await client.post("/auth/login/user", told | {"tgl_lahir": "31-02-1990"})
            assert (nonsense.status, nonsense.fields) == (422, ["tgl_lahir"])
            right = await client.post("/auth/login/user", told | {"tgl_lahir": "01-02-1990"})
            assert (right.status, right.body["user"]["nik"]) == (200, known)

    async def test_guessing_the_current_password_is_throttled(self, strict: Application) -> None:
        async with client_at(strict) as client:
            await client.ready()
            admin = await client.sign_in()
            answers = [
                await admin.patch("/users/password", {"current_password": f"tebakan-{n}", "new_password": FRESH})
                for n in range(11)
            ]
            assert [answer.status for answer in answers] == [422] * 10 + [429]
            assert int(answers[-1].headers["Retry-After"]) >= 1
            # Not even the right one, now.
            right = {"current_password": ADMIN[1], "new_password": FRESH}
            assert (await admin.patch("/users/password", right)).status == 429
            assert (await admin.get("/users/profile")).status == 200, "everything else goes on"

"""Authentication: passwords, invalid tokens of every kind, ended sessions and changed roles."""

import asyncio
import base64
import json
import time
from typing import Any

import jwt
import pytest

from tests.fixtures.application import ADMIN, Application
from tests.fixtures.client import PASSWORD, Client
from tests.fixtures.visitors import new_nik


def claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def secrets_of(application: Application) -> dict[str, str]:
    """The application's secrets, created at its first start in its data folder."""
    file = application.folder / "secrets.json"
    assert file.stat().st_mode & 0o777 == 0o600
    return dict(json.loads(file.read_text()))


async def test_a_request_without_a_token_is_refused(client: Client) -> None:
    refused = await client.get("/users/profile")
    assert (refused.status, refused.problem) == (401, "unauthenticated")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "bearer x", "Bearer " + "x" * 5000, "Token abc"]
)
async def test_an_invalid_token_is_refused(client: Client, header: str) -> None:
    refused = await client.get("/users/profile", headers={"Authorization": header})
    assert (refused.status, refused.problem) == (401, "token-invalid")
    # Where no token is needed, a wrong one is still told.
    assert (await client.get("/", headers={"Authorization": header})).status == 401


async def test_a_forged_token(admin: Client) -> None:
    real = claims(admin.tokens["access_token"])
    header, _, signature = admin.tokens["access_token"].split(".")
    unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(json.dumps(real | {"sub": "someone-else"}).encode()).rstrip(b"=").decode()
    for forged in (
        jwt.encode(real, "another secret that is long enough to sign"),
        f"{unsigned}.{body}.",
        f"{header}.{body}.{signature}",
        jwt.encode({}, "another secret that is long enough to sign"),
    ):
        refused = await admin.showing(forged).get("/users/profile")
        assert (refused.status, refused.problem) == (401, "token-invalid")


async def test_an_expired_access_token_is_refused(admin: Client, application: Application) -> None:
    now = int(time.time())
    stale = claims(admin.tokens["access_token"]) | {"iat": now - 1000, "exp": now - 1}
    refused = await admin.showing(jwt.encode(stale, secrets_of(application)["jwt_secret"])).get("/users/profile")
    assert (refused.status, refused.problem) == (401, "token-expired")
    fresh = stale | {"exp": now + 60}
    allowed = await admin.showing(jwt.encode(fresh, secrets_of(application)["jwt_secret"])).get("/users/profile")
    assert allowed.status == 200, "the same token in its time is good"


async def test_a_well_signed_token_with_invalid_claims_is_refused(admin: Client, application: Application) -> None:
    secret = secrets_of(application)["jwt_secret"]
    real = claims(admin.tokens["access_token"])
    for wrong in ({"role": "DOKTER"}, {"sub": 17}, {"sid": None}, {"role": ["PASIEN"]}):
        refused = await admin.showing(jwt.encode(real | wrong, secret)).get("/users/profile")
        assert (refused.status, refused.problem) == (401, "token-invalid"), wrong
    gone = jwt.encode(real | {"sid": "no-such-session"}, secret)
    refused = await admin.showing(gone).get("/users/profile")
    assert (refused.status, refused.problem) == (401, "session-ended")


async def test_an_expired_refresh_token_is_refused(admin: Client, application: Application) -> None:
    stale = claims(admin.tokens["refresh_token"]) | {"exp": int(time.time()) - 1}
    token = jwt.encode(stale, secrets_of(application)["jwt_refresh_secret"])
    refused = await Client(admin.http, {"refresh_token": token, "access_token": ""}).refresh()
    assert (refused.status, refused.problem) == (401, "token-expired")
    assert (await admin.refresh()).status == 200, "showing a stale token ends nothing"


async def test_a_token_of_the_other_kind_is_refused(admin: Client) -> None:
    refused = await admin.showing(admin.tokens["refresh_token"]).get("/users/profile")
    assert (refused.status, refused.problem) == (401, "token-invalid")
    refused = await admin.get("/auth/refresh")
    assert (refused.status, refused.problem) == (401, "token-invalid")
    assert (await admin.get("/users/profile")).status == 200


async def test_a_refresh_token_is_good_once(admin: Client) -> None:
    operator = await admin.hire("sekali@klinik.example")
    first = await operator.refresh()
    assert first.status == 200, first
    assert first.body["refresh_token"] != operator.tokens["refresh_token"]
    renewed = Client(operator.http, first.body)
    assert (await renewed.get("/users/profile")).status == 200

    reused = await operator.refresh()
    assert (reused.status, reused.problem) == (401, "token-reused")
    # The session has ended for everyone who holds anything of it.
    for holder in (operator, renewed):
        refused = await holder.get("/users/profile")
        assert (refused.status, refused.problem) == (401, "session-ended")
    refused = await renewed.refresh()
    assert (refused.status, refused.problem) == (401, "session-ended")


async def test_one_of_two_concurrent_refreshes_succeeds(admin: Client) -> None:
    operator = await admin.hire("berdua@klinik.example")
    answers = await asyncio.gather(operator.refresh(), operator.refresh())
    assert sorted(answer.status for answer in answers) == [200, 401]


async def test_logging_out_ends_the_session_and_no_other(admin: Client) -> None:
    here = await admin.hire("keluar@klinik.example")
    there = await here.sign_in("keluar@klinik.example", PASSWORD)
    assert (await here.get("/users/profile")).status == 200
    assert (await here.get("/auth/logout")).status == 200
    refused = await here.get("/users/profile")
    assert (refused.status, refused.problem) == (401, "session-ended")
    assert (await here.refresh()).status == 401
    assert (await there.get("/users/profile")).status == 200


async def test_another_role_ends_the_sessions(admin: Client) -> None:
    operator = await admin.hire("naik@klinik.example")
    assert (await operator.get("/users")).status == 403
    promoted = await admin.patch(f"/users/{operator.id}/role", {"role": "ADMIN_FASKES"})
    assert (promoted.status, promoted.body["role"]) == (200, "ADMIN_FASKES")
    refused = await operator.get("/users/profile")
    assert (refused.status, refused.problem) == (401, "session-ended")
    assert (await operator.refresh()).status == 401
    again = await operator.sign_in("naik@klinik.example", PASSWORD)  # while still sending the old token
    assert (await again.get("/users")).status == 200
    assert (await admin.delete(f"/users/{operator.id}")).status == 200
    assert (await again.get("/users/profile")).status == 401
    gone = await Client(admin.http).post("/auth/login/admin", {"email": "naik@klinik.example", "password": PASSWORD})
    assert (gone.status, gone.problem) == (401, "credentials-wrong")


async def test_wrong_passwords_and_unknown_addresses_look_alike(client: Client) -> None:
    wrong = await client.post("/auth/login/admin", {"email": ADMIN[0], "password": "salah-sama-sekali"})
    unknown = await client.post("/auth/login/admin", {"email": "siapa@klinik.example", "password": "salah-sama-sekali"})
    assert (wrong.status, wrong.problem) == (unknown.status, unknown.problem) == (401, "credentials-wrong")
    assert wrong.body["detail"] == unknown.body["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": ADMIN[0]}, "password"),
        ({"email": ADMIN[0], "password": ""}, "password"),
        ({"password": "x"}, "email"),
        ({"email": "no-address", "password": "x"}, "email"),
        ({"email": ADMIN[0], "password": "x", "remember": True}, "remember"),
        ({"email": ADMIN[0], "password": 17}, "password"),
    ],
)
async def test_an_incomplete_sign_in_is_refused(client: Client, body: dict[str, Any], field: str) -> None:
    refused = await client.post("/auth/login/admin", body)
    assert (refused.status, refused.fields) == (422, [field])


async def test_a_patient_signs_in_with_the_data_of_the_card(admin: Client) -> None:
    nik = new_nik()
    await admin.register(nik, "SITI NUR'AINI, S.Pd")
    patient = await admin.sign_in_patient(nik, "siti nuraini s pd")
    profile = await patient.get("/users/profile")
    assert (profile.body["nik"], profile.body["role"]) == (nik, "PASIEN")
    for wrong in ({"nik": nik, "nama": "BUDI"}, {"nik": new_nik(), "nama": "SITI"}, {"nik": "1", "nama": "SITI"}):
        refused = await admin.post("/auth/login/user", wrong)
        assert (refused.status, refused.problem) == (401, "credentials-wrong")


async def test_staff_do_not_sign_in_with_nik_and_name(admin: Client) -> None:
    nik = new_nik()
    staff = {"nama": "BUDI", "nik": nik, "email": "budi.nik@klinik.example", "password": PASSWORD, "role": "OPERATOR"}
    assert (await admin.post("/users", staff)).status == 201
    refused = await admin.post("/auth/login/user", {"nik": nik, "nama": "BUDI"})
    assert (refused.status, refused.problem) == (401, "credentials-wrong")


async def test_the_set_up_link_of_an_application_that_has_an_administrator(
    client: Client, application: Application
) -> None:
    assert application.stdout == [], "there is an administrator, so no link"
    body = {"token": "guess", "email": "x@klinik.example", "password": PASSWORD, "nama": "X"}
    refused = await client.post("/auth/setup", body)
    assert (refused.status, refused.problem) == (409, "already-set-up")

"""Kiosks: an administrator pairs a device in its own browser; it then works alone, for cards only."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import jwt
import pytest

from mediq.http.routes import table
from tests.fixtures.application import ADMIN, Application, made_with_admin, running
from tests.fixtures.client import PASSWORD, Client, Reply, browser_at, client_at
from tests.fixtures.visitors import CLEAN, card, new_nik

YEAR = 365 * 86_400


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """An application of its own, since cards are read here."""
    base = tmp_path_factory.mktemp("devices")
    made_with_admin(base)
    with running(base) as application:
        yield application


@pytest.fixture
async def admin(clinic: Application) -> AsyncIterator[Client]:
    async with client_at(clinic) as client:
        await client.ready()
        yield await client.sign_in()


@pytest.fixture
async def browser(clinic: Application, admin: Client) -> AsyncIterator[Client]:
    """The kiosk's browser, in which the administrator has signed in."""
    async with browser_at(clinic) as browser:
        assert (await browser.post("/session", {"email": ADMIN[0], "password": ADMIN[1]})).status == 200
        yield browser


@pytest.fixture
async def kiosk(browser: Client) -> Client:
    assert (await name(browser)).status == 201
    return browser


async def name(browser: Client, nama: str = "Kiosk pintu depan") -> Reply:
    return await browser.post("/devices", {"nama": nama})


def token(browser: Client) -> str:
    [cookie] = browser.http.cookie_jar
    return str(cookie.value)


async def test_naming_a_device_takes_the_administrators_place(browser: Client, admin: Client) -> None:
    before = token(browser)
    named = await name(browser, "Kiosk lobi")
    assert (named.status, set(named.body)) == (201, {"user"})
    device = named.body["user"]
    assert (device["nama"], device["role"], device["nik"], device["email"]) == ("Kiosk lobi", "KIOSK", None, None)
    assert f"Max-Age={YEAR}" in named.headers["Set-Cookie"]
    claims = jwt.decode(token(browser), options={"verify_signature": False})
    assert (claims["sub"], claims["role"], claims["exp"] - claims["iat"]) == (device["id"], "KIOSK", YEAR)
    left = await admin.showing(before).get("/users/profile")
    assert (left.status, left.problem) == (401, "session-ended"), "nothing of the administrator stays at the kiosk"
    listed = await admin.get("/users?role=KIOSK&limit=100")
    assert device["id"] in [user["id"] for user in listed.body["data"]]


async def test_only_an_administrator_in_the_devices_browser_pairs_it(clinic: Application, admin: Client) -> None:
    refused = await admin.post("/devices", {"nama": "Kiosk"})
    assert (refused.status, refused.problem) == (403, "cross-site"), "a browser is needed, that keeps the cookie"
    await admin.hire("bukan-kepala@klinik.example")
    async with browser_at(clinic) as browser:
        refused = await name(browser)
        assert (refused.status, refused.problem) == (401, "unauthenticated")
        await browser.post("/session", {"email": "bukan-kepala@klinik.example", "password": PASSWORD})
        refused = await name(browser)
        assert (refused.status, refused.problem) == (403, "forbidden")
        assert (await browser.get("/queue")).status == 200, "and stays signed in"


@pytest.mark.parametrize("body", [{}, {"nama": ""}, {"nama": "x" * 201}, {"nama": "Kiosk", "role": "ADMIN_FASKES"}])
async def test_a_device_without_a_name_is_refused(browser: Client, body: dict[str, str]) -> None:
    refused = await browser.post("/devices", body)
    assert refused.status == 422
    assert (await browser.get("/users/profile")).body["role"] == "ADMIN_FASKES", "the administrator is still there"


async def test_a_kiosk_uploads_cards_and_reads_their_results(kiosk: Client) -> None:
    taken = await kiosk.upload(card(CLEAN[0]), wait=30)
    assert (taken.status, taken.body["status"]) == (200, "REGISTERED"), taken
    result = await kiosk.get(f"/ocr/result/{taken.body['id']}")
    assert (result.status, result.body["ticket"]["priority"]) == (200, "NORMAL")
    assert (await kiosk.get(f"/ocr/status/{taken.body['id']}")).status == 200
    refused = await kiosk.upload(card(CLEAN[1]), priority="URGENT", priority_reason="darurat")
    assert (refused.status, refused.problem) == (403, "priority-by-staff")


async def test_a_kiosk_may_do_nothing_else_that_needs_signing_in(kiosk: Client, admin: Client) -> None:
    patient = await admin.register(new_nik())
    for route in table(open_registration=False):
        if route.who is None or route.path == "/ocr/process-ktp":
            continue
        path = route.path
        for part in ("{id}", "{user_id}", "{nik}", "{counter}"):
            path = path.replace(part, patient)
        refused = await kiosk.ask(route.method, path, json={} if route.method in ("POST", "PATCH", "PUT") else None)
        assert (refused.status, refused.problem) == (403, "forbidden"), (route.method, path)
    refused = await kiosk.get("/events/operator")
    assert (refused.status, refused.problem) == (403, "forbidden")


async def test_a_failed_sign_in_leaves_the_kiosk_paired(kiosk: Client) -> None:
    refused = await kiosk.delete("/session")
    assert (refused.status, refused.problem) == (403, "forbidden"), "nor does a passer-by sign it out"
    refused = await kiosk.post("/session", {"email": ADMIN[0], "password": "salah-sama-sekali"})
    assert refused.status == 401
    assert (await kiosk.upload(b"no picture")).status == 415, "it is the kiosk still"


async def test_whoever_signs_in_at_a_kiosk_ends_it(kiosk: Client, admin: Client) -> None:
    paired = token(kiosk)
    assert (await kiosk.post("/session", {"email": ADMIN[0], "password": ADMIN[1]})).status == 200
    left = await admin.showing(paired).upload(b"no picture")
    assert (left.status, left.problem) == (401, "session-ended"), "a copy of its cookie is worth nothing"


async def test_a_device_that_is_deleted_is_out_at_once(kiosk: Client, admin: Client) -> None:
    device = jwt.decode(token(kiosk), options={"verify_signature": False})["sub"]
    assert (await kiosk.upload(b"no picture")).status == 415
    assert (await admin.delete(f"/users/{device}")).status == 200
    refused = await kiosk.upload(b"no picture")
    assert (refused.status, refused.problem) == (401, "unauthenticated")
    assert not list(kiosk.http.cookie_jar), "and its cookie is gone"


async def test_nobody_is_made_a_device_nor_a_device_somebody(kiosk: Client, admin: Client) -> None:
    body = {"nama": "X", "nik": new_nik(), "role": "KIOSK"}
    refused = await admin.post("/users", body)
    assert (refused.status, refused.fields) == (422, ["role"])
    staff = {"nama": "X", "email": "alat@klinik.example", "password": PASSWORD, "role": "KIOSK"}
    refused = await admin.post("/users", staff)
    assert (refused.status, refused.fields) == (422, ["role"])
    patient = await admin.register(new_nik())
    refused = await admin.patch(f"/users/{patient}/role", {"role": "KIOSK"})
    assert (refused.status, refused.fields) == (422, ["role"])
    device = jwt.decode(token(kiosk), options={"verify_signature": False})["sub"]
    refused = await admin.patch(f"/users/{device}/role", {"role": "ADMIN_FASKES"})
    assert (refused.status, refused.problem) == (409, "role-of-device")
    assert (await kiosk.upload(b"no picture")).status == 415, "and it goes on"


async def test_a_kiosk_stays_paired_over_a_restart(clinic: Application, kiosk: Client) -> None:
    async with AsyncExitStack() as stack:
        clinic.kill()
        clinic.start()
        client = await stack.enter_async_context(client_at(clinic))
        await client.ready()
        assert (await kiosk.upload(b"no picture")).status == 415

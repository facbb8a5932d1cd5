"""Roles: every route of the gateway, called by every role, allows exactly the roles of the contract."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import aiohttp
import pytest

from mediq.http.routes import Body, Route, table
from tests.fixtures.application import ADMIN as ADMINISTRATOR
from tests.fixtures.application import GENEROUS, Application, running
from tests.fixtures.client import PASSWORD, Client, Reply, browser_at, client_at
from tests.fixtures.gateway import pages, routes
from tests.fixtures.visitors import CLEAN, card, new_nik

ANYONE = frozenset({"", "PASIEN", "OPERATOR", "ADMIN_FASKES", "KIOSK"})
SIGNED_IN = ANYONE - {"", "KIOSK"}
STAFF = frozenset({"OPERATOR", "ADMIN_FASKES"})
ADMIN = frozenset({"ADMIN_FASKES"})
UPLOADERS = STAFF | {"KIOSK"}

CONTRACT = {
    "GET /": ANYONE,
    "GET /health": ANYONE,
    "POST /auth/login/admin": ANYONE,
    "POST /auth/login/user": ANYONE,
    "POST /auth/setup": ANYONE,
    "POST /session": ANYONE,
    "DELETE /session": SIGNED_IN,
    "GET /auth/refresh": ANYONE,  # with a refresh token
    "POST /auth/logout-all": SIGNED_IN,
    "PATCH /users/password": SIGNED_IN,
    "PATCH /users/{id}/password": ADMIN,
    "GET /auth/logout": SIGNED_IN,
    "POST /users": ADMIN,
    "POST /users/create-from-ocr": STAFF,
    "GET /users/check-nik/{nik}": STAFF,
    "GET /users/profile": SIGNED_IN,
    "GET /users/{id}": STAFF,
    "GET /users": ADMIN,
    "POST /devices": ADMIN,
    "PATCH /users/{id}/role": ADMIN,
    "DELETE /users/{id}": ADMIN,
    "GET /audit": ADMIN,
    "GET /audit.csv": ADMIN,
    "POST /ocr/process-ktp": UPLOADERS,  # and anyone where registration is open
    "GET /ocr/status/{id}": ANYONE,
    "GET /ocr/result/{id}": ANYONE,
    "GET /ocr/reviews": STAFF,
    "GET /ocr/image/{id}": STAFF,
    "POST /ocr/confirm/{id}": STAFF,
    "POST /queue/add": SIGNED_IN,
    "GET /queue/status/{user_id}": SIGNED_IN,
    "PATCH /queue/call-next": STAFF,
    "PATCH /queue/{id}/recall": STAFF,
    "PATCH /queue/{id}/start": STAFF,
    "PATCH /queue/{id}/complete": STAFF,
    "PATCH /queue/{id}/skip": STAFF,
    "PATCH /queue/{id}/requeue": STAFF,
    "PATCH /queue/{id}/hold": STAFF,
    "PATCH /queue/{id}/resume": STAFF,
    "PATCH /queue/{id}/priority": STAFF,
    "PATCH /queue/{id}/transfer": STAFF,
    "POST /queue/counters/{counter}/open": STAFF,
    "POST /queue/counters/{counter}/close": STAFF,
    "POST /queue/close-day": ADMIN,
    "POST /queue/undo": STAFF,
    "DELETE /queue/{id}": SIGNED_IN,
    "GET /queue": STAFF,
    "GET /clinic": ANYONE,
    "PUT /clinic": ADMIN,
    "GET /queue/statistics": STAFF,
    "GET /queue/statistics.csv": ADMIN,
    "GET /events/operator": STAFF,
    "GET /events/board/{board}": ANYONE,
    "GET /events/ticket/{token}": ANYONE,
    "GET /ready": ANYONE,
    "GET /metrics": ANYONE,
    "GET /openapi.json": ANYONE,
    "GET /docs": ANYONE,
    "GET /setup": ANYONE,
    "GET /signin": ANYONE,
    "GET /operator": STAFF,
    "GET /admin": ADMIN,
    "GET /admin/users": ADMIN,
    "GET /admin/devices": ADMIN,
    "GET /admin/clinic": ADMIN,
    "GET /admin/audit": ADMIN,
    "GET /display/{board}": ANYONE,
    "GET /kiosk": ANYONE,
    "GET /t/{token}": ANYONE,
    "GET /t/{token}/qr.svg": ANYONE,
    "GET /language/{language}": ANYONE,
    "GET /favicon.ico": ANYONE,
    "GET /static/{path}": ANYONE,
}
"""The roles that may call each route; the empty role is a caller who is not signed in.

The table is written by hand, so that a changed role in the routes must be changed here on purpose too.
"""

PAGES = pages()
ROUTES = {f"{route.method} {route.path}": route for route in table(open_registration=False)}

People = Mapping[str, Client]


@pytest.fixture
async def kiosk(application: Application, admin: Client) -> Client:
    """A device, whose cookie's token is sent as a bearer like everyone else's."""
    async with browser_at(application) as browser:
        await browser.post("/session", {"email": ADMINISTRATOR[0], "password": ADMINISTRATOR[1]})
        named = await browser.post("/devices", {"nama": "Kiosk pintu depan"})
        assert named.status == 201, named
        [cookie] = browser.http.cookie_jar
        return Client(admin.http, {"access_token": cookie.value, "user": named.body["user"]})


@pytest.fixture
async def people(admin: Client, kiosk: Client) -> People:
    """One signed-in client of each role."""
    mail = "peran@klinik.example"
    if (await admin.get(f"/users?search={mail}")).body["data"]:
        operator = await admin.sign_in(mail, PASSWORD)
    else:
        operator = await admin.hire(mail)
    nik = new_nik()
    await admin.register(nik, "SITI")
    patient = await admin.sign_in_patient(nik, "SITI")
    return {"": Client(admin.http), "PASIEN": patient, "OPERATOR": operator, "ADMIN_FASKES": admin, "KIOSK": kiosk}


def test_the_expected_roles_cover_every_route() -> None:
    assert routes() == set(CONTRACT)


def test_open_registration_opens_only_the_upload() -> None:
    opened = {f"{route.method} {route.path}": route.who for route in table(open_registration=True)}
    assert {name for name, who in opened.items() if who != ROUTES[name].who} == {"POST /ocr/process-ktp"}
    assert opened["POST /ocr/process-ktp"] is None


@pytest.mark.parametrize("name", CONTRACT)
async def test_who_gets_through(people: People, name: str) -> None:
    for role, caller in people.items():
        reply = await _call(caller, name)
        to_sign_in = reply.headers.get("Location", "").startswith("/signin?")
        if role in CONTRACT[name]:
            assert reply.status not in (401, 403) or _refused_for_another_reason(name, reply), (role, reply)
            assert not to_sign_in, (role, reply)
        elif name in PAGES:
            assert (reply.status, to_sign_in) == (303, True), (role, reply)
        elif role:
            assert (reply.status, reply.problem) == (403, "forbidden"), (role, reply)
        else:
            assert (reply.status, reply.problem) == (401, "unauthenticated"), reply


async def _call(caller: Client, name: str) -> Reply:
    method, path = name.split(" ")
    route = ROUTES.get(name)
    if name == "GET /auth/refresh":
        return await (caller.refresh() if "refresh_token" in caller.tokens else Client(caller.http).get(path))
    path = path.replace("{user_id}", caller.id if caller.tokens else "nobody").replace("{board}", "umum")
    path = re.sub(r"\{\w+\}", "0000000000000000", path)
    if name.startswith("GET /events"):
        async with caller.http.get(path, headers=caller._headers(None)) as response:
            return Reply(response.status, response.headers, None if response.status == 200 else await response.json())
    if route is not None and route.body is Body.CARD:
        form = aiohttp.FormData()
        form.add_field("ktp_image", b"", filename="a.jpg")
        return await caller.ask(method, path, data=form)
    headers = {"Sec-Fetch-Site": "same-origin"} if route is not None and route.cookie else None
    body = _body(route, caller) if route and route.body is Body.JSON else None
    return await caller.ask(method, path, json=body, headers=headers, allow_redirects=False)


def _body(route: Route, caller: Client) -> dict[str, str]:
    """A body with the patient's own id where the route needs it, otherwise an incomplete body."""
    if route.own is not None and caller.tokens:
        return {route.own: caller.id}
    return {"nonsense": "x"}


def _refused_for_another_reason(name: str, reply: Reply) -> bool:
    return name == "GET /auth/refresh" and reply.body["detail"].startswith("Kirim refresh token")


class TestAPatient:
    """A patient reads and cancels their own ticket only."""

    @pytest.fixture
    async def two(self, admin: Client) -> tuple[Client, Client]:
        patients = []
        for name in ("SITI", "DEWI"):
            nik = new_nik()
            await admin.register(nik, name)
            patients.append(await admin.sign_in_patient(nik, name))
        return patients[0], patients[1]

    async def test_a_patient_gets_no_ticket_for_someone_else(self, two: tuple[Client, Client]) -> None:
        siti, dewi = two
        refused = await siti.post("/queue/add", {"user_id": dewi.id})
        assert (refused.status, refused.problem) == (403, "forbidden")
        assert (await dewi.get(f"/queue/status/{dewi.id}")).status == 404
        own = await siti.queue(siti.id, service="gigi")
        again = await siti.queue(siti.id, service="gigi")
        assert own["id"] == again["id"], "one number a patient and service"

    async def test_a_patient_reads_only_their_own_ticket(self, two: tuple[Client, Client]) -> None:
        siti, dewi = two
        await siti.queue(siti.id, service="gigi")
        assert (await siti.get(f"/queue/status/{siti.id}")).status == 200
        refused = await dewi.get(f"/queue/status/{siti.id}")
        assert (refused.status, refused.problem) == (403, "forbidden")

    async def test_cancels_only_their_own_ticket(self, two: tuple[Client, Client]) -> None:
        siti, dewi = two
        ticket = await siti.queue(siti.id, service="gigi")
        refused = await dewi.delete(f"/queue/{ticket['id']}")
        assert (refused.status, refused.problem) == (404, "no-ticket"), "not even whether it exists is told"
        assert (await siti.get(f"/queue/status/{siti.id}")).body["status"] == "WAITING"
        cancelled = await siti.delete(f"/queue/{ticket['id']}")
        assert (cancelled.status, cancelled.body["status"]) == (200, "CANCELLED")

    @pytest.mark.parametrize(
        "wish",
        [{"priority": "URGENT"}, {"priority": "HIGH", "priority_reason": "hamil"}, {"priority_reason": "darurat"}],
    )
    async def test_a_patient_cannot_choose_their_priority(
        self, two: tuple[Client, Client], wish: dict[str, str]
    ) -> None:
        siti, _ = two
        refused = await siti.post("/queue/add", {"user_id": siti.id, **wish})
        assert (refused.status, refused.problem) == (403, "priority-by-staff")
        assert (await siti.get(f"/queue/status/{siti.id}")).status == 404

    async def test_a_patient_may_cancel(self, two: tuple[Client, Client]) -> None:
        siti, _ = two
        ticket = await siti.queue(siti.id, priority="LOW", service="gigi")
        assert ticket["priority"] == "LOW"
        assert (await siti.delete(f"/queue/{ticket['id']}")).status == 200


class TestOpenRegistration:
    """Open registration: everyone may upload a card, but not choose a priority."""

    @pytest.fixture
    def open_application(self, tmp_path: Path) -> Iterator[Application]:
        with running(tmp_path, f'registration = "open"\n{GENEROUS}') as application:
            yield application

    async def test_everyone_may_upload_with_open_registration(self, open_application: Application) -> None:
        async with client_at(open_application) as client:
            await client.ready()
            refused = await client.upload(b"no picture")
            assert refused.status == 415
            refused = await client.upload(card(CLEAN[0]), priority="URGENT", priority_reason="darurat")
            assert (refused.status, refused.problem) == (403, "priority-by-staff")
            taken = await client.upload(card(CLEAN[0]), wait=30)
            assert (taken.status, taken.body["status"]) == (200, "REGISTERED"), taken
            assert taken.body["ticket"]["number"] == "A-001"
            refused = await client.post(f"/ocr/confirm/{taken.body['id']}", {"fields": {"nik": new_nik(), "nama": "X"}})
            assert refused.status == 401

"""Personal data stay where they belong: nothing an application prints, measures or shows on a board names anybody."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from mediq.http.openapi import document
from mediq.http.routes import Body, Route, table
from tests.fixtures.application import ADMIN, GENEROUS, Application, running
from tests.fixtures.client import PASSWORD, Client, EventStream, browser_at, client_at
from tests.fixtures.gateway import routes
from tests.fixtures.specimens.cards import person
from tests.fixtures.split import Servers, splitting
from tests.fixtures.visitors import CLEAN, card, new_nik

SETTINGS = f'{GENEROUS}\n[log]\nlevel = "debug"\nformat = "json"'
NAME = "RAHMAWATI SANGAT KHUSUS"
OTHER = "WULANDARI TAK TERULANG"
MAIL = "petugas.khusus@klinik.example"
PHONE = "081299887766"
STREET = "JL. TANPA NAMA KEDUA NO. 77"
WHY = f"keluarga {OTHER} menelepon dari {PHONE}"
KEY = "kunci-idempotensi-rahasia"
WRONG = "sandi-yang-salah"
NEW_PASSWORD = "sandi-baru-yang-panjang"
TABLE = table(open_registration=False)
DOCUMENT: dict[str, Any] = json.loads(document(TABLE))
HOLDER = person(CLEAN[0])
RANDOM = ("request_id", "trace_id", "span_id", "timestamp", "data", "address")
"""What a log line may hold that looks like anything at all: ids made for it, when and where it was written."""

NOBODYS = {
    "a NIK": re.compile(r"(?<![0-9a-f])\d{16}(?![0-9a-f])"),
    "an e-mail address": re.compile(r"[\w.+-]+@[\w-]+\.\w+"),
    "a telephone number": re.compile(r"(?:\+62|\b08)\d{8,}"),
    "a token": re.compile(r"\beyJ[\w-]{8,}"),
}
"""What must not be in a log line, whosoever it is."""


class Day:
    """A clinic's day, with everything in it that may go wrong. `secrets` is what nobody may read of it elsewhere."""

    def __init__(self) -> None:
        self.secrets = {NAME, OTHER, MAIL, PHONE, STREET, WHY, KEY, WRONG, PASSWORD, NEW_PASSWORD, *ADMIN}
        self.secrets |= {HOLDER["nik"], HOLDER["nama"], HOLDER["alamat"]}
        self.shown: list[str] = []
        """What the boards, which anyone may watch, were sent."""

    def nik(self) -> str:
        """A NIK of this day."""
        nik = new_nik()
        self.secrets.add(nik)
        return nik

    def keep(self, client: Client) -> Client:
        """Someone who has signed in, with their tokens added to the secrets."""
        for name in ("access_token", "refresh_token"):
            if token := client.tokens.get(name):
                self.secrets |= {token, token.rpartition(".")[2]}
        return client

    async def pass_by(self, client: Client, application: Application, setup_tokens: list[str]) -> None:
        """Let the day happen."""
        self.secrets |= set(setup_tokens)
        admin = self.keep(await self._set_up(client, setup_tokens))
        operator = self.keep(await admin.hire(MAIL))
        nik = self.nik()
        made = await admin.post(
            "/users", {"nik": nik, "nama": NAME, "alamat": STREET}, headers={"Idempotency-Key": KEY}
        )
        patient = self.keep(await client.sign_in_patient(nik, NAME))
        self.secrets.add(patient.id)
        assert made.body["id"] == patient.id
        async with client.events("/events/board/all") as board:
            ticket = await self._at_the_counter(client, operator, patient)
            await self._watch(board, ticket["number"])
        await self._cards(admin, operator)
        await self._at_a_browser(application)
        await self._refusals(client, admin, patient, nik, ticket["token"])
        await self._every_route(admin, patient)
        await self._accounts(admin, operator, patient)

    async def _set_up(self, client: Client, setup_tokens: list[str]) -> Client:
        email, password = ADMIN
        body = {"email": email, "password": password, "nama": OTHER}
        answers = [await client.post("/auth/setup", {"token": token, **body}) for token in setup_tokens]
        [signed_in] = [answer for answer in answers if answer.status == 200]
        return Client(client.http, signed_in.body)

    async def _at_the_counter(self, client: Client, operator: Client, patient: Client) -> dict[str, Any]:
        ticket = await patient.queue(patient.id)
        self.secrets.add(ticket["token"])
        async with (
            client.events(f"/events/ticket/{ticket['token']}") as own,
            operator.events("/events/operator") as list_,
        ):
            assert await own.next()
            assert await list_.next()
            for command, body in (
                ("priority", {"priority": "HIGH", "priority_reason": "hamil", "why": WHY}),
                ("hold", {"why": WHY}),
                ("resume", {"why": WHY}),
                ("transfer", {"service": "gigi", "why": WHY}),
                ("transfer", {"service": "umum", "why": WHY}),
            ):
                done = await operator.patch(f"/queue/{ticket['id']}/{command}", body)
                assert done.status == 200, done
            assert (await operator.patch("/queue/call-next", {"counter": "1"})).status == 200
            for command in ("recall", "start", "complete"):
                assert (await operator.patch(f"/queue/{ticket['id']}/{command}", {"why": WHY})).status == 200
            assert await own.until("ticket")
        assert (await client.get(f"/t/{ticket['token']}")).status == 200
        return ticket

    async def _watch(self, board: EventStream, number: str) -> None:
        """Read the board until it has shown the end of the visit."""
        while (event := await board.next()) is not None:
            self.shown.append(json.dumps(event.data))
            if event.name == "ticket-completed" and event.data["event"]["event"]["number"] == number:
                return
        raise AssertionError("the board ended before the visit did")

    async def _cards(self, admin: Client, operator: Client) -> None:
        read = await admin.upload(card(CLEAN[0]), wait=30)
        assert read.body["fields"]["nik"]["value"] == HOLDER["nik"], read
        fields = {"nik": self.nik(), "nama": OTHER, "alamat": STREET}
        for path in ("/ocr/reviews", f"/ocr/result/{read.body['id']}"):
            assert (await operator.get(path)).status == 200
        async with operator.http.get(f"/ocr/image/{read.body['id']}", headers=operator.bearer) as picture:
            assert picture.status in (200, 404), "gone as soon as the holder is registered"
        confirmed = await operator.post(f"/ocr/confirm/{read.body['id']}", {"fields": fields})
        assert confirmed.status in (200, 409), "by the operator, or by the card's own reading before"
        registered = await operator.get(f"/ocr/result/{read.body['id']}")
        self.secrets.add(registered.body["ticket"]["token"])

    async def _at_a_browser(self, application: Application) -> None:
        async with browser_at(application) as browser:
            email, password = ADMIN
            assert (await browser.post("/session", {"email": email, "password": password})).status == 200
            for page in ("/", "/docs", "/operator", "/users", f"/users?search={NAME}"):
                assert (await browser.get(page, headers={"Accept": "text/html"})).status == 200
            assert (await browser.post("/devices", {"nama": OTHER})).status == 201
            self.secrets |= {cookie.value for cookie in browser.http.cookie_jar}
            assert (await browser.get(f"/users?search={NAME}")).status == 403

    async def _refusals(self, client: Client, admin: Client, patient: Client, nik: str, token: str) -> None:
        """What goes wrong, with someone named in every place that a request has."""
        wrong = self.nik()
        refusals = [
            await client.post("/auth/login/admin", {"email": ADMIN[0], "password": WRONG}),
            await client.post("/auth/login/admin", {"email": OTHER, "password": WRONG}),
            await client.post("/auth/login/user", {"nik": wrong, "nama": NAME}),
            await admin.get(f"/users/check-nik/{wrong}0"),
            await admin.get(f"/users?search={NAME}&nik={wrong}"),
            await admin.post("/users", {"nik": nik, "nama": NAME}, headers={"Idempotency-Key": "lain"}),
            await admin.post("/users", {"nik": f"{wrong}1", "nama": NAME}),
            await admin.ask("POST", "/users", data=f'{{"nik": {wrong}'.encode()),
            await client.showing(f"a.{wrong}.c").get("/users/profile"),
            await client.get(f"/{wrong}/{NAME}"),
            await client.get("/users", headers={"X-Request-Id": f"nik {wrong}"}),
            await client.get("/users", headers={"X-Request-Id": f"nik-{wrong}"}),
            await client.get("/users", headers={"traceparent": f"00-{wrong}-{wrong}-01"}),
            await client.get(f"/t/{token}x"),
            await patient.get("/users"),
        ]
        assert [refusal for refusal in refusals if not 400 <= refusal.status < 500] == []
        for refusal in refusals:
            assert wrong not in str((refusal.headers, refusal.body))
            assert NAME not in str((refusal.headers, refusal.body))

    async def _every_route(self, admin: Client, patient: Client) -> None:
        """Ask every route of the table, as anybody, as a patient and as an administrator, about people by name."""
        email, password = ADMIN
        for route in TABLE:
            for who in (Client(admin.http), patient, await Client(admin.http).sign_in(email, password)):
                if who is patient and "sign" in (route.message.__doc__ or "").lower():
                    continue  # which would sign them out
                for place in (self.nik(), quote(NAME)):
                    answered = await self._ask(self.keep(who), route, place)
                    assert answered < 500, (route, answered)

    async def _ask(self, who: Client, route: Route, place: str) -> int:
        path = re.sub(r"\{\w+\}", place, route.path)
        headers = {"Origin": str(who.http._base_url).rstrip("/"), "Idempotency-Key": KEY + place}
        more: dict[str, Any] = {}
        if route.body is Body.JSON:
            said = DOCUMENT["paths"][route.path][route.method.lower()].get("requestBody", {"content": {}})
            body = said["content"].get("application/json", {}).get("example", {})
            people = {
                "nik": self.nik(),
                "nama": NAME,
                "email": f"{place}@klinik.example",
                "password": WRONG,
                "why": WHY,
            }
            more["json"] = body | {name: value for name, value in people.items() if name in body}
            self.secrets.add(people["email"])
        elif route.body is Body.CARD:
            form = aiohttp.FormData()
            form.add_field("ktp_image", place.encode(), filename=f"{NAME}.jpg")
            more["data"] = form
        else:
            path += f"?search={quote(NAME)}"
        return (await who.ask(route.method, path, headers=headers, allow_redirects=False, **more)).status

    async def _accounts(self, admin: Client, operator: Client, patient: Client) -> None:
        admin = self.keep(await Client(admin.http).sign_in())
        operator = self.keep(await Client(admin.http).sign_in(MAIL, PASSWORD))
        self.keep(Client(admin.http, (await operator.refresh()).body))
        assert (await operator.refresh()).problem == "token-reused"
        operator = self.keep(await Client(admin.http).sign_in(MAIL, PASSWORD))
        changed = await operator.patch("/users/password", {"current_password": PASSWORD, "new_password": NEW_PASSWORD})
        assert changed.status == 200, changed
        assert (await admin.patch(f"/users/{operator.id}/password", {"new_password": PASSWORD})).status == 200
        for path in (f"/users/{patient.id}", "/audit", "/audit.csv", "/queue/statistics.csv"):
            assert (await admin.get(path)).status == 200
        assert (await admin.delete(f"/users/{patient.id}")).status == 200
        assert (await admin.post("/auth/logout-all", {})).status == 200


@contextmanager
def embedded(base: Path, request: pytest.FixtureRequest) -> Iterator[list[Application]]:
    with running(base, SETTINGS) as application:
        yield [application]
        assert application.stop() == 0


@contextmanager
def split(base: Path, request: pytest.FixtureRequest) -> Iterator[list[Application]]:
    """A process for each role, over RabbitMQ, MariaDB and Redis; the first one is the gateway."""
    servers = Servers(*(request.getfixturevalue(name) for name in ("mariadb", "redis_server", "rabbitmq")))
    with splitting(base, servers, {"gateway": 1, "user": 1, "ocr": 1, "queue": 1}, SETTINGS) as application:
        yield list(application)
        assert set(application.stop().values()) == {0}


@asynccontextmanager
async def at(application: Application) -> AsyncIterator[Client]:
    async with client_at(application) as client:
        await client.ready()
        yield client


@pytest.mark.timeout(300)
@pytest.mark.parametrize("built", [embedded, split], ids=["embedded", "split"])
async def test_nothing_that_is_printed_measured_or_shown_names_anybody(
    built: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    day = Day()
    measured = []
    with built(tmp_path, request) as applications:
        async with at(applications[0]) as client:
            setup_tokens = re.findall(
                r"/setup#(\S+)", "".join(line for application in applications for line in application.stdout)
            )
            await day.pass_by(client, applications[0], setup_tokens)
            for application in applications:
                async with client_at(application) as probe:
                    measured.append((await probe.get("/metrics")).body)

    printed = [line for application in applications for line in application.stderr]
    told = [line for application in applications for line in application.stdout if "/setup#" not in line]
    asked = {json.loads(line).get("route") for line in printed}
    assert {route.path for route in TABLE} <= asked, "the whole day is in the log"
    texts = {"the log": "".join([*printed, *told]), "the metrics": "\n".join(measured), "a board": "".join(day.shown)}
    for where, text in texts.items():
        assert text
        assert sorted(secret for secret in day.secrets if secret in text or quote(secret) in text) == [], where
    for what, pattern in NOBODYS.items():
        assert [line for line in printed if pattern.search(_without_random(line))] == [], what


def _without_random(line: str) -> str:
    """A log line without what is made at random, by its one way to be printed: as JSON."""
    told = json.loads(line)
    if told["event"] == "request":
        paths = {name.partition(" ")[2] for name in routes()} | {"unknown"}
        assert told["route"] in paths, "a request is told by its route, never by its address"
    return json.dumps({name: value for name, value in told.items() if name not in RANDOM})

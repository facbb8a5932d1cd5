"""The whole API of a real application, asked what its own description allows and what it forbids, by everyone who may ask."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode

from mediq.http import cookie
from mediq.http.openapi import document
from mediq.http.routes import table
from tests.fixtures.application import ADMIN, GENEROUS, HANG, Application, made_with_admin, running
from tests.fixtures.client import PASSWORD
from tests.fixtures.visitors import CLEAN, card, new_nik

DOCUMENT: dict[str, Any] = json.loads(document(table(open_registration=False)))
NAME = "SITI UJI"
STAFF_MAIL = "petugas.uji@klinik.example"
ROLES = ("", "PASIEN", "OPERATOR", "ADMIN_FASKES", "KIOSK")
ENDLESS = "^/events/"
"""Event streams never end; tests/http/test_events.py reads them, test_roles.py asks who may."""

answers: dict[tuple[str, str], Counter[int]] = {}
"""How often which status was answered, by operation and role."""


def schema(*, examples: int, boundaries: bool) -> Any:
    """The description, to make requests of: so many random ones an operation, and those at its boundaries."""
    config = {
        "seed": 1,
        "generation": {"mode": "all", "max-examples": examples, "deterministic": True, "database": "none"},
        "phases": {"coverage": {"enabled": boundaries}},
        "checks": {
            # What only a person could tell is refused too: no such NIK, a date that no calendar has.
            "positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "404", "409", "422"]},
            # DELETE /queue/add is DELETE /queue/{id}: an address may have more methods than its own line says.
            "allow_header_conformance": {"enabled": False},
        },
    }
    loaded = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig.from_dict(config))
    return loaded.exclude(path_regex=ENDLESS)


class Asked:
    """An application of these tests' own, since they leave nothing as it was, and those who ask it."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.address = application.address
        self.secrets = {NAME, STAFF_MAIL, PASSWORD, *ADMIN, "SITI CONTOH", "3201155503900001", "sepuluh huruf"}
        self._signed_in: dict[str, dict[str, Any]] = {}
        self._staff_made = False
        self._nik = new_nik()
        self.secrets.add(self._nik)
        self._patient = self.post("/users", self.headers("ADMIN_FASKES"), {"nik": self._nik, "nama": NAME})["id"]
        self._other = self.post("/users", self.headers("ADMIN_FASKES"), {"nik": new_nik(), "nama": NAME})["id"]
        ticket = self.post("/queue/add", self.headers("ADMIN_FASKES"), {"user_id": self._other})["id"]
        taken = requests.post(
            f"{self.address}/ocr/process-ktp",
            headers={**self.headers("ADMIN_FASKES"), "Prefer": "wait=30"},
            files={"ktp_image": card(CLEAN[0])},
            timeout=HANG,
        ).json()
        self._known = {"users": self._other, "queue": ticket, "ocr": taken["id"]}

    def post(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Any:
        answered = requests.post(f"{self.address}{path}", json=body, headers=headers, timeout=HANG)
        assert answered.ok, answered.text
        return answered.json()

    def headers(self, role: str, operation: str = "") -> dict[str, str]:
        """What shows that someone of this role asks, in a browser if only a browser may."""
        headers = {"Origin": self.address} if operation.endswith(".cookie") else {}
        if role:
            kind = "refresh_token" if operation == "auth.refresh" else "access_token"
            headers["Authorization"] = f"Bearer {self._tokens(role).get(kind, 'none')}"
        return headers

    def place(self, case: schemathesis.Case, role: str) -> None:
        """Ask about someone, some ticket or some card that exists."""
        for name in case.path_parameters or {}:
            known = {"counter": "1", "nik": self._nik, "user_id": self._patient if role == "PASIEN" else self._other}
            found = known.get(name) or self._known.get(case.path.split("/")[1])
            if found is not None:
                case.path_parameters[name] = found

    def forget(self, role: str) -> None:
        """Sign in anew the next time."""
        self._signed_in.pop(role, None)

    def _tokens(self, role: str) -> dict[str, Any]:
        if role not in self._signed_in:
            tokens = self._signed_in[role] = self._sign_in(role)
            self.secrets |= {token for name in ("access_token", "refresh_token") if (token := tokens.get(name))}
        return self._signed_in[role]

    def _sign_in(self, role: str) -> dict[str, Any]:
        email, password = ADMIN
        if role == "PASIEN":
            return dict(self.post("/auth/login/user", {}, {"nik": self._nik, "nama": NAME}))
        if role == "OPERATOR":
            if not self._staff_made:
                new = {"nama": NAME, "email": STAFF_MAIL, "password": PASSWORD, "role": role}
                self.post("/users", self.headers("ADMIN_FASKES"), new)
                self._staff_made = True
            email, password = STAFF_MAIL, PASSWORD
        if role != "KIOSK":
            return dict(self.post("/auth/login/admin", {}, {"email": email, "password": password}))
        with requests.Session() as browser:
            browser.headers["Origin"] = self.address
            for path, body in (("/session", {"email": email, "password": password}), ("/devices", {"nama": "Kios"})):
                assert browser.post(f"{self.address}{path}", json=body, timeout=HANG).ok
            return {"access_token": browser.cookies[cookie.NAME]}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    base = tmp_path_factory.mktemp("asked")
    made_with_admin(base)
    with running(base, f'{GENEROUS}\n[log]\nlevel = "debug"') as application:
        with requests.Session() as http:
            while not http.get(f"{application.address}/ready", timeout=HANG).ok:
                pass
        yield Asked(application)
        assert application.stop() == 0, application.log


def ask(case: schemathesis.Case, asked: Asked, role: str) -> None:
    """Send one request, and hold the answer against the description."""
    operation = case.operation.definition.raw["operationId"]
    told = answers.setdefault((operation, role), Counter())
    if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE and told.total() % 2 == 0:
        asked.place(case, role)
    response = case.call_and_validate(base_url=asked.address, headers=asked.headers(role, operation), timeout=HANG)
    told[response.status_code] += 1
    if response.status_code < 300 and (operation.startswith("auth.") or operation.endswith(".cookie")):
        asked.forget(role)


# Each names its role as a parameter: only then do the tests of several operations differ by name, without which
# pytest-xdist takes them for one.


@pytest.mark.parametrize("role", ["ADMIN_FASKES"])
@schema(examples=4, boundaries=True).parametrize()
def test_as_an_administrator(case: schemathesis.Case, asked: Asked, role: str) -> None:
    ask(case, asked, role)


@pytest.mark.parametrize("role", [""])
@schema(examples=4, boundaries=False).parametrize()
def test_without_a_token(case: schemathesis.Case, asked: Asked, role: str) -> None:
    ask(case, asked, role)


@pytest.mark.parametrize("role", ["PASIEN", "OPERATOR", "KIOSK"])
@schema(examples=2, boundaries=False).parametrize()
def test_as_another(case: schemathesis.Case, asked: Asked, role: str) -> None:
    ask(case, asked, role)


def test_whoever_may_got_through() -> None:
    """That nothing was found means nothing where everyone was turned away at the door."""
    turned_away = {
        (operation["operationId"], role)
        for of_path in DOCUMENT["paths"].values()
        for operation in of_path.values()
        if not operation["operationId"].startswith("events.")
        for role in operation.get("x-roles", ())
        if not set(answers[operation["operationId"], role]) - {401, 403}
    }
    assert turned_away == set()


def test_the_log_of_it_all_names_nobody(asked: Asked) -> None:
    log = asked.application.log
    assert log.count("\n") > sum(counter.total() for counter in answers.values()), "every request has its line"
    assert sorted(secret for secret in asked.secrets if secret in log) == []
    assert "Traceback" not in log

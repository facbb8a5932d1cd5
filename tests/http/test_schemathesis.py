"""The whole API of a real application: requests that its description allows and forbids, from every role."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, TypeVar

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
Case: TypeAlias = schemathesis.Case[Any]
Test = TypeVar("Test", bound=Callable[..., None])
ROLES = ("", "PASIEN", "OPERATOR", "ADMIN_FASKES", "KIOSK")
ENDLESS = "^/events/"
"""Event streams never end: `test_openapi_streams.py` and `test_events.py` read them, `test_roles.py` tests who may."""

answers: dict[tuple[str, str], Counter[int]] = {}
"""How often each status was answered, by operation and role."""


def each_request(*, examples: int, boundaries: bool) -> Callable[[Test], Test]:
    """Parametrizes a test with generated requests: `examples` random ones an operation, and those at its boundaries."""
    config = {
        "seed": 1,
        "generation": {"mode": "all", "max-examples": examples, "deterministic": True, "database": "none"},
        "phases": {"coverage": {"enabled": boundaries}},
        "checks": {
            # Some values fit the schema and are refused all the same: an unknown NIK, a date that does not exist.
            "positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "404", "409", "422"]},
            # DELETE /queue/add is DELETE /queue/{id}: an address may allow more methods than its own entry lists.
            "allow_header_conformance": {"enabled": False},
        },
    }
    loaded = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig.from_dict(config))
    parametrize: Callable[[Test], Test] = loaded.exclude(path_regex=ENDLESS).parametrize()
    return parametrize


class Callers:
    """An application of these tests' own, because they change everything, and a caller of each role."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.address = application.address
        self.secrets = {
            NAME,
            STAFF_MAIL,
            PASSWORD,
            *ADMIN,
            "SITI CONTOH",
            "3201155503900001",
            "sepuluh huruf",
            "sebelas huruf",
        }
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
        """The headers of a caller of this role; the operation tells whether only a browser may call."""
        headers = {"Origin": self.address} if operation.endswith(".cookie") else {}
        if role:
            kind = "refresh_token" if operation == "auth.refresh" else "access_token"
            headers["Authorization"] = f"Bearer {self._tokens(role).get(kind, 'none')}"
        return headers

    def fill_path(self, case: Case, role: str) -> None:
        """Put the id of an existing user, ticket or card into the path."""
        for name in case.path_parameters or {}:
            known = {"counter": "1", "nik": self._nik, "user_id": self._patient if role == "PASIEN" else self._other}
            found = known.get(name) or self._known.get(case.path.split("/")[1])
            if found is not None:
                case.path_parameters[name] = found

    def forget(self, role: str) -> None:
        """Make the next request of this role sign in again."""
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
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    base = tmp_path_factory.mktemp("callers")
    made_with_admin(base)
    with running(base, f'{GENEROUS}\n[log]\nlevel = "debug"') as application:
        with requests.Session() as http:
            while not http.get(f"{application.address}/ready", timeout=HANG).ok:
                pass
        yield Callers(application)
        assert application.stop() == 0, application.log


def ask(case: Case, callers: Callers, role: str) -> None:
    """Send one request, and check the response against the description."""
    operation = case.operation.definition.raw["operationId"]
    told = answers.setdefault((operation, role), Counter())
    if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE and told.total() % 2 == 0:
        callers.fill_path(case, role)
    response = case.call_and_validate(base_url=callers.address, headers=callers.headers(role, operation), timeout=HANG)
    told[response.status_code] += 1
    if response.status_code < 300 and (operation.startswith("auth.") or operation.endswith(".cookie")):
        callers.forget(role)


# The role is a parameter of each test, so that the tests have different names: pytest-xdist would take them for one.


@pytest.mark.parametrize("role", ["ADMIN_FASKES"])
@each_request(examples=4, boundaries=True)
def test_the_api_answers_an_administrator_as_described(case: Case, callers: Callers, role: str) -> None:
    ask(case, callers, role)


@pytest.mark.parametrize("role", [""])
@each_request(examples=4, boundaries=False)
def test_the_api_answers_without_a_token_as_described(case: Case, callers: Callers, role: str) -> None:
    ask(case, callers, role)


@pytest.mark.parametrize("role", ["PASIEN", "OPERATOR", "KIOSK"])
@each_request(examples=2, boundaries=False)
def test_the_api_answers_other_roles_as_described(case: Case, callers: Callers, role: str) -> None:
    ask(case, callers, role)


def test_every_role_got_through_where_it_may() -> None:
    """The tests above prove nothing about an operation that refused every request with 401 or 403."""
    turned_away = {
        (operation["operationId"], role)
        for of_path in DOCUMENT["paths"].values()
        for operation in of_path.values()
        if not operation["operationId"].startswith("events.")
        for role in operation.get("x-roles", ())
        if not set(answers[operation["operationId"], role]) - {401, 403}
    }
    assert turned_away == set()


def test_the_log_holds_no_personal_data(callers: Callers) -> None:
    log = callers.application.log
    assert log.count("\n") > sum(counter.total() for counter in answers.values()), "every request has a log entry"
    assert sorted(secret for secret in callers.secrets if secret in log) == []
    assert "Traceback" not in log

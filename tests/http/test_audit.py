"""The audit trail as an administrator reads it: every action on accounts and on the queue, in order, without names."""

import asyncio
import csv
import io
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.fixtures.application import GENEROUS, HANG, Application, made_with_admin, running
from tests.fixtures.client import PASSWORD, Client, client_at
from tests.fixtures.visitors import CLEAN, card, new_nik

JAKARTA = ZoneInfo("Asia/Jakarta")
Entries = list[dict[str, Any]]


async def entries(admin: Client, limit: int = 200, **wanted: Any) -> Entries:
    """The entries that match the filters `wanted`, from all pages."""
    found: Entries = []
    params: dict[str, str | int] = {**wanted, "limit": limit}
    while True:
        page = await admin.get("/audit", params=params)
        assert page.status == 200, page
        assert len(page.body["data"]) <= limit
        found += page.body["data"]
        if page.body["next"] is None:
            return found
        params["before"] = page.body["next"]


def days_from(first: date, **more: str) -> dict[str, Any]:
    """The filter for the days since `first`; `from` is a keyword of Python."""
    return {"from": first.isoformat(), **more}


async def actions(admin: Client, **wanted: Any) -> list[str]:
    """The actions of the entries that match, oldest first."""
    return [entry["action"] for entry in reversed(await entries(admin, **wanted))]


async def exported(admin: Client, **wanted: str) -> list[dict[str, str]]:
    """The rows of an exported trail, as a spreadsheet reads them."""
    table = await admin.get("/audit.csv", params=wanted)
    assert (table.status, table.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert table.headers["Content-Disposition"].startswith('attachment; filename="audit-')
    return list(csv.DictReader(io.StringIO(table.body, newline="")))


class TestWhoReadWhat:
    async def test_a_patients_record(self, admin: Client) -> None:
        operator = await admin.hire("membaca@klinik.example")
        patient = await admin.register(new_nik(), "SITI")
        shown = await operator.get(f"/users/{patient}")
        assert (shown.status, shown.body["nama"]) == (200, "SITI")
        [read] = await entries(admin, subject=patient, action="user.read")
        assert (read["actor"], read["role"]) == (operator.id, "OPERATOR")
        assert read["ref"] == shown.headers["X-Request-Id"]
        unknown = await operator.get("/users/nobody")
        assert (unknown.status, unknown.problem) == (404, "user-not-found")
        assert await actions(admin, actor=operator.id) == ["auth.login", "user.read"]

    async def test_a_record_that_a_response_contains_is_audited(self, admin: Client) -> None:
        """Registering a known patient again, or setting the same role again, shows the record and is audited."""
        operator = await admin.hire("terdaftar@klinik.example")
        nik = new_nik()
        patient = await admin.register(nik, "SITI")
        known = await operator.post("/users/create-from-ocr", {"nik": nik, "nama": "SITI"})
        assert (known.status, known.body["id"]) == (201, patient)
        assert (await admin.patch(f"/users/{patient}/role", {"role": "PASIEN"})).status == 200
        looks = await entries(admin, subject=patient)
        assert [(look["action"], look["actor"]) for look in looks] == [
            ("user.read", admin.id),
            ("user.read", operator.id),
            ("user.create", admin.id),
        ]

    async def test_a_nik_that_is_looked_up(self, admin: Client) -> None:
        operator = await admin.hire("mencari@klinik.example")
        nik = new_nik()
        patient = await admin.register(nik)
        stranger = new_nik()
        for number in (nik, stranger):
            assert (await operator.get(f"/users/check-nik/{number}")).status == 200
        looked_up = await entries(admin, actor=operator.id, action="user.check-nik")
        assert [entry["subject"] for entry in looked_up] == [None, patient]
        assert not {nik, stranger} & set(str(looked_up).split("'"))

    async def test_the_list_of_users(self, admin: Client) -> None:
        second = await admin.hire("kedua@klinik.example", "ADMIN_FASKES")
        assert (await second.get("/users?search=rahasia")).status == 200
        assert await actions(admin, actor=second.id) == ["auth.login", "user.findAll"]
        assert "rahasia" not in str(await entries(admin, actor=second.id))
        name = f"DAFTAR {second.id}"
        shown = {await admin.register(new_nik(), name) for _ in range(3)}
        listed = await second.get(f"/users?search={name}")
        assert {person["id"] for person in listed.body["data"]} == shown
        looks = await entries(admin, actor=second.id, action="user.read")
        assert {look["subject"] for look in looks} == shown, "whose records they were, and not by what they were found"
        assert (await second.get("/users?search=kedua@klinik.example")).body["pagination"]["total"] == 1
        assert await actions(admin, actor=second.id) == [
            "auth.login",
            "user.findAll",
            "user.findAll",
            *["user.read"] * 3,
            "user.findAll",
        ]

    async def test_a_card(self, admin: Client) -> None:
        operator = await admin.hire("kartu@klinik.example")
        taken = await admin.upload(card(CLEAN[4]))
        # The holder of a ticket's link is the patient, or someone to whom the patient gave it.
        result = await Client(admin.http).result_of(taken.body["id"])
        assert result["status"] == "REGISTERED", result
        assert (await operator.get(taken.headers["Location"])).status == 200
        looks = await entries(admin, subject=result["user_id"], action="ocr.get-result")
        assert [look["actor"] for look in looks] == [operator.id]


async def test_a_sign_in_that_fails(admin: Client) -> None:
    mail = "lupa-sandi@klinik.example"
    someone = await admin.hire(mail)
    nik = new_nik()
    patient = await admin.register(nik, "SITI")
    stranger = {"nik": new_nik(), "nama": "SITI"}
    for path, body in (
        ("/auth/login/admin", {"email": mail, "password": "salah-sama-sekali"}),
        ("/auth/login/user", {"nik": nik, "nama": "BUDI"}),
        ("/auth/login/admin", {"email": "siapa@klinik.example", "password": "salah-sama-sekali"}),
        ("/auth/login/user", stranger),
    ):
        assert (await Client(admin.http).post(path, body)).problem == "credentials-wrong"
    failed = (await entries(admin, action="auth.login-failed"))[:4]
    assert [entry["subject"] for entry in failed] == [None, None, patient, someone.id]
    assert {(entry["actor"], entry["role"], entry["why"]) for entry in failed} == {(None, None, None)}, (
        "of nobody, nothing"
    )


async def test_every_change_of_an_account_is_audited(admin: Client) -> None:
    mail = "riwayat@klinik.example"
    second = await admin.hire("pemberi@klinik.example", "ADMIN_FASKES")
    someone = await second.hire(mail)
    assert (await someone.refresh()).status == 200
    again = await someone.sign_in(mail, PASSWORD)
    assert (await again.refresh()).status == 200
    assert (await again.refresh()).problem == "token-reused"
    change = {"current_password": PASSWORD, "new_password": "sepuluh huruf lain"}
    assert (await someone.patch("/users/password", change)).status == 200
    assert (await someone.post("/auth/logout-all")).status == 200
    reset = {"new_password": PASSWORD}
    assert (await second.patch(f"/users/{someone.id}/password", reset)).status == 200
    again = await someone.sign_in(mail, PASSWORD)
    assert (await again.get("/auth/logout")).status == 200
    assert (await second.patch(f"/users/{someone.id}/role", {"role": "ADMIN_FASKES"})).status == 200
    assert (await second.patch(f"/users/{someone.id}/role", {"role": "ADMIN_FASKES"})).status == 200, (
        "nothing new but a look"
    )
    assert (await second.delete(f"/users/{someone.id}")).status == 200
    kept = [
        (entry["action"], {second.id: "second", someone.id: "someone", None: None}[entry["actor"]], entry["why"])
        for entry in reversed(await entries(admin, subject=someone.id))
    ]
    assert kept == [
        ("user.create", "second", None),
        ("auth.login", "someone", None),
        ("auth.login", "someone", None),
        ("auth.token-reused", None, None),
        ("auth.change-password", "someone", None),
        ("auth.logout-all", "someone", None),
        ("auth.reset-password", "second", None),
        ("auth.login", "someone", None),
        ("auth.logout", "someone", None),
        ("user.updateRole", "second", "ADMIN_FASKES"),
        ("user.read", "second", None),
        ("user.delete", "second", None),
    ]


async def test_entries_are_kept_for_the_configured_days(tmp_path: Path) -> None:
    database = made_with_admin(tmp_path) / "users.db"
    now = datetime.now(UTC)
    with closing(sqlite3.connect(database)) as connection, connection:
        [kept] = connection.execute("SELECT * FROM audit").fetchall()
        for n, days in enumerate((6.9, 7.1, 400)):
            at = (now - timedelta(days=days)).replace(tzinfo=None).isoformat(" ")
            row = (*kept[:1], at, *kept[2:6], f"hari ke-{days}", *kept[7:])
            connection.execute(f"INSERT INTO audit VALUES ({','.join('?' * len(row))})", (100 + n, *row[1:]))
    with running(tmp_path, f"{GENEROUS}\n[auth]\naudit_days = 7") as application:
        async with client_at(application) as client:
            await client.ready()
            admin = await client.sign_in()
            async with asyncio.timeout(HANG):
                while len(left := await entries(admin, action="user.create")) > 2:
                    pass  # it tidies as soon as it stands
            assert [entry["why"] for entry in left] == ["admin create", "hari ke-6.9"]


class TestAClinicsDay:
    """The administrator of an application with a day of work; tests add only the entries that they name."""

    @pytest.fixture(scope="class")
    @classmethod
    def quiet(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
        base = tmp_path_factory.mktemp("quiet")
        made_with_admin(base)
        with running(base) as application:
            yield application

    @pytest.fixture
    async def day(self, quiet: Application) -> AsyncIterator[Client]:
        async with client_at(quiet) as client:
            await client.ready()
            admin = await client.sign_in()
            if not (await admin.get("/audit?action=queue.ticket-completed")).body["data"]:
                for _ in range(4):
                    patient = await admin.register(new_nik())
                    await admin.queue(patient)
                    ticket = (await admin.patch("/queue/call-next", {"counter": "1"})).body
                    await admin.patch(f"/queue/{ticket['id']}/complete", {"why": "selesai, =1+1"})
                    await admin.get(f"/users/{patient}")
            yield admin

    async def test_accounts_and_queue_form_one_trail(self, day: Client) -> None:
        whole = await entries(day)
        times = [datetime.fromisoformat(entry["at"]) for entry in whole]
        assert times == sorted(times, reverse=True)
        told = [entry["action"] for entry in reversed(whole)]
        # The administrator was created at the command line, without a signed-in user.
        assert (told[0], whole[-1]["actor"], whole[-1]["why"]) == ("user.create", None, "admin create")
        first = told.index("queue.ticket-issued")
        assert told[first - 1] == "user.create"
        of_the_queue = [name for name in told if name.startswith("queue.")]
        assert of_the_queue.count("queue.ticket-completed") == 4
        assert {entry["role"] for entry in whole if entry["actor"]} == {"ADMIN_FASKES"}

    async def test_no_entry_contains_a_name(self, day: Client) -> None:
        people = (await day.get("/users", params={"limit": "100"})).body["data"]
        table = (await day.get("/audit.csv")).body + str(await entries(day))
        assert len(people) >= 5
        for person in people:
            assert person["id"] in table
            for name in ("nik", "nama", "email"):
                assert person[name] is None or person[name] not in table

    async def test_entries_are_filtered_by_patient(self, day: Client) -> None:
        issued = (await entries(day, action="queue.ticket-issued"))[0]
        assert await actions(day, subject=issued["subject"]) == [
            "user.create",
            "queue.ticket-issued",
            "queue.ticket-called",
            "queue.ticket-completed",
            "user.read",
            "user.read",  # in the list of users
        ]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7])
    async def test_all_pages_together_make_the_whole_trail(self, day: Client, limit: int) -> None:
        whole = await entries(day)
        assert await entries(day, limit=limit) == whole

    async def test_paging_while_people_work(self, day: Client) -> None:
        whole = await entries(day)
        patient = whole[-1]["subject"]
        found: Entries = []
        before: dict[str, str] = {}
        while True:
            page = await day.get("/audit", params={"limit": "3", **before})
            found += page.body["data"]
            if page.body["next"] is None:
                break
            before = {"before": page.body["next"]}
            assert (await day.get(f"/users/{patient}")).status == 200
        assert found == whole

    async def test_entries_are_filtered_by_action_and_actor(self, day: Client) -> None:
        whole = await entries(day)
        assert await entries(day, actor=day.id) == [entry for entry in whole if entry["actor"] == day.id]
        for prefix in ("user.", "queue."):
            assert await entries(day, action=prefix) == [e for e in whole if e["action"].startswith(prefix)]
        assert await entries(day, action="user.read") == [e for e in whole if e["action"] == "user.read"]
        assert await entries(day, actor="nobody") == await entries(day, action="no.such") == []

    async def test_entries_are_filtered_by_days(self, day: Client) -> None:
        whole = await entries(day)
        days = {datetime.fromisoformat(entry["at"]).astimezone(JAKARTA).date() for entry in whole}
        first, last = min(days), max(days)
        assert await entries(day, **days_from(first, to=f"{last}")) == whole
        assert await entries(day, **days_from(last + timedelta(days=1))) == []
        assert await entries(day, to=f"{first - timedelta(days=1)}") == []
        assert await entries(day, **days_from(date.min, to="9999-12-31")) == whole

    @pytest.mark.parametrize(
        ("params", "field"),
        [
            ({"before": "yesterday"}, "before"),
            ({"before": "1.2"}, "before"),
            ({"before": "1.2.99999999999999999999"}, "before"),
            ({"limit": "0"}, "limit"),
            ({"limit": "201"}, "limit"),
            ({"from": "2026-13-01"}, "from"),
            ({"who": "x"}, "who"),
        ],
    )
    async def test_an_invalid_filter_is_refused(self, day: Client, params: dict[str, str], field: str) -> None:
        refused = await day.get("/audit", params=params)
        assert (refused.status, refused.fields) == (422, [field])

    async def test_the_export_has_the_same_entries_and_is_itself_audited(self, day: Client) -> None:
        whole = await entries(day)
        table = await exported(day)
        zone = datetime.fromisoformat(table[0]["at"]).utcoffset()
        assert zone == timedelta(hours=7), "times are the clinic's own"

        def same(row: dict[str, str]) -> dict[str, str | None]:
            return {name: value or None for name, value in row.items() if name != "at"}

        assert [same(row) for row in table] == [
            {name: f"{value}" if value else None for name, value in entry.items() if name != "at"} for entry in whole
        ]
        assert [datetime.fromisoformat(row["at"]) for row in table] == [
            datetime.fromisoformat(entry["at"]) for entry in whole
        ]
        [kept, *earlier] = await entries(day, action="audit.export")
        assert (kept["actor"], kept["why"]) == (day.id, None)
        assert earlier == [entry for entry in whole if entry["action"] == "audit.export"]
        issued = (await entries(day, action="queue.ticket-issued"))[0]
        assert len(await exported(day, subject=issued["subject"], **{"from": "2026-01-01"})) >= 4
        kept = (await entries(day, action="audit.export"))[0]
        assert kept["why"] == f"from=2026-01-01, subject={issued['subject']}"

    async def test_a_long_export_is_sent_in_parts(self, day: Client) -> None:
        patient = await day.register(new_nik())
        looks = [day.get(f"/users/{patient}") for _ in range(1300)]
        for n in range(0, len(looks), 20):
            assert {reply.status for reply in await asyncio.gather(*looks[n : n + 20])} == {200}
        before = len(await entries(day, action="audit.export"))
        table = await exported(day, subject=patient)
        assert [row["action"] for row in table] == ["user.read"] * 1300 + ["user.create"]
        assert len({row["ref"] for row in table}) == 1301
        assert len(await entries(day, action="audit.export")) == before + 2, "each part is kept"

"""Invalid requests: each is refused with the wrong field where there is one, and changes nothing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fixtures.client import PASSWORD, Client
from tests.fixtures.visitors import new_nik

JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
async def nobody_new(admin: Client) -> AsyncIterator[None]:
    """No refused request may leave a user behind."""
    before = (await admin.get("/users?limit=1")).body["pagination"]["total"]
    yield
    assert (await admin.get("/users?limit=1")).body["pagination"]["total"] == before


@pytest.mark.parametrize(
    "body", [b"{", b"nama=SITI", b'{"nama": "A" "nik": 1}', b"\xff\xfe{}", b"{'nama': 1}", b"[" * 5000]
)
async def test_a_body_that_is_not_json(admin: Client, body: bytes) -> None:
    refused = await admin.ask("POST", "/users", data=body, headers=JSON)
    assert (refused.status, refused.problem) == (400, "malformed")


@pytest.mark.parametrize("body", [b"[]", b'[{"nama": "SITI"}]', b'"SITI"', b"17", b"null"])
async def test_json_that_is_no_object_is_refused(admin: Client, body: bytes) -> None:
    refused = await admin.ask("POST", "/users", data=body, headers=JSON)
    assert (refused.status, refused.problem) == (400, "malformed")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
async def test_a_body_of_another_type_is_refused(admin: Client, content_type: str) -> None:
    refused = await admin.ask("POST", "/users", data=b'{"nama": "SITI"}', headers={"Content-Type": content_type})
    assert (refused.status, refused.problem) == (415, "unsupported")


async def test_a_body_that_is_too_large(admin: Client) -> None:
    refused = await admin.post("/users", {"nama": "A" * 70_000, "nik": new_nik()})
    assert refused.status == 413
    assert refused.problem


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"nik": "320115010190001", "nama": "SITI"}, ["nik"]),  # 15 digits
        ({"nik": "32011501019000011", "nama": "SITI"}, ["nik"]),
        ({"nik": "32011501019O0001", "nama": "SITI"}, ["nik"]),
        ({"nik": "３２０１１５０１０１９０００１１", "nama": "SITI"}, ["nik"]),
        ({"nik": "0001150101900001", "nama": "SITI"}, ["nik"]),
        ({"nik": "3201153902900001", "nama": "SITI"}, ["nik"]),
        ({"nik": "3201150101900000", "nama": "SITI"}, ["nik"]),
        ({"nik": 3201150101900001, "nama": "SITI"}, ["nik"]),
        ({"nik": "3201150101900001"}, ["nama"]),
        ({"nik": "3201150101900001", "nama": ""}, ["nama"]),
        ({"nik": "3201150101900001", "nama": "A" * 201}, ["nama"]),
        ({"nik": "3201150101900001", "nama": None}, ["nama"]),
        ({"nama": "SITI"}, ["nik"]),
        ({"nik": "3201150101900001", "nama": "SITI", "umur": 17}, ["umur"]),
        ({"nik": "3201150101900001", "nama": "SITI", "id": "mine"}, ["id"]),
        ({"nik": "3201150101900001", "nama": "SITI", "tgl_lahir": "1990-01-01"}, ["tgl_lahir"]),
        ({"nik": "3201150101900001", "nama": "SITI", "tgl_lahir": "31-02-1990"}, ["tgl_lahir"]),
        ({"nik": "3201150101900001", "nama": "SITI", "jenis_kelamin": "L"}, ["jenis_kelamin"]),
        ({"nik": "3201150101900001", "nama": "SITI", "role": "DOKTER"}, ["role"]),
        ({"nama": "BUDI", "role": "OPERATOR"}, ["email", "password"]),
        ({"nama": "BUDI", "role": "OPERATOR", "email": "budi", "password": PASSWORD}, ["email"]),
        ({"nama": "BUDI", "role": "OPERATOR", "email": "b@k.id", "password": "pendek"}, ["password"]),
        ({"nik": "3201150101900001", "nama": "SITI", "password": PASSWORD}, ["email"]),
    ],
)
async def test_an_invalid_new_user_is_refused(admin: Client, body: dict[str, Any], fields: list[str]) -> None:
    refused = await admin.post("/users", body)
    assert (refused.status, refused.problem) == (422, "invalid")
    assert refused.fields == fields


@pytest.mark.parametrize("text", ["SITI\x00", "\ud800"])
async def test_text_that_no_card_can_contain_is_refused(admin: Client, text: str) -> None:
    """The text may be refused or accepted, but must not cause a server error."""
    answered = await admin.post("/users", {"nik": "3201150101900001", "nama": text, "role": "DOKTER"})
    assert answered.status in (400, 422)


async def test_a_nik_with_15_digits_in_a_path_is_refused(admin: Client) -> None:
    refused = await admin.get("/users/check-nik/320115010190001")
    assert (refused.status, refused.fields) == (422, ["nik"])


async def test_wrongly_typed_card_fields_are_refused(admin: Client) -> None:
    refused = await admin.post("/users/create-from-ocr", {"nik": "320115010190001", "nama": "SITI"})
    assert (refused.status, refused.fields) == (422, ["nik"])
    refused = await admin.post("/users/create-from-ocr", {"nik": new_nik(), "nama": "SITI", "email": "s@k.id"})
    assert (refused.status, refused.fields) == (422, ["email"])


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/users?page=0", "page"),
        ("/users?page=zwei", "page"),
        ("/users?page=1.5", "page"),
        ("/users?limit=101", "limit"),
        ("/users?limit=9999999999999999999999", "limit"),
        ("/users?role=DOKTER", "role"),
        ("/users?sort=nama", "sort"),
        ("/users?limit=1&limit=2", "limit"),
        ("/queue?status=GONE", "status"),
        ("/queue?page=-1", "page"),
        ("/queue/statistics?from=kemarin", "from"),
        ("/queue/statistics?from=2026-13-01", "from"),
        ("/queue/statistics?from=2026-02-02&to=2026-02-01", "to"),
        ("/queue/statistics?service=kandungan", "service"),
        ("/users/profile?id=1", "id"),
        ("/users?role=null", "role"),
        ("/queue?status=null", "status"),
        ("/queue/statistics?to=null", "to"),
    ],
)
async def test_an_invalid_query_is_refused(admin: Client, path: str, field: str) -> None:
    refused = await admin.get(path)
    assert (refused.status, refused.fields) == (422, [field])


class TestQueue:
    """Commands on the queue that the rules refuse."""

    @pytest.fixture(autouse=True)
    def nobody_new(self) -> None:
        return

    @pytest.mark.parametrize(
        ("more", "field"),
        [
            ({"service": "kandungan"}, "service"),
            ({"service": ""}, "service"),
            ({"service": 1}, "service"),
            ({"priority": "MENDESAK"}, "priority"),
            ({"priority": "HIGH"}, "priority_reason"),
            ({"priority_reason": "kenalan"}, "priority_reason"),
            ({"number": "A-001"}, "number"),
        ],
    )
    async def test_an_invalid_ticket_request_is_refused(self, admin: Client, more: dict[str, Any], field: str) -> None:
        user_id = await admin.register(new_nik())
        refused = await admin.post("/queue/add", {"user_id": user_id, **more})
        assert (refused.status, refused.fields) == (422, [field])
        none = await admin.get(f"/queue/status/{user_id}")
        assert (none.status, none.problem) == (404, "no-ticket")

    async def test_a_ticket_for_an_unknown_user_is_refused(self, admin: Client) -> None:
        refused = await admin.post("/queue/add", {})
        assert (refused.status, refused.fields) == (422, ["user_id"])
        refused = await admin.post("/queue/add", {"user_id": "nobody"})
        assert (refused.status, refused.problem) == (404, "user-not-found")

    async def test_an_unknown_counter_is_refused(self, admin: Client) -> None:
        for body, field in (
            ({}, "counter"),
            ({"counter": "99"}, "counter"),
            ({"counter": "3", "service": "umum"}, "service"),
        ):
            refused = await admin.patch("/queue/call-next", body)
            assert (refused.status, refused.fields) == (422, [field]), body

    @pytest.mark.parametrize("verb", ["recall", "start", "complete", "skip", "requeue", "hold", "resume"])
    async def test_an_unknown_ticket_is_not_found(self, admin: Client, verb: str) -> None:
        missing = await admin.patch(f"/queue/no-such-ticket/{verb}")
        assert (missing.status, missing.problem) == (404, "no-ticket")

    async def test_a_command_that_does_not_fit_the_tickets_status_is_refused(self, admin: Client) -> None:
        ticket = await admin.queue(await admin.register(new_nik()), service="gigi")
        for verb in ("recall", "start", "complete", "skip", "requeue", "resume"):
            refused = await admin.patch(f"/queue/{ticket['id']}/{verb}")
            assert (refused.status, refused.problem) == (409, "wrong-status"), verb
        refused = await admin.patch(f"/queue/{ticket['id']}/transfer", {"service": "gigi"})
        assert (refused.status, refused.problem) == (409, "already-queued")
        refused = await admin.patch(f"/queue/{ticket['id']}/hold", {"because": "lab"})
        assert (refused.status, refused.fields) == (422, ["because"])
        assert (await admin.delete(f"/queue/{ticket['id']}")).body["status"] == "CANCELLED"
        refused = await admin.delete(f"/queue/{ticket['id']}")
        assert (refused.status, refused.problem) == (409, "wrong-status")


async def test_a_taken_email_address_is_refused(admin: Client) -> None:
    me = await admin.get("/users/profile")
    refused = await admin.post(
        "/users", {"nama": "X", "role": "OPERATOR", "email": me.body["email"].upper(), "password": PASSWORD}
    )
    assert (refused.status, refused.problem, refused.fields) == (409, "email-taken", ["email"])


async def test_the_last_administrator_cannot_be_removed(admin: Client) -> None:
    for other in (await admin.get("/users?role=ADMIN_FASKES")).body["data"]:
        if other["id"] != admin.id:
            assert (await admin.patch(f"/users/{other['id']}/role", {"role": "OPERATOR"})).status == 200
    refused = await admin.patch(f"/users/{admin.id}/role", {"role": "OPERATOR"})
    assert (refused.status, refused.problem) == (409, "last-admin")
    refused = await admin.delete(f"/users/{admin.id}")
    assert (refused.status, refused.problem) == (409, "last-admin")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/no/such/page", 404),
        ("GET", "/%00", 404),
        ("PUT", "/users", 405),
        ("POST", "/queue/statistics", 405),
        ("DELETE", "/", 405),
        ("GET", "/static/../app.py", 404),
        ("GET", "/static/..%2f..%2fapp.py", 404),
    ],
)
async def test_unknown_pages_and_methods_are_refused(client: Client, method: str, path: str, status: int) -> None:
    answered = await client.ask(method, path)
    assert answered.status == status
    assert answered.problem
    assert ("Allow" in answered.headers) == (status == 405)


async def test_every_response_carries_security_headers(client: Client) -> None:
    for path in ("/", "/no/such/page", "/setup", "/users"):
        headers = (await client.get(path)).headers
        page = headers["Content-Type"].startswith("text/html")
        assert page == (path == "/setup")
        assert ("default-src 'self';" if page else "default-src 'none';") in headers["Content-Security-Policy"]
        for name in ("Permissions-Policy", "Referrer-Policy", "X-Frame-Options", "Cross-Origin-Opener-Policy"):
            assert (name in headers) == page, "which speaks of what is shown"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "aiohttp" not in headers["Server"].lower()


async def test_the_home_route_answers_head_requests(client: Client) -> None:
    for headers, kind in (({"Accept": "text/html"}, "text/html; charset=utf-8"), ({}, "application/json")):
        async with client.http.head("/", headers=headers) as found:
            assert (found.status, found.headers["Content-Type"]) == (200, kind)


async def test_a_valid_request_id_of_the_caller_is_kept(client: Client) -> None:
    given = await client.get("/users", headers={"X-Request-Id": "meja-depan.17"})
    assert given.body["request_id"] == given.headers["X-Request-Id"] == "meja-depan.17"
    for bad in ("short", "with space!", "x" * 65, "nik=3201150101900001;"):
        made = await client.get("/users", headers={"X-Request-Id": bad})
        assert made.headers["X-Request-Id"] != bad

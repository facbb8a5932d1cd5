"""CORS: pages of other sites read responses only if the settings name their origin, and never by the cookie."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.fixtures.application import ADMIN, GENEROUS, Application, made_with_admin, running
from tests.fixtures.client import Client, browser_at, client_at

FRIEND = "https://janji.example"
STRANGERS = ["https://jahat.example", "http://janji.example", "https://janji.example.jahat.example", "null", ""]
ASKING = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


@pytest.fixture(scope="module")
def friendly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    base = tmp_path_factory.mktemp("friendly")
    made_with_admin(base)
    with running(base, f'cors_origins = ["{FRIEND}"]\n{GENEROUS}') as application:
        yield application


@pytest.fixture
async def open_client(friendly: Application) -> AsyncIterator[Client]:
    async with client_at(friendly) as client:
        await client.ready()
        yield client


def allowed(headers: object) -> list[str]:
    return [name for name in headers if name.lower().startswith("access-control-")]  # type: ignore[attr-defined]


@pytest.mark.parametrize("origin", [FRIEND, *STRANGERS])
async def test_off_unless_set(client: Client, origin: str) -> None:
    answer = await client.get("/", headers={"Origin": origin})
    assert (answer.status, allowed(answer.headers)) == (200, [])
    asked = await client.ask("OPTIONS", "/queue/add", headers={"Origin": origin, **ASKING})
    assert (asked.status, allowed(asked.headers)) == (405, [])


async def test_a_configured_origin_may_call_and_read(open_client: Client) -> None:
    asked = await open_client.ask("OPTIONS", "/queue/add", headers={"Origin": FRIEND, **ASKING})
    assert asked.status == 204
    assert asked.headers["Access-Control-Allow-Origin"] == FRIEND
    assert "PATCH" in asked.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    assert asked.headers["Vary"] == "Origin"
    admin = await open_client.sign_in()
    answer = await admin.get("/users/profile", headers={"Origin": FRIEND})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, FRIEND)
    assert "X-Request-Id" in answer.headers["Access-Control-Expose-Headers"]
    refused = await open_client.get("/queue", headers={"Origin": FRIEND})
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (401, FRIEND), "errors are read too"
    async with open_client.http.get("/events/board/all", headers={"Origin": FRIEND}) as stream:
        assert stream.headers["Access-Control-Allow-Origin"] == FRIEND


@pytest.mark.parametrize("origin", STRANGERS)
async def test_and_no_other(open_client: Client, origin: str) -> None:
    answer = await open_client.get("/", headers={"Origin": origin})
    assert (answer.status, allowed(answer.headers)) == (200, [])
    assert answer.headers["Vary"] == "Origin", "so that no cache serves it to another origin"
    asked = await open_client.ask("OPTIONS", "/queue/add", headers={"Origin": origin, **ASKING})
    assert (asked.status, allowed(asked.headers)) == (405, [])


async def test_the_vary_header_keeps_its_other_values(open_client: Client) -> None:
    for path in ("/", "/signin", "/static/mediq.css"):
        said = (await open_client.get(path, headers={"Accept": "text/html"})).headers.getall("Vary")  # type: ignore[attr-defined]
        varies = {name.strip() for each in said for name in each.split(",")}
        assert {"Origin", "Accept-Encoding"} <= varies, path
        assert path.startswith("/static") or {"Cookie", "Accept"} <= varies, path


async def test_never_by_the_cookie(friendly: Application, open_client: Client) -> None:
    async with browser_at(friendly) as browser:
        assert (await browser.post("/session", {"email": ADMIN[0], "password": ADMIN[1]})).status == 200
        answer = await browser.get("/users/profile", headers={"Origin": FRIEND})
        assert "Access-Control-Allow-Credentials" not in answer.headers, "so that no browser shows it the answer"
        refused = await browser.post("/users", {"nonsense": "x"}, headers={"Origin": FRIEND})
        assert (refused.status, refused.problem) == (403, "cross-site")


async def test_a_policy_that_runs_no_script_of_others(client: Client) -> None:
    for path, allowed in (
        ("/", "'none'"),
        ("/setup", "'self'"),
        ("/nowhere", "'none'"),
        ("/static/mediq.css", "'self'"),
    ):
        headers = (await client.get(path)).headers
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy, path
        assert f"default-src {allowed};" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["X-Content-Type-Options"] == "nosniff"

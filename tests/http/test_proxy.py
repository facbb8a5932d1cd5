"""Reverse proxies: callers are told apart by what a trusted proxy says, and by nothing that they say themselves."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from tests.fixtures.application import ADMIN, Application, made_with_admin, running
from tests.fixtures.client import Client, Reply, client_at

TIGHT = """
[http.limits]
requests = 20
login_requests = 4
streams = 4
"""


def application_with(tmp_path_factory: pytest.TempPathFactory, settings: str) -> Iterator[Application]:
    base = tmp_path_factory.mktemp("proxied")
    made_with_admin(base)
    with running(base, settings + TIGHT) as application:
        yield application


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """An application that trusts a proxy at this machine's address, which the test plays."""
    yield from application_with(tmp_path_factory, 'trusted_proxies = ["127.0.0.1"]')


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    yield from application_with(tmp_path_factory, "")


@pytest.fixture
async def proxy(proxied: Application) -> AsyncIterator[Client]:
    async with client_at(proxied) as client:
        await client.ready()
        yield client


@pytest.fixture
async def caller(direct: Application) -> AsyncIterator[Client]:
    async with client_at(direct) as client:
        await client.ready()
        yield client


def from_(address: str, scheme: str = "http") -> dict[str, str]:
    return {"X-Forwarded-For": address, "X-Forwarded-Proto": scheme}


async def exhaust(client: Client, headers: dict[str, str], most: int = 20) -> None:
    statuses = [(await client.get("/", headers=headers)).status for _ in range(most + 1)]
    assert statuses[-1] == 429


async def test_callers_behind_a_proxy_are_counted_apart(proxy: Client) -> None:
    await exhaust(proxy, from_("203.0.113.1"))
    assert (await proxy.get("/", headers=from_("203.0.113.2"))).status == 200
    # Whatever the caller wrote itself stands to the left of what the proxy wrote.
    for made_up in ("198.51.100.1", "127.0.0.1", "unknown"):
        assert (await proxy.get("/", headers=from_(f"{made_up}, 203.0.113.1"))).status == 429
    assert (await proxy.get("/", headers={"Forwarded": "for=203.0.113.1"})).status == 429
    assert (await proxy.get("/", headers={"Forwarded": "for=203.0.113.3"})).status == 200


async def test_nobody_says_themselves_who_they_are(caller: Client) -> None:
    statuses = [
        (await caller.get("/", headers=from_(f"203.0.113.{n}") | {"Forwarded": f"for=203.0.113.{n}"})).status
        for n in range(21)
    ]
    assert statuses == [200] * 20 + [429]


async def test_guessing_a_password_is_counted_by_the_callers_address(proxy: Client, caller: Client) -> None:
    async def guess(client: Client, n: int, address: str) -> Reply:
        body = {"email": "sasaran@klinik.example", "password": f"tebakan-{n}-tebakan"}
        return await client.post("/auth/login/admin", body, headers=from_(address))

    assert [(await guess(proxy, n, "203.0.113.10")).status for n in range(5)] == [401] * 4 + [429]
    assert (await guess(proxy, 5, "203.0.113.11")).status == 401
    assert [(await guess(caller, n, f"203.0.113.{n}")).status for n in range(5)] == [401] * 4 + [429]


async def test_event_streams_are_bounded_by_the_callers_address(proxy: Client) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            response = await stack.enter_async_context(
                proxy.http.get("/events/board/all", headers=from_("203.0.113.20"))
            )
            assert response.status == 200
        refused = await proxy.get("/events/board/all", headers=from_("203.0.113.20"))
        assert refused.status == 503
        other = await stack.enter_async_context(proxy.http.get("/events/board/all", headers=from_("203.0.113.21")))
        assert other.status == 200


async def test_over_https_the_cookie_is_for_https_alone(proxied: Application, proxy: Client) -> None:
    body = {"email": ADMIN[0], "password": ADMIN[1]}
    host = f"127.0.0.1:{proxied.port}"
    secure = from_("203.0.113.30", "https")
    given = await proxy.post("/session", body, headers=secure | {"Origin": f"https://{host}"})
    assert given.status == 200, given
    assert given.headers["Set-Cookie"].endswith("; SameSite=Strict; Secure")
    refused = await proxy.post("/session", body, headers=secure | {"Origin": f"http://{host}"})
    assert (refused.status, refused.problem) == (403, "cross-site"), "the same name over http is another site"


async def test_a_made_up_https_scheme_is_ignored(direct: Application, caller: Client) -> None:
    body = {"email": ADMIN[0], "password": ADMIN[1]}
    host = f"127.0.0.1:{direct.port}"
    headers = from_("203.0.113.30", "https") | {"Origin": f"https://{host}"}
    refused = await caller.post("/session", body, headers=headers)
    assert refused.status in (403, 429)

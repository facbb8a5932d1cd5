"""Rate limits: a caller with too many requests learns when to come back, by address or by account."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from mediq.config import Limits
from mediq.http.origin import Origin
from mediq.http.rate_limits import RateLimiter
from mediq.http.request_context import REQUEST_CONTEXT, RequestContext, request_context
from mediq.http.routes import Limit
from mediq.messages.errors import TooMany
from tests.fixtures.application import ADMIN, Application, made_with_admin, running
from tests.fixtures.client import Client, client_at
from tests.fixtures.servers import Redis
from tests.fixtures.visitors import new_nik

TIGHT = """
[http.limits]
requests = 40
login_requests = 8
card_requests = 3
nik_requests = 4
streams = 6
"""


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    base = tmp_path_factory.mktemp("tight")
    made_with_admin(base)
    with running(base, TIGHT) as application:
        yield application


@pytest.fixture
async def client(tight: Application) -> AsyncIterator[Client]:
    async with client_at(tight) as client:
        await client.ready()
        yield client


async def test_whoever_asks_too_often(client: Client) -> None:
    admin = await client.sign_in()

    # A card desk, counted by account: the third is taken, the fourth is not even looked at.
    answers = [await admin.upload(b"no picture") for _ in range(4)]
    assert [answer.status for answer in answers] == [415, 415, 415, 429]
    assert answers[3].problem == "too-many"
    assert int(answers[3].headers["Retry-After"]) >= 1
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert (await admin.get("/users/profile")).status == 200, "other requests are counted apart"

    # NIK checks are limited, so that not even staff can try all numbers.
    looked = [await admin.get(f"/users/check-nik/{new_nik()}") for _ in range(5)]
    assert [each.status for each in looked] == [200] * 4 + [429]

    # Signing in, counted by account even if each attempt came from elsewhere.
    wrong = {"email": "Sasaran@klinik.example", "password": "tebakan-tebakan"}
    attempts = [await client.post("/auth/login/admin", wrong) for _ in range(7)]
    assert [attempt.status for attempt in attempts] == [401] * 7, "with the sign-in above, eight"
    limited = await client.post("/auth/login/admin", {"email": ADMIN[0], "password": ADMIN[1]})
    assert (limited.status, limited.problem) == (429, "too-many")
    limited = await client.post("/auth/login/user", {"nik": new_nik(), "nama": "SITI"})
    assert limited.status == 429, "patients at this address are counted with it"
    assert int(limited.headers["Retry-After"]) >= 1

    # The rest, by address for those who have not signed in, and by account for those who have.
    while (answer := await client.get("/")).status == 200:
        assert int(answer.headers["RateLimit-Limit"]) == 40
    assert (answer.status, answer.problem) == (429, "too-many")
    assert (await client.get("/queue")).status == 429, "also where a token is missing"
    assert (await admin.get("/users/profile")).status == 200


async def test_event_streams_of_one_address_are_bounded_and_count_for_nobody(client: Client) -> None:
    async with AsyncExitStack() as open_streams:
        for _ in range(3):
            stream = await open_streams.enter_async_context(client.events("/events/board/all"))
            assert (await stream.next()) is not None
        refused = await client.get("/events/board/all")
        assert (refused.status, refused.problem) == (503, "unavailable")
        assert int(refused.headers["Retry-After"]) >= 1


async def test_health_and_metrics_requests_are_not_limited(client: Client) -> None:
    for path in ("/ready", "/metrics", "/setup"):
        statuses = {(await client.get(path)).status for _ in range(50)}
        assert statuses == {200}, path


async def test_pages_of_one_address_are_many_but_not_without_end(tmp_path: Path) -> None:
    made_with_admin(tmp_path)
    browser = {"Accept": "text/html"}
    with running(tmp_path, "[http.limits]\nrequests = 5\n") as application:
        async with client_at(application) as client:
            await client.ready()
            for path in ("/", "/kiosk", "/display/all", "/t/unknown/qr.svg"):
                page = await client.get(path, headers=browser)
                assert page.status in (200, 404)
                assert int(page.headers["RateLimit-Limit"]) == 50, path
            while (answer := await client.get("/t/unknown/qr.svg")).status == 404:
                pass
            assert (answer.status, answer.problem) == (429, "too-many")
            assert int(answer.headers["Retry-After"]) >= 1
            for path in ("/", "/setup"):
                page = await client.get(path, headers=browser)
                assert (page.status, page.headers["Content-Type"]) == (429, "text/html; charset=utf-8")
            assert (await client.get("/static/mediq.css")).status == 200, "what a page is made of counts for nobody"
            admin = await client.sign_in()
            assert (await admin.get("/kiosk")).status == 200, "who has signed in is counted apart"


class TestSeveralGateways:
    """Gateways that share a Redis count together, and each alone while Redis is away."""

    def request(self, address: str) -> web.Request:
        request = make_mocked_request("GET", "/")
        request[REQUEST_CONTEXT] = RequestContext(request_id="test", origin=Origin(address, "http"), headers={})
        return request

    async def left(self, gateway: RateLimiter, address: str) -> int:
        request = self.request(address)
        await gateway.count(request, None, Limit.GENERAL)
        told = request_context(request).ratelimit
        assert told is not None
        return int(told["RateLimit-Remaining"])

    async def test_gateways_count_together(self, redis_url: str) -> None:
        one, two = [RateLimiter(Limits(requests=6), redis_url) for _ in range(2)]
        assert [await self.left((one, two)[n % 2], "203.0.113.1") for n in range(6)] == [5, 4, 3, 2, 1, 0]
        for gateway in (one, two):
            with pytest.raises(TooMany):
                await self.left(gateway, "203.0.113.1")
        assert await self.left(two, "203.0.113.2") == 5

    async def test_gateways_count_a_burst_together(self, redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        one, two = [RateLimiter(Limits(requests=600), redis_url) for _ in range(2)]
        burst = [self.left((one, two)[n % 2], "203.0.113.6") for n in range(1500)]
        refused = [each for each in await asyncio.gather(*burst, return_exceptions=True) if isinstance(each, TooMany)]
        assert len(refused) == 900
        assert "counted by this gateway alone" not in "".join(capsys.readouterr())

    async def test_a_disconnected_caller_does_not_disturb_the_count(self, redis_url: str) -> None:
        gateway = RateLimiter(Limits(requests=6), redis_url)
        calls = [asyncio.create_task(self.left(gateway, "203.0.113.7")) for _ in range(3)]
        await asyncio.sleep(0)
        calls[1].cancel()
        assert await calls[2] == 3
        assert await self.left(gateway, "203.0.113.7") == 2

    async def test_count_failed_sign_ins_together(self, redis_url: str) -> None:
        one, two = [RateLimiter(Limits(login_requests=2), redis_url) for _ in range(2)]
        for gateway in (one, two):
            await gateway.refuse_guessing(self.request("203.0.113.3"), "sasaran@klinik.example")
            await gateway.count_failure(self.request("203.0.113.3"), "sasaran@klinik.example")
        for gateway in (one, two):
            with pytest.raises(TooMany):
                await gateway.refuse_guessing(self.request("203.0.113.3"), "sasaran@klinik.example")
            await gateway.refuse_guessing(self.request("203.0.113.4"), "sasaran@klinik.example")

    async def test_count_each_for_itself_while_redis_is_away(self) -> None:
        redis = Redis()
        try:
            await asyncio.to_thread(redis.start)
            gateway = RateLimiter(Limits(requests=3), redis.url())
            assert await self.left(gateway, "203.0.113.5") == 2
            await asyncio.to_thread(redis.kill)
            assert [await self.left(gateway, "203.0.113.5") for _ in range(3)] == [2, 1, 0]
            with pytest.raises(TooMany):
                await self.left(gateway, "203.0.113.5")
        finally:
            await asyncio.to_thread(redis.close)

"""The dispatcher with scripted services: one deadline for a request, circuits, and health without services."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from mediq.actors.users import auth_messages as auth
from mediq.actors.users import messages as user
from mediq.actors.users.tokens import Tokens
from mediq.app import now
from mediq.config import Http
from mediq.domain.clinic import DEFAULT
from mediq.domain.roles import Role
from mediq.http.gateway import Gateway
from mediq.messages.errors import NotFound, Unavailable
from mediq.messages.principal import Principal
from mediq.runtime import bus as buses
from mediq.runtime.actor import Actor, handles
from mediq.runtime.bus import Bus
from mediq.runtime.circuit_breaker import CircuitBreaker
from mediq.runtime.context import Context
from tests.fixtures.gateway import NoPictures
from tests.fixtures.runtime import AT_ONCE, Application

Client = TestClient[web.Request, web.Application]
TOKENS = Tokens("a" * 32, "b" * 32, access_seconds=86_400)
"""Access tokens that last longer than a run of all tests."""
SITI = Principal("siti", Role.ADMIN_FASKES, "s-1")
BEARER = {"Authorization": f"Bearer {TOKENS.access(SITI)}"}


class Users(Actor):
    """Answers a profile by its script; every session is alive."""

    name = "user"
    concurrency = 1

    def __init__(self, bus: Bus, script: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(bus)
        self.script = script
        self.asked = 0

    @handles(auth.CheckSession)
    async def check_session(self, message: auth.CheckSession, context: Context) -> auth.SessionState:
        return auth.SessionState(alive=True)

    @handles(user.GetProfile)
    async def profile(self, message: user.GetProfile, context: Context) -> Any:
        self.asked += 1
        return await self.script()


class SlowUsers(Actor):
    """Spends three seconds of the application's clock on a session check."""

    name = "user"

    def __init__(self, bus: Bus, application: Application) -> None:
        super().__init__(bus)
        self.application = application
        self.contexts: list[Context] = []

    @handles(auth.CheckSession)
    async def check_session(self, message: auth.CheckSession, context: Context) -> auth.SessionState:
        self.contexts.append(context)
        self.application.clock.advance(3.0)
        return auth.SessionState(alive=True)

    @handles(user.GetProfile)
    async def profile(self, message: user.GetProfile, context: Context) -> Any:
        self.contexts.append(context)
        raise NotFound("Pengguna tidak ditemukan.")


@pytest.fixture
async def application() -> AsyncIterator[Application]:
    application = Application()
    mailboxes = {name: name for name in ("user", "queue", "ocr")}
    application.bus = Bus(application.transport, mailboxes, retry=AT_ONCE, clock=application.clock)
    application.bus.breakers["user"] = CircuitBreaker("user", clock=application.clock)
    async with application:
        yield application


@pytest.fixture
async def client(application: Application, aiohttp_client: AiohttpClient) -> Client:
    gateway = Gateway(
        application.bus,
        Http(),
        DEFAULT,
        TOKENS,
        upload_max_size=1,
        check_image=lambda data: None,
        pictures=NoPictures(),
        redis_url="",
        clock=now,
    )
    await gateway.start()
    return await aiohttp_client(gateway.application())


async def test_the_session_check_and_the_request_share_one_deadline(application: Application, client: Client) -> None:
    users = SlowUsers(application.bus, application)
    await application.add_actor(users)
    began = application.clock()
    assert (await client.get("/users/profile", headers=BEARER)).status == 404
    assert [context.deadline for context in users.contexts] == [began + 5.0, began + 5.0]
    # The token is cached now, so the request has the whole time.
    again = application.clock()
    assert (await client.get("/users/profile", headers=BEARER)).status == 404
    assert users.contexts[-1].deadline == again + 5.0


@pytest.mark.parametrize("headers", [{}, BEARER, {"Cookie": f"mediq_session={TOKENS.access(SITI)}"}])
async def test_health_is_told_while_nobody_can_be_asked_who_calls(client: Client, headers: dict[str, str]) -> None:
    answer = await client.get("/health", headers=headers)
    told = await answer.json()
    assert (answer.status, told["status"]) == (200, "degraded")
    assert told["parts"]["user"]["status"] == "down"
    assert (await client.get("/", headers=headers)).status == 200
    refused = await client.get("/users/profile", headers=BEARER)
    assert refused.status == 503, "other routes still check the session"


async def test_health_requests_count_by_the_tokens_account(client: Client) -> None:
    for _ in range(3):
        mine = await client.get("/", headers=BEARER)
    anonymous = await client.get("/")
    assert (mine.headers["RateLimit-Remaining"], anonymous.headers["RateLimit-Remaining"]) == ("97", "99")
    forged = await client.get("/", headers={"Authorization": f"Bearer {Tokens('c' * 32, 'd' * 32).access(SITI)}"})
    assert forged.status == 401, "a forged token is refused"
    stale = await client.get("/", headers={"Cookie": "mediq_session=nonsense"})
    assert (stale.status, "Max-Age=0" in stale.headers["Set-Cookie"]) == (200, True)


async def circuit(client: Client) -> str:
    parts = (await (await client.get("/health")).json())["parts"]
    return str(parts.get("circuit:user", {}).get("detail", "closed"))


async def problem(answer: ClientResponse) -> tuple[int, str]:
    return answer.status, (await answer.json())["type"].removeprefix("urn:mediq:")


async def test_a_service_that_fails_is_left_alone_until_it_works_again(
    application: Application, client: Client
) -> None:
    works = False

    async def profile() -> Any:
        if works:
            raise NotFound("Pengguna tidak ditemukan.")
        raise Unavailable

    users = Users(application.bus, profile)
    await application.add_actor(users)
    assert await circuit(client) == "closed"
    answer = await client.get("/users/profile", headers=BEARER)
    assert (answer.status, users.asked) == (503, 3), "a read is asked three times"
    while await circuit(client) == "closed":
        assert (await client.get("/users/profile", headers=BEARER)).status == 503
        assert users.asked < 50
    asked = users.asked
    refused = await client.get("/users/profile", headers=BEARER)
    assert await problem(refused) == (503, "breaker-open")
    assert (int(refused.headers["Retry-After"]), users.asked) == (10, asked)
    assert await circuit(client) == "open"

    application.clock.advance(10.0)
    assert (await client.get("/users/profile", headers=BEARER)).status == 503
    assert (users.asked, await circuit(client)) == (asked + 1, "open"), "one probe"
    works = True
    application.clock.advance(10.0)
    assert (await client.get("/users/profile", headers=BEARER)).status == 404
    assert await circuit(client) == "closed"


async def test_a_service_that_hangs_costs_each_caller_their_time_until_it_is_left_alone(
    application: Application, client: Client
) -> None:
    gate = asyncio.Event()

    async def profile() -> Any:
        await gate.wait()
        raise NotFound("Pengguna tidak ditemukan.")

    await application.add_actor(Users(application.bus, profile))
    application.bus.timeout = 0.05
    answers = [await client.get("/users/profile", headers=BEARER) for _ in range(20)]
    told = [await problem(answer) for answer in answers]
    assert set(told) == {(504, "timeout"), (503, "breaker-open")}
    assert told == sorted(told, reverse=True), "timeouts first, then the open circuit"
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)
    application.bus.timeout = 5.0
    gate.set()
    application.clock.advance(10.0)
    assert (await client.get("/users/profile", headers=BEARER)).status == 404
    assert await circuit(client) == "closed"


async def test_a_service_with_a_full_mailbox_refuses_callers_quickly(
    application: Application, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()
    gate.set()

    async def profile() -> Any:
        await gate.wait()
        raise NotFound("Pengguna tidak ditemukan.")

    await application.add_actor(Users(application.bus, profile))
    assert (await client.get("/users/profile", headers=BEARER)).status == 404
    gate.clear()
    monkeypatch.setattr(buses, "_ROOM_SECONDS", 0.05)
    application.broker.capacity = 2
    crowd = [asyncio.create_task(client.get("/users/profile", headers=BEARER)) for _ in range(30)]
    turned_away = 0
    for coming in asyncio.as_completed(crowd):
        answer = await coming
        if answer.status == 503:
            assert await problem(answer) == (503, "mailbox-full")
            assert int(answer.headers["Retry-After"]) == 1
            turned_away += 1
        else:
            assert answer.status == 404
        if turned_away == 26:  # two waited in the mailbox, and two were taken from it
            gate.set()
    assert turned_away == 26
    assert await circuit(client) == "closed", "the service works, and the accepted callers got answers"

"""The gateway over services that follow a script: one time for everything, and no questions where none are needed."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from mediq.actors.gateway import GatewayActor
from mediq.config import Http
from mediq.domain.clinic import DEFAULT
from mediq.domain.roles import Role
from mediq.http.app import Gateway
from mediq.http.tokens import Tokens
from mediq.kernel.actor import Actor, handles
from mediq.kernel.bus import Bus
from mediq.kernel.context import Context
from mediq.messages import auth, user
from mediq.messages.errors import NotFound
from mediq.messages.principal import Principal
from mediq.roles import now
from mediq.transport.memory import MemoryTransport
from tests.unit.kernel.support import House

TOKENS = Tokens("a" * 32, "b" * 32)
SITI = Principal("siti", Role.ADMIN_FASKES, "s-1")
BEARER = {"Authorization": f"Bearer {TOKENS.access(SITI)}"}


class SlowUsers(Actor):
    """Takes three seconds of the house's clock to look a session up."""

    name = "user"

    def __init__(self, bus: Bus, house: House) -> None:
        super().__init__(bus)
        self.house = house
        self.contexts: list[Context] = []

    @handles(auth.CheckSession)
    async def check_session(self, message: auth.CheckSession, context: Context) -> auth.SessionState:
        self.contexts.append(context)
        self.house.clock.advance(3.0)
        return auth.SessionState(alive=True)

    @handles(user.GetProfile)
    async def profile(self, message: user.GetProfile, context: Context) -> Any:
        self.contexts.append(context)
        raise NotFound("Pengguna tidak ditemukan.")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    mailboxes = {name: name for name in ("user", "queue", "ocr", "gateway")}
    house.transport = MemoryTransport(house.broker)
    house.bus = Bus(house.transport, mailboxes, clock=house.clock)
    async with house:
        await house.employ(GatewayActor(house.bus))
        yield house


@pytest.fixture
async def client(house: House) -> AsyncIterator[TestClient[Any, Any]]:
    gateway = Gateway(
        house.bus,
        Http(),
        DEFAULT,
        TOKENS,
        upload_max_size=1,
        check_image=lambda data: None,
        redis_url="",
        clock=now,
    )
    await gateway.start()
    async with TestClient(TestServer(gateway.application())) as client:
        yield client


async def test_looking_a_session_up_and_asking_have_one_time_together(
    house: House, client: TestClient[Any, Any]
) -> None:
    users = SlowUsers(house.bus, house)
    await house.employ(users)
    began = house.clock()
    assert (await client.get("/users/profile", headers=BEARER)).status == 404
    assert [context.deadline for context in users.contexts] == [began + 5.0, began + 5.0]
    # The token is believed now, and the whole time is there for what was asked.
    again = house.clock()
    assert (await client.get("/users/profile", headers=BEARER)).status == 404
    assert users.contexts[-1].deadline == again + 5.0


@pytest.mark.parametrize("headers", [{}, BEARER, {"Cookie": f"mediq_session={TOKENS.access(SITI)}"}])
async def test_health_is_told_while_nobody_can_be_asked_who_calls(
    client: TestClient[Any, Any], headers: dict[str, str]
) -> None:
    answer = await client.get("/health", headers=headers)
    told = await answer.json()
    assert (answer.status, told["status"]) == (200, "degraded")
    assert told["parts"]["user"]["status"] == "down"
    assert (await client.get("/", headers=headers)).status == 200
    refused = await client.get("/users/profile", headers=BEARER)
    assert refused.status == 503, "who is let in for what they may do is looked up all the same"


async def test_health_counts_by_account_whose_token_is_shown(client: TestClient[Any, Any]) -> None:
    for _ in range(3):
        mine = await client.get("/", headers=BEARER)
    anonymous = await client.get("/")
    assert (mine.headers["RateLimit-Remaining"], anonymous.headers["RateLimit-Remaining"]) == ("97", "99")
    forged = await client.get("/", headers={"Authorization": f"Bearer {Tokens('c' * 32, 'd' * 32).access(SITI)}"})
    assert forged.status == 401, "what is shown must be true"
    stale = await client.get("/", headers={"Cookie": "mediq_session=nonsense"})
    assert (stale.status, "Max-Age=0" in stale.headers["Set-Cookie"]) == (200, True)

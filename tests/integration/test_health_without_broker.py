"""The health of a gateway whose RabbitMQ is away: it still answers, and says what is down."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.fixtures.application import GENEROUS, HANG, Application
from tests.fixtures.client import POLL, Client, client_at
from tests.fixtures.servers import RabbitMQ


@pytest.fixture
def gateway(rabbitmq: RabbitMQ, redis_url: str, tmp_path: Path) -> Iterator[Application]:
    """A gateway process alone: no service behind it answers."""
    environ = {
        "RABBITMQ_URL": rabbitmq.url(),
        "REDIS_URL": redis_url,
        "JWT_SECRET": secrets.token_urlsafe(48),
        "JWT_REFRESH_SECRET": secrets.token_urlsafe(48),
    }
    application = Application(tmp_path, GENEROUS, environ, role="gateway")
    try:
        yield application.start()
        assert application.stop() == 0, application.log
    finally:
        if application.process is not None and application.process.poll() is None:
            application.kill()


async def test_a_gateway_says_what_is_down_while_rabbitmq_is_away(rabbitmq: RabbitMQ, gateway: Application) -> None:
    async with client_at(gateway) as client:

        async def broker_is(status: str) -> bool:
            health = await client.get("/health")
            assert health.status == 200, health
            return bool(health.body["parts"]["broker"]["status"] == status)

        await until(lambda: broker_is("up"))
        assert (await client.get("/")).body["status"] == "up"
        assert (await client.get("/health")).body["status"] == "degraded", "no service answers, and the gateway does"
        try:
            await asyncio.to_thread(rabbitmq.stop)
            await until(lambda: broker_is("down"))
            await assert_down(client)
        finally:
            await asyncio.to_thread(rabbitmq.start)
        await until(lambda: broker_is("up"))
        home = await client.get("/")
        assert (home.status, home.body["status"], "parts" in home.body) == (200, "up", False)


async def assert_down(client: Client) -> None:
    health, home = await client.get("/health"), await client.get("/")
    assert (health.status, health.body["status"]) == (200, "down")
    assert {name: part["status"] for name, part in health.body["parts"].items() if not name.startswith("circuit:")} == {
        "broker": "down",
        "user": "down",
        "ocr": "down",
        "queue": "down",
    }
    assert all(part["detail"] for part in health.body["parts"].values())
    assert (home.status, home.body["status"], home.body["service"]) == (200, "down", "gateway")
    assert home.body["parts"]["broker"]["status"] == "down"


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when the condition holds; nothing tells a test when another process notices."""
    async with asyncio.timeout(HANG):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(POLL)

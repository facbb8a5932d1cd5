"""A connection to RabbitMQ that is lost, tested without a broker."""

import asyncio

import pytest

from mediq.messages.errors import Unavailable
from mediq.transport.rabbitmq.connection import Connection, WatchedConnection, broker_errors

URL_OF_NO_BROKER = "amqp://guest:guest@127.0.0.1:1/"


@pytest.fixture
async def connection() -> WatchedConnection:
    """A connection that believes to be up."""
    connection = WatchedConnection("test", URL_OF_NO_BROKER, 1.0, on_lost=lambda: None)
    await connection.begin_restoring()
    connection.restored.set()
    return connection


async def wait_for_ever(connection: WatchedConnection) -> None:
    async with connection.alive():
        await asyncio.get_running_loop().create_future()


async def test_everything_that_waits_on_a_connection_fails_when_it_ends(connection: WatchedConnection) -> None:
    waiting = [asyncio.create_task(wait_for_ever(connection)) for _ in range(3)]
    await asyncio.sleep(0)
    await connection.close()
    await connection.close()
    for task in waiting:
        with pytest.raises(Unavailable):
            await task


async def test_nothing_begins_on_a_connection_that_is_not_up(connection: WatchedConnection) -> None:
    await connection.close()
    with pytest.raises(Unavailable):
        await wait_for_ever(connection)
    with pytest.raises(Unavailable):
        await connection.channel()


async def test_a_publish_before_the_connection_is_open_is_refused() -> None:
    connection = Connection(URL_OF_NO_BROKER, 1.0, on_lost=lambda: None)
    with pytest.raises(Unavailable):
        await connection.publish("box", b"")


async def test_a_cancellation_by_the_client_library_is_a_fault() -> None:
    broken = asyncio.get_running_loop().create_future()
    broken.set_exception(asyncio.CancelledError())
    with pytest.raises(Unavailable), broker_errors():
        await broken


async def test_a_cancellation_of_the_task_itself_stays_a_cancellation(connection: WatchedConnection) -> None:
    waiting = asyncio.create_task(wait_for_ever(connection))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

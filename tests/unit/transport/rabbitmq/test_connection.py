"""What a link does when it is lost, without a broker."""

import asyncio

import pytest

from mediq.messages.errors import Unavailable
from mediq.transport.rabbitmq.connection import Link, broker_errors


async def wait_for_ever(link: Link) -> None:
    async with link.alive():
        await asyncio.get_running_loop().create_future()


async def test_whoever_waits_when_a_link_is_lost_is_told() -> None:
    link = Link()
    waiting = [asyncio.create_task(wait_for_ever(link)) for _ in range(3)]
    await asyncio.sleep(0)
    link.lose()
    link.lose()
    for task in waiting:
        with pytest.raises(Unavailable):
            await task


async def test_nothing_begins_on_a_lost_link() -> None:
    link = Link()
    link.lose()
    with pytest.raises(Unavailable):
        await wait_for_ever(link)
    with pytest.raises(Unavailable):
        await link.publish("box", b"")


async def test_a_cancellation_that_the_client_library_made_up_is_a_fault() -> None:
    broken = asyncio.get_running_loop().create_future()
    broken.set_exception(asyncio.CancelledError())
    with pytest.raises(Unavailable), broker_errors():
        await broken


async def test_a_cancellation_of_ones_own_stays_one() -> None:
    link = Link()
    waiting = asyncio.create_task(wait_for_ever(link))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

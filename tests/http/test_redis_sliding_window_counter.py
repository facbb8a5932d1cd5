"""Gateways that share a Redis count like one gateway alone, and do so again soon after Redis was away."""

import asyncio
import time

import pytest
from redis.asyncio import Redis as Client

from mediq.http.redis_sliding_window_counter import RedisSlidingWindowCounter
from mediq.http.sliding_window_counter import SlidingWindowCounter, WindowCount
from tests.fixtures.servers import Redis

LENGTH = 10**9
"""Seconds of a window, so long that it never ends during a test."""


def alike(one: WindowCount | None, other: WindowCount) -> bool:
    """Whether two counts are equal, apart from the time between them."""
    assert one is not None
    return (one.allowed, one.left) == (other.allowed, other.left) and abs(one.seconds - other.seconds) < 60


async def test_the_redis_counter_counts_like_the_one_in_memory(redis_url: str) -> None:
    now = time.time()
    own, shared = SlidingWindowCounter(LENGTH, lambda: now), RedisSlidingWindowCounter(redis_url, LENGTH)
    async with Client.from_url(redis_url) as redis:
        for windows_later in (0, 1, 2):
            now += windows_later * LENGTH
            if windows_later:
                await redis.hincrby("mediq:calls:a", "window", -windows_later)
            for hit in (False, *[True] * 40, False):
                there, here = await shared.count("a", 30, hit=hit), own.count("a", 30, hit=hit)
                assert alike(there, here), (windows_later, there, here)
        assert not here.allowed
        assert 0 < await redis.ttl("mediq:calls:a") <= 2 * LENGTH, "nothing is kept for ever"
    await shared.close()


async def test_the_redis_counter_counts_again_when_redis_is_back(capsys: pytest.CaptureFixture[str]) -> None:
    redis = Redis()
    try:
        await asyncio.to_thread(redis.start)
        shared = RedisSlidingWindowCounter(redis.url(), LENGTH, pause=0.0)
        assert (await shared.count("a", 9)) is not None
        await asyncio.to_thread(redis.kill)
        assert await asyncio.gather(*[shared.count("a", 9) for _ in range(50)]) == [None] * 50
        assert await shared.count("a", 9) is None
        await asyncio.to_thread(redis.start)
        found = await shared.count("a", 9)
        assert found is not None
        assert found.left == 7, "of those that it was there for"
        await shared.close()
    finally:
        await asyncio.to_thread(redis.close)
    assert "".join(capsys.readouterr()).count("counted by this gateway alone") == 1


async def test_a_hanging_redis_delays_no_caller() -> None:
    redis = Redis()
    try:
        await asyncio.to_thread(redis.start)
        shared = RedisSlidingWindowCounter(redis.url(), LENGTH, pause=3600.0)
        assert (await shared.count("a", 9)) is not None
        redis.freeze()
        assert await asyncio.gather(*[shared.count("a", 9) for _ in range(50)]) == [None] * 50
        counting = shared.count("a", 9)
        with pytest.raises(StopIteration):
            counting.send(None)  # at once: it was asked a moment ago
        redis.thaw()
        await shared.close()
    finally:
        redis.thaw()
        await asyncio.to_thread(redis.close)

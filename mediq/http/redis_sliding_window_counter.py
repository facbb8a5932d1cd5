"""Sliding-window counter in Redis, by which several gateways count together.

Calls that arrive while Redis is working are counted by one script afterwards. A thousand calls at once thus take a few
round trips over one connection, and a few syncs of the server's disk.
"""

import asyncio
from contextvars import Context
from typing import Final

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from mediq.http.sliding_window_counter import WindowCount, window_count
from mediq.observability import logging

_log = logging.logger("limits")
_ANSWER_SECONDS: Final = 0.5
"""Seconds in which Redis must answer."""
_BATCH: Final = 200
"""The most calls that one script counts: the server does nothing else while it runs."""
_COUNT: Final = """
local seconds = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local window = math.floor(now / seconds)
local rest = (window + 1) * seconds - now
local found = {}
for i, key in ipairs(KEYS) do
    local limit, hit = tonumber(ARGV[2 * i]), ARGV[2 * i + 1] == '1'
    local kept = redis.call('HMGET', key, 'window', 'calls', 'before')
    local calls, before = tonumber(kept[2]) or 0, tonumber(kept[3]) or 0
    local behind = window - (tonumber(kept[1]) or 0)
    if behind > 0 then
        before = behind == 1 and calls or 0
        calls = 0
    end
    local allowed = before * rest / seconds + calls < limit
    if allowed and hit then
        calls = calls + 1
        redis.call('HSET', key, 'window', window, 'calls', calls, 'before', before)
        redis.call('EXPIRE', key, 2 * seconds)
    end
    found[i] = {allowed and 1 or 0, calls, before}
end
return {tostring(rest), found}
"""
"""The algorithm of :class:`SlidingWindowCounter` for several callers, by the clock of the server."""


class _Call(msgspec.Struct, frozen=True):
    caller: str
    limit: int
    hit: bool
    answer: asyncio.Future[WindowCount | None]


class RedisSlidingWindowCounter:
    """Counts the calls of all gateways that share the Redis at `url`.

    `seconds` is the length of a window. After a failure Redis is not asked for `pause` seconds.
    """

    def __init__(self, url: str, seconds: int, *, pause: float = 1.0) -> None:
        self._seconds = seconds
        self._pause = pause
        self._redis = Redis.from_url(
            url,
            socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),  # the gateway counts alone rather than wait
        )
        self._count = self._redis.register_script(_COUNT)
        self._waiting: list[_Call] = []
        self._sending: asyncio.Task[None] | None = None
        self._away = False
        self._again_at = 0.0

    async def count(self, caller: str, limit: int, *, hit: bool = True) -> WindowCount | None:
        """Like :meth:`SlidingWindowCounter.count`; None if Redis does not answer, or has just failed to."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._again_at:
            return None
        call = _Call(caller, limit, hit, loop.create_future())
        self._waiting.append(call)
        if self._sending is None or self._sending.done():
            self._sending = loop.create_task(
                self._send(), context=Context()
            )  # for all waiting calls, not for one request
        return await call.answer

    async def close(self) -> None:
        """Disconnect."""
        if self._sending is not None:
            await asyncio.wait([self._sending])
        await self._redis.aclose()

    async def _send(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            try:
                found = await self._ask(batch)
            except (RedisError, OSError) as error:
                self._pause_after(type(error).__name__)
                batch += self._waiting
                self._waiting = []
            else:
                self._note_success()
                for call, each in zip(batch, found, strict=True):
                    if not call.answer.done():  # otherwise the caller has gone away
                        call.answer.set_result(each)
            finally:
                for call in batch:
                    if not call.answer.done():
                        call.answer.set_result(None)

    async def _ask(self, batch: list[_Call]) -> list[WindowCount]:
        keys = [f"mediq:calls:{call.caller}" for call in batch]
        wanted = [part for call in batch for part in (call.limit, int(call.hit))]
        rest, found = await self._count(keys, [self._seconds, *wanted])
        return [
            window_count(bool(allowed), call.limit, calls, before, float(rest), self._seconds)
            for call, (allowed, calls, before) in zip(batch, found, strict=True)
        ]

    def _pause_after(self, error: str) -> None:
        self._again_at = asyncio.get_running_loop().time() + self._pause
        if not self._away:
            self._away = True
            _log.warning("calls counted by this gateway alone", error=error)

    def _note_success(self) -> None:
        if self._away:
            self._away = False
            _log.info("calls counted together again")

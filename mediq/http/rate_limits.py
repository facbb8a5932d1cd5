"""Rate limits: calls of signed-in users count by account, anonymous calls by address."""

import hashlib
import math
from typing import TYPE_CHECKING, Final

from aiohttp import web

from mediq.config import Limits
from mediq.http.request_context import request_context
from mediq.http.routes import Limit
from mediq.http.sliding_window_counter import SlidingWindowCounter, WindowCount
from mediq.messages.errors import TooMany
from mediq.messages.principal import Principal

if TYPE_CHECKING:
    from mediq.http.redis_sliding_window_counter import RedisSlidingWindowCounter

_PAGES: Final = 10
"""How many times more pages than calls are allowed: a whole waiting room may share one address."""


class RateLimiter:
    """The clinic's rate limits, counted in memory or, with a `redis_url`, together with the other gateways."""

    def __init__(self, limits: Limits, redis_url: str = "") -> None:
        window = max(1, round(limits.window_ms / 1000))
        self._own = SlidingWindowCounter(window)
        self._shared = _redis_counter(redis_url, window) if redis_url else None
        most = {
            Limit.GENERAL: limits.requests,
            Limit.LOGIN: limits.login_requests,
            Limit.CARD: limits.card_requests,
            Limit.NIK: limits.nik_requests,
            Limit.PAGE: _PAGES * limits.requests,
        }
        self._limits = {limit: (limit.value, calls, str(calls)) for limit, calls in most.items()}
        self._failures = limits.login_requests

    async def close(self) -> None:
        """Disconnect from Redis."""
        if self._shared is not None:
            await self._shared.close()

    async def count(self, request: web.Request, principal: Principal | None, limit: Limit) -> None:
        """Count one call, and put the number of calls left into the response's headers.

        Raises:
            TooMany: with the seconds to wait.
        """
        (name, most, most_text), context = self._limits[limit], request_context(request)
        who = f"account:{principal.user_id}" if principal else f"address:{context.origin.address}"
        found = await self._count(f"{name}:{who}", most)
        context.ratelimit = {
            "RateLimit-Limit": most_text,
            "RateLimit-Remaining": str(found.left),
            "RateLimit-Reset": str(math.ceil(found.seconds)),
        }
        if not found.allowed:
            raise _too_many(found)

    async def refuse_guessing(self, request: web.Request, account: str) -> None:
        """Refuse an attempt to sign in after too many failed ones on the same account.

        All addresses together may fail ten times as often as one, so that a stranger cannot easily lock out the
        account's owner.

        Raises:
            TooMany: with the seconds to wait.
        """
        for who, most in self._attempts(request, account):
            found = await self._count(who, most, hit=False)
            if not found.allowed:
                raise _too_many(found)

    async def count_failure(self, request: web.Request, account: str) -> None:
        """Count a failed attempt to sign in to an account."""
        for who, most in self._attempts(request, account):
            await self._count(who, most)

    def _attempts(self, request: web.Request, account: str) -> tuple[tuple[str, int], ...]:
        most = self._failures
        # Hashed, since operators of a shared Redis see its keys.
        name = hashlib.sha256(account.encode()).hexdigest()[:32]
        return (f"attempt:{name}:{request_context(request).origin.address}", most), (f"attempt:{name}", 10 * most)

    async def _count(self, who: str, most: int, *, hit: bool = True) -> WindowCount:
        """Count together with other gateways, or alone while Redis is away."""
        if self._shared is not None and (found := await self._shared.count(who, most, hit=hit)) is not None:
            return found
        return self._own.count(who, most, hit=hit)


def _redis_counter(redis_url: str, window: int) -> "RedisSlidingWindowCounter":
    from mediq.http.redis_sliding_window_counter import RedisSlidingWindowCounter  # its client takes 100 ms to import

    return RedisSlidingWindowCounter(redis_url, window)


def _too_many(found: WindowCount) -> TooMany:
    return TooMany("Terlalu banyak permintaan. Tunggu sebentar.", retry_after=max(1.0, found.seconds))

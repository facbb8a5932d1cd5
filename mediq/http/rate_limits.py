"""How often a caller may ask: signed-in calls count by account, anonymous ones by address."""

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
"""Pages of a browser for each call that may be made: a whole waiting room may have one address."""


class RateLimiter:
    """The clinic's rate limits: in memory, or shared by all gateways over the Redis at `redis_url`."""

    def __init__(self, limits: Limits, redis_url: str = "") -> None:
        window = max(1, round(limits.window_ms / 1000))
        self._own = SlidingWindowCounter(window)
        self._shared = _together(redis_url, window) if redis_url else None
        most = {
            Limit.GENERAL: limits.requests,
            Limit.LOGIN: limits.login_requests,
            Limit.CARD: limits.card_requests,
            Limit.NIK: limits.nik_requests,
            Limit.PAGE: _PAGES * limits.requests,
        }
        self._limits = {limit: (limit.value, calls, str(calls)) for limit, calls in most.items()}
        self._strict = limits.login_requests

    async def close(self) -> None:
        """Leave the shared store."""
        if self._shared is not None:
            await self._shared.close()

    async def count(self, request: web.Request, principal: Principal | None, limit: Limit) -> None:
        """Count one call; what is left goes into the response's headers.

        Raises:
            TooMany: with the seconds after which to ask again.
        """
        (name, most, told), context = self._limits[limit], request_context(request)
        who = f"account:{principal.user_id}" if principal else f"address:{context.origin.address}"
        found = await self._count(f"{name}:{who}", most)
        context.ratelimit = {
            "RateLimit-Limit": told,
            "RateLimit-Remaining": str(found.left),
            "RateLimit-Reset": str(math.ceil(found.seconds)),
        }
        if not found.allowed:
            raise _too_many(found)

    async def refuse_guessing(self, request: web.Request, account: str) -> None:
        """Let nobody try an account on which too many attempts have failed of late.

        From one address few may fail, from all together ten times as many: so a stranger cannot easily lock the
        account's holder out.

        Raises:
            TooMany: with the seconds after which to try again.
        """
        for who, most in self._attempts(request, account):
            found = await self._count(who, most, hit=False)
            if not found.allowed:
                raise _too_many(found)

    async def note_failure(self, request: web.Request, account: str) -> None:
        """Count a failed attempt on an account."""
        for who, most in self._attempts(request, account):
            await self._count(who, most)

    def _attempts(self, request: web.Request, account: str) -> tuple[tuple[str, int], ...]:
        strict = self._strict
        # Hashed, since the keys of a shared store are seen by whoever looks after it.
        name = hashlib.sha256(account.encode()).hexdigest()[:32]
        return (f"attempt:{name}:{request_context(request).origin.address}", strict), (f"attempt:{name}", 10 * strict)

    async def _count(self, who: str, most: int, *, hit: bool = True) -> WindowCount:
        """What is counted together with other gateways, or by this one alone while that is not possible."""
        if self._shared is not None and (found := await self._shared.count(who, most, hit=hit)) is not None:
            return found
        return self._own.count(who, most, hit=hit)


def _together(redis_url: str, window: int) -> "RedisSlidingWindowCounter":
    from mediq.http.redis_sliding_window_counter import RedisSlidingWindowCounter  # whose client takes 100 ms to import

    return RedisSlidingWindowCounter(redis_url, window)


def _too_many(found: WindowCount) -> TooMany:
    return TooMany("Terlalu banyak permintaan. Tunggu sebentar.", retry_after=max(1.0, found.seconds))

"""How often a caller may ask: signed-in calls count by account, anonymous ones by address."""

import hashlib
import math
import time
from typing import Final

from aiohttp import web
from limits import RateLimitItem, RateLimitItemPerSecond, WindowStats
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string

from mediq import observe
from mediq.config import Limits
from mediq.messages.errors import TooMany
from mediq.messages.principal import Principal

from .origin import origin_of
from .routes import Limit

_log = observe.logger("limits")
_REDIS_SECONDS: Final = 0.5
"""How long shared counting may take before a gateway counts by itself."""

_PAGES: Final = 10
"""Pages of a browser for each call that may be made: a whole waiting room may have one address."""


class RateLimiter:
    """The clinic's rate limits: in memory, or shared by all gateways over the Redis at `redis_url`."""

    def __init__(self, limits: Limits, redis_url: str = "") -> None:
        window = max(1, round(limits.window_ms / 1000))
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared = SlidingWindowCounterRateLimiter(_redis(redis_url)) if redis_url else self._own
        self._items: dict[Limit, RateLimitItem] = {
            Limit.GENERAL: RateLimitItemPerSecond(limits.requests, window, "general"),
            Limit.LOGIN: RateLimitItemPerSecond(limits.login_requests, window, "login"),
            Limit.CARD: RateLimitItemPerSecond(limits.card_requests, window, "card"),
            Limit.NIK: RateLimitItemPerSecond(limits.nik_requests, window, "nik"),
            Limit.PAGE: RateLimitItemPerSecond(_PAGES * limits.requests, window, "pages"),
        }

    async def count(self, request: web.Request, principal: Principal | None, limit: Limit) -> None:
        """Count one call; what is left goes into the response's headers.

        Raises:
            TooMany: with the seconds after which to ask again.
        """
        item = self._items[limit]
        who = f"account:{principal.user_id}" if principal else f"address:{origin_of(request).address}"
        allowed, stats = await self._ask(item, who, hit=True)
        request["ratelimit"] = {
            "RateLimit-Limit": str(item.amount),
            "RateLimit-Remaining": str(max(0, stats.remaining)),
            "RateLimit-Reset": str(math.ceil(_seconds_left(stats))),
        }
        if not allowed:
            raise _too_many(stats)

    async def refuse_guessing(self, request: web.Request, account: str) -> None:
        """Let nobody try an account on which too many attempts have failed of late.

        From one address few may fail, from all together ten times as many: so a stranger cannot easily lock the
        account's holder out.

        Raises:
            TooMany: with the seconds after which to try again.
        """
        for item, who in self._attempts(request, account):
            allowed, stats = await self._ask(item, who, hit=False)
            if not allowed:
                raise _too_many(stats)

    async def note_failure(self, request: web.Request, account: str) -> None:
        """Count a failed attempt on an account."""
        for item, who in self._attempts(request, account):
            await self._ask(item, who, hit=True)

    def _attempts(self, request: web.Request, account: str) -> tuple[tuple[RateLimitItem, str], ...]:
        strict = self._items[Limit.LOGIN]
        # Hashed, since the keys of a shared store are seen by whoever looks after it.
        name = hashlib.sha256(account.encode()).hexdigest()[:32]
        loose = RateLimitItemPerSecond(10 * strict.amount, strict.multiples, "login-anywhere")
        return (strict, f"attempt:{name}:{origin_of(request).address}"), (loose, f"attempt:{name}")

    async def _ask(self, item: RateLimitItem, who: str, *, hit: bool) -> tuple[bool, WindowStats]:
        """Whether one more is allowed, counting it if `hit`, and what the window holds."""
        try:
            return await _ask(self._shared, item, who, hit)
        except StorageError as error:
            _log.warning("calls counted by this gateway alone", error=type(error.storage_error).__name__)
            return await _ask(self._own, item, who, hit)


async def _ask(
    strategy: SlidingWindowCounterRateLimiter, item: RateLimitItem, who: str, hit: bool
) -> tuple[bool, WindowStats]:
    allowed = await (strategy.hit(item, who) if hit else strategy.test(item, who))
    return allowed, await strategy.get_window_stats(item, who)


def _seconds_left(stats: WindowStats) -> float:
    return max(0.0, stats.reset_time - time.time())


def _too_many(stats: WindowStats) -> TooMany:
    return TooMany("Terlalu banyak permintaan. Tunggu sebentar.", retry_after=max(1.0, _seconds_left(stats)))


def _redis(redis_url: str) -> Storage:
    return storage_from_string(
        f"async+{redis_url}",  # type: ignore[return-value]
        implementation="redispy",
        wrap_exceptions=True,
        key_prefix="mediq:limits",
        socket_timeout=_REDIS_SECONDS,
        socket_connect_timeout=_REDIS_SECONDS,
    )

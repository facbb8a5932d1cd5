"""How often a caller may ask: signed-in calls count by account, anonymous ones by address."""

import math
import time
from typing import Final

from aiohttp import web
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string

from mediq import observe
from mediq.config import Limits
from mediq.messages.errors import TooMany
from mediq.messages.principal import Principal

from .routes import Limit

_log = observe.logger("limits")
_REDIS_SECONDS: Final = 0.5
"""How long shared counting may take before a gateway counts by itself."""


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
        }

    async def count(self, request: web.Request, principal: Principal | None, limit: Limit) -> None:
        """Count one call; what is left goes into the response's headers.

        Raises:
            TooMany: with the seconds after which to ask again.
        """
        await self._hit(limit, f"account:{principal.user_id}" if principal else f"address:{request.remote}", request)

    async def count_account(self, account: str, limit: Limit) -> None:
        """Count one attempt on an account, whoever makes it from wherever."""
        await self._hit(limit, f"attempt:{account}", None)

    async def _hit(self, limit: Limit, who: str, request: web.Request | None) -> None:
        item = self._items[limit]
        try:
            allowed = await self._shared.hit(item, who)
            stats = await self._shared.get_window_stats(item, who)
        except StorageError as error:
            _log.warning("calls counted by this gateway alone", error=type(error.storage_error).__name__)
            allowed = await self._own.hit(item, who)
            stats = await self._own.get_window_stats(item, who)
        reset = max(0.0, stats.reset_time - time.time())
        if request is not None:
            request["ratelimit"] = {
                "RateLimit-Limit": str(item.amount),
                "RateLimit-Remaining": str(max(0, stats.remaining)),
                "RateLimit-Reset": str(math.ceil(reset)),
            }
        if not allowed:
            raise TooMany("Terlalu banyak permintaan. Tunggu sebentar.", retry_after=max(1.0, reset))


def _redis(redis_url: str) -> Storage:
    return storage_from_string(
        f"async+{redis_url}",  # type: ignore[return-value]
        implementation="redispy",
        wrap_exceptions=True,
        key_prefix="mediq:limits",
        socket_timeout=_REDIS_SECONDS,
        socket_connect_timeout=_REDIS_SECONDS,
    )

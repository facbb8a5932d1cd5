"""How often a caller may ask: signed-in calls count by account, anonymous ones by address."""

import math
import time

from aiohttp import web
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from mediq.config import Limits
from mediq.messages.errors import TooMany
from mediq.messages.principal import Principal

from .routes import Limit


class RateLimiter:
    """The clinic's rate limits, in memory unless a shared `storage` is given."""

    def __init__(self, limits: Limits, storage: Storage | None = None) -> None:
        window = max(1, round(limits.window_ms / 1000))
        self._strategy = SlidingWindowCounterRateLimiter(storage or MemoryStorage())
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
        allowed = await self._strategy.hit(item, who)
        stats = await self._strategy.get_window_stats(item, who)
        reset = max(0.0, stats.reset_time - time.time())
        if request is not None:
            request["ratelimit"] = {
                "RateLimit-Limit": str(item.amount),
                "RateLimit-Remaining": str(max(0, stats.remaining)),
                "RateLimit-Reset": str(math.ceil(reset)),
            }
        if not allowed:
            raise TooMany("Terlalu banyak permintaan. Tunggu sebentar.", retry_after=max(1.0, reset))

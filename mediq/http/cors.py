"""CORS (Fetch standard): which other sites' pages may call the API. None by default, and never with the cookie."""

from collections.abc import Collection
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Prefer, "
    "X-Request-Id, traceparent",
    "Access-Control-Max-Age": "600",
}
_READABLE: Final = (
    "Location, Preference-Applied, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Request-Id"
)


class Cors:
    """Lets pages of the given origins, such as `https://janji.example`, call the API. They sign in by token."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer preflight requests, by which a browser asks whether a page may call."""
        preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if preflight and self._allows(request):
            return web.Response(status=204, headers=_PREFLIGHT)
        return await handler(request)

    async def on_prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the headers that let a page read the response."""
        varies = response.headers.get("Vary")
        response.headers["Vary"] = f"{varies}, Origin" if varies else "Origin"
        if self._allows(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = _READABLE

    def _allows(self, request: web.Request) -> bool:
        return request.headers.get("Origin") in self._origins

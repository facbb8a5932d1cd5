"""The endpoints of a process without a gateway: its health, its readiness and its metrics."""

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from mediq.http import middleware
from mediq.http.server import Site
from mediq.messages.errors import Unavailable
from mediq.messages.health import DetailedHealth


class HealthEndpoints(Site):
    """`/health`, `/ready` and `/metrics` of one process; `report` gives its health."""

    def __init__(self, report: Callable[[], Awaitable[DetailedHealth]]) -> None:
        self._report = report
        self._accepting = True

    def drain(self) -> None:
        self._accepting = False

    def application(self) -> web.Application:
        app = web.Application(middlewares=[middleware.RequestMiddleware().middleware], client_max_size=1024)
        app.on_response_prepare.append(middleware.on_prepare)
        app.router.add_get("/health", self._health)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/metrics", middleware.serve_metrics)
        return app

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(await self._report()), content_type="application/json")

    async def _ready(self, request: web.Request) -> web.Response:
        if not self._accepting or (await self._report()).status == "down":
            raise Unavailable("Layanan ini belum siap atau sedang berhenti.", retry_after=1)
        return web.json_response({"ready": True})

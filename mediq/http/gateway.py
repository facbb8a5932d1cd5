"""The gateway: its routes, event streams and pages behind one port."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from aiohttp import web

from mediq.actors.users.tokens import Tokens
from mediq.config import Http
from mediq.domain.clinic import Clinic
from mediq.http import middleware
from mediq.http.auth import Authenticator
from mediq.http.cors import Cors
from mediq.http.dispatch import Dispatcher
from mediq.http.event_feeds import EventFeeds
from mediq.http.health import GatewayHealth
from mediq.http.idempotency_keys import IdempotencyKeys
from mediq.http.open_streams import OpenStreams
from mediq.http.openapi import ApiDocs
from mediq.http.origin import Proxies
from mediq.http.pages import WebPages
from mediq.http.rate_limits import RateLimiter
from mediq.http.routes import STAFF, Limit, table
from mediq.http.server import Site
from mediq.http.uploads import PictureStore, UploadHandler
from mediq.messages.errors import Unavailable
from mediq.runtime.bus import Bus

_JSON_LIMIT: Final = 65_536
"""Bytes that the body of a request may have; uploads are limited apart from that."""


class Gateway(Site):
    """Everything that the gateway's port serves.

    `check_image` raises an error for bytes that are no readable picture; `pictures` takes pictures for the card
    service. With a `redis_url`, several gateways count requests together. `clock` gives the time of day, with a time
    zone.
    """

    def __init__(
        self,
        bus: Bus,
        settings: Http,
        clinic: Clinic,
        tokens: Tokens,
        *,
        upload_max_size: int,
        check_image: Callable[[bytes], None],
        pictures: PictureStore,
        redis_url: str,
        clock: Callable[[], datetime],
    ) -> None:
        self.accepting = True
        self._settings = settings
        self._tokens = tokens
        self._streams = OpenStreams(settings.limits.streams)
        self._authenticator = Authenticator(tokens, bus, on_ended=self._streams.end_session)
        self._uploads = UploadHandler(bus, max_size=upload_max_size, check=check_image, pictures=pictures)
        self._limiter = RateLimiter(settings.limits, redis_url)
        self._dispatcher = Dispatcher(
            bus,
            self._authenticator,
            self._limiter,
            self._uploads,
            IdempotencyKeys(tokens.secret_for("keys")),
            GatewayHealth(bus),
        )
        self._feeds = EventFeeds(bus, clinic, clock)
        self.pages = WebPages(self._authenticator, self._limiter, self._feeds, settings, upload_max_size)

    async def start(self) -> None:
        await self._authenticator.start()
        await self._uploads.start()

    async def run(self) -> None:
        """Keep the event feeds up to date, until cancelled."""
        try:
            await self._feeds.run()
        finally:
            await self._authenticator.close()
            await self._uploads.close()
            await self._limiter.close()

    def drain(self) -> None:
        """Stop being ready, end the event streams, and answer requests that wait for a card."""
        self.accepting = False
        self._streams.end()
        self._uploads.end()

    def application(self) -> web.Application:
        """The aiohttp application, its middlewares outermost first."""
        proxies, cors = Proxies(self._settings.trusted_proxies), Cors(self._settings.cors_origins)
        requests = middleware.RequestMiddleware(proxies, self.pages.render_error)
        app = web.Application(middlewares=[requests.middleware], client_max_size=_JSON_LIMIT)
        app.on_response_prepare.append(middleware.on_prepare)
        if self._settings.cors_origins:
            app.middlewares.append(cors.middleware)
            app.on_response_prepare.append(cors.on_prepare)
        routes = table(open_registration=self._settings.registration == "open")
        for route in routes:
            handler = self._dispatcher.handler(route)
            if route.path == "/":
                app.router.add_get("/", self.pages.home_or(handler))
            else:
                app.router.add_route(route.method, route.path, handler)
        app.router.add_get("/events/board/{board}", self._board_events, allow_head=False)
        app.router.add_get("/events/operator", self._operator_events, allow_head=False)
        app.router.add_get("/events/ticket/{token}", self._ticket_events, allow_head=False)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/metrics", middleware.serve_metrics)
        ApiDocs(routes, self.pages, self._dispatcher).add_to(app)
        self.pages.add_to(app)
        return app

    async def _board_events(self, request: web.Request) -> web.StreamResponse:
        return await self._streams.serve(request, self._feeds.board(request.match_info["board"]), "board")

    async def _operator_events(self, request: web.Request) -> web.StreamResponse:
        owner = await self._dispatcher.admit(request, STAFF, Limit.GENERAL)
        # No stream outlasts a token: the client connects again with a fresh one.
        seconds = self._tokens.access_seconds
        return await self._streams.serve(request, self._feeds.operators(), "operator", owner=owner, seconds=seconds)

    async def _ticket_events(self, request: web.Request) -> web.StreamResponse:
        return await self._streams.serve(request, self._feeds.ticket(request.match_info["token"]), "ticket")

    async def _ready(self, request: web.Request) -> web.Response:
        if not self.accepting or not self._feeds.ready:
            raise Unavailable("MediQ belum siap.", retry_after=1)
        return web.json_response({"ready": True})

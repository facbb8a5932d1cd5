"""Serves the description of the API: `/openapi.json` for programs and `/docs` for people."""

import gzip
from collections.abc import Iterable
from typing import Final

from aiohttp import web

from mediq.http.dispatch import Dispatcher
from mediq.http.openapi.document import document
from mediq.http.openapi.html_view import HtmlView
from mediq.http.pages import WebPages
from mediq.http.routes import Limit, Route

_GZIP: Final = {"Content-Encoding": "gzip"}


class ApiDocs:
    """Builds and encodes the document once, and renders it as one of the web `pages`.

    The page is long, so `dispatcher` counts requests for it against the caller's rate limit.
    """

    def __init__(self, routes: Iterable[Route], pages: WebPages, dispatcher: Dispatcher) -> None:
        self._pages = pages
        self._dispatcher = dispatcher
        self._plain = document(routes)
        self._compressed = gzip.compress(self._plain, mtime=0)
        self._html_view = HtmlView(self._plain)

    def add_to(self, app: web.Application) -> None:
        """Add the routes to the application."""
        app.router.add_get("/openapi.json", self._document)
        app.router.add_get("/docs", self._page)

    async def _document(self, request: web.Request) -> web.Response:
        compressed = "gzip" in request.headers.get("Accept-Encoding", "")
        return web.Response(
            body=self._compressed if compressed else self._plain,
            content_type="application/json",
            headers={"Vary": "Accept-Encoding"} | (_GZIP if compressed else {}),
        )

    async def _page(self, request: web.Request) -> web.Response:
        await self._dispatcher.admit(request, None, Limit.GENERAL, shows_token=False)
        origin = f"{request.scheme}://{request.host}"
        return self._pages.render(request, "docs.html", api=self._html_view, origin=origin)

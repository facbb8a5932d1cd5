"""What the gateway tells of its API: the document for programs, and a page for people."""

import gzip
from collections.abc import Iterable
from typing import Final

from aiohttp import web

from mediq.http.dispatch import Dispatcher
from mediq.http.openapi.document import document
from mediq.http.openapi.html_view import Reading
from mediq.http.pages import Pages
from mediq.http.routes import Limit, Route

_PACKED: Final = {"Content-Encoding": "gzip"}


class Api:
    """Serves the document, which is made and encoded once, and shows it as one of the `pages`.

    That page is long, so that `dispatcher` counts how often it is asked for.
    """

    def __init__(self, routes: Iterable[Route], pages: Pages, dispatcher: Dispatcher) -> None:
        self._pages = pages
        self._dispatcher = dispatcher
        self._plain = document(routes)
        self._reading = Reading(self._plain)
        self._packed = gzip.compress(self._plain, mtime=0)

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/openapi.json", self._document)
        app.router.add_get("/docs", self._docs)

    async def _document(self, request: web.Request) -> web.Response:
        packed = "gzip" in request.headers.get("Accept-Encoding", "")
        return web.Response(
            body=self._packed if packed else self._plain,
            content_type="application/json",
            headers={"Vary": "Accept-Encoding"} | (_PACKED if packed else {}),
        )

    async def _docs(self, request: web.Request) -> web.Response:
        await self._dispatcher.admit(request, None, Limit.GENERAL, shows_token=False)
        return self._pages.render(request, "docs.html", api=self._reading, origin=f"{request.scheme}://{request.host}")

"""What the gateway tells of its API: the document for programs."""

import gzip
from collections.abc import Iterable
from typing import Final

from aiohttp import web

from ..routes import Route
from .document import document

_PACKED: Final = {"Content-Encoding": "gzip"}


class Api:
    """Serves the document, which is made and encoded once."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._plain = document(routes)
        self._packed = gzip.compress(self._plain, mtime=0)

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/openapi.json", self._document)

    async def _document(self, request: web.Request) -> web.Response:
        packed = "gzip" in request.headers.get("Accept-Encoding", "")
        return web.Response(
            body=self._packed if packed else self._plain,
            content_type="application/json",
            headers={"Vary": "Accept-Encoding"} | (_PACKED if packed else {}),
        )

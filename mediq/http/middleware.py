"""What happens around every request: its id and log line, errors as problems, headers that keep browsers strict."""

import re
import time
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict
from prometheus_client import exposition

from mediq import observe
from mediq.kernel.context import Context, current
from mediq.messages.errors import DomainError, Fault, Internal

from . import cookie, problem
from .facts import HEADERS, PRINCIPAL, RATELIMIT, REQUEST_ID

_log = observe.logger("http")
_REQUEST_ID: Final = re.compile(r"(?!.*\d{16})[A-Za-z0-9._-]{8,64}")
"""What a caller may name a request; so many digits may be a NIK, which no log may hold."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"})
"""What metrics tell apart; a caller can make up any other."""
_ASKED_ALL_THE_TIME: Final = frozenset({"/ready", "/metrics"})
"""Probed every few seconds; their log lines would drown the others."""
_DETAILS: Final = {
    404: "Halaman ini tidak ada.",
    405: "Cara ini tidak berlaku untuk halaman ini.",
    413: "Isi permintaan terlalu besar.",
}
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_ON_ALL: Final = CIMultiDict({**SECURITY_HEADERS, "Cache-Control": "no-store"})
"""What a response says unless it says something else."""


class AccessLog:
    """Gives every request an id, and tells of it in one line and one metric."""

    def __init__(self) -> None:
        self._lines = observe.RequestLines("http")

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Name the request, for all that is done and told on its behalf, and watch what becomes of it."""
        shown = request.headers.get("X-Request-Id", "")
        request_id = shown if _REQUEST_ID.fullmatch(shown) else observe.new_id(8)
        headers = {"request_id": request_id, "traceparent": observe.traceparent(request.headers.get("traceparent"))}
        request[REQUEST_ID] = request_id
        request[HEADERS] = headers
        # For the task that aiohttp has made for this very request.
        current.set(Context(headers=headers))
        observe.whose.set(headers)
        began = time.perf_counter()
        status = 499  # the caller went away
        response: web.StreamResponse | None = None
        try:
            response = await handler(request)
            status = response.status
            return response
        finally:
            self._tell(request, response, status, time.perf_counter() - began)

    def _tell(self, request: web.Request, response: web.StreamResponse | None, status: int, seconds: float) -> None:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unknown"
        if response is None or response.content_type != "text/event-stream":  # whose time says nothing
            method = request.method if request.method in _METHODS else "other"
            observe.http_seconds_of(method, route, status).observe(seconds)
        principal = request.get(PRINCIPAL)
        line: dict[str, Any] = {
            "method": request.method,
            "route": route,  # never the path, which may name a patient
            "status": status,
            "ms": round(seconds * 1000, 1),
            "role": principal.role.value if principal else None,
        }
        if route in _ASKED_ALL_THE_TIME:
            _log.debug("request", **line)
        else:
            headers = request[HEADERS]
            self._lines.info(headers, **line)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error as a problem; what nobody foresaw is logged with its traceback and answered as 500."""
    request_id = request[REQUEST_ID]
    try:
        return await handler(request)
    except (DomainError, Fault) as error:
        return problem.response(error, request_id)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        detail = _DETAILS.get(error.status, "Permintaan ini tidak dapat dilayani.")
        code = re.sub(r"[^a-z]+", "-", error.reason.lower())
        return problem.render(error.status, code, detail, request_id, headers=headers)
    except ConnectionError:
        raise
    except Exception:
        _log.exception("request failed")
        return problem.response(Internal(), request_id)


async def metrics(request: web.Request) -> web.Response:
    """What Prometheus reads."""
    encode, content_type = exposition.choose_encoder(request.headers.get("Accept", ""))
    return web.Response(body=encode(observe.registry), headers={"Content-Type": content_type})


async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that every response carries, event streams too."""
    headers = response.headers
    headers.merge(_ON_ALL)
    headers[hdrs.SERVER] = "MediQ"  # aiohttp has put its version there
    if (request_id := request.get(REQUEST_ID)) is not None:
        headers["X-Request-Id"] = request_id
    if (ratelimit := request.get(RATELIMIT)) is not None:
        headers.update(ratelimit)
    if (to_set := cookie.header(request)) is not None:
        headers.add(hdrs.SET_COOKIE, to_set)

"""What happens around every request: its facts, its log line, errors as problems, headers that keep browsers strict."""

import re
import time
from collections.abc import Callable
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict
from prometheus_client import exposition

from mediq.http import problem
from mediq.http.origin import Proxies
from mediq.http.request_context import REQUEST_CONTEXT, RequestContext, request_context
from mediq.http.sse import EVENT_STREAM
from mediq.messages.errors import DomainError, Fault, Internal
from mediq.observability import logging, metrics, tracing
from mediq.runtime.context import Context, current

_log = logging.logger("http")
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
_HEADERS: Final = CIMultiDict(
    {
        "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; "
        "base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
)
"""What a response says unless it says something else."""
_HEADERS_OF_DATA: Final = CIMultiDict(
    {
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
)
"""The same for data, which open nothing and are opened in nothing, whoever shows them."""
_DATA: Final = frozenset({"application/json", "application/problem+json", EVENT_STREAM})


class RequestMiddleware:
    """Around every request: finds out where it comes from, gives it an id, answers errors as problems, and tells of it
    in one line and one metric.

    `render_error` shows a problem to people, as those who ask with a browser are.
    """

    def __init__(
        self,
        proxies: Proxies | None = None,
        render_error: Callable[[web.Request, web.Response], web.Response] | None = None,
    ) -> None:
        self._proxies = proxies or Proxies()
        self._render_error = render_error
        self._lines = logging.RequestLines("http")

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Write down the request's facts, for all that is done and told on its behalf, and watch what becomes of it."""
        shown = request.headers.get("X-Request-Id")
        request_id = shown if shown and _REQUEST_ID.fullmatch(shown) else tracing.new_id(8)
        headers = {"request_id": request_id, "traceparent": tracing.traceparent(request.headers.get("traceparent"))}
        context = RequestContext(request_id=request_id, origin=self._proxies.origin(request), headers=headers)
        request[REQUEST_CONTEXT] = context
        current.set(Context(headers=headers))  # for the task that aiohttp has made for this very request
        began = time.perf_counter()
        status = 499  # the caller went away
        response: web.StreamResponse | None = None
        try:
            try:
                response = await handler(request)
            except Exception as error:
                response = self._answer(request, error)
            status = response.status
            return response
        finally:
            self._tell(request, context, response, status, time.perf_counter() - began)

    def _answer(self, request: web.Request, error: Exception) -> web.Response:
        """An error as a problem. Raises what is none."""
        if isinstance(error, ConnectionError) or (isinstance(error, web.HTTPException) and error.status < 400):
            raise error
        answer = _problem(error, request_context(request).request_id)
        if self._render_error is None:
            return answer
        try:
            return self._render_error(request, answer)
        except Exception:
            _log.exception("problem not shown as a page")
            return answer

    def _tell(
        self,
        request: web.Request,
        context: RequestContext,
        response: web.StreamResponse | None,
        status: int,
        seconds: float,
    ) -> None:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unknown"  # never the path, which may name a patient
        if response is None or response.headers.get(hdrs.CONTENT_TYPE) != EVENT_STREAM:  # whose time says nothing
            method = request.method if request.method in _METHODS else "other"
            metrics.http_seconds.observe((method, route, str(status)), seconds)
        role = context.principal.role.value if context.principal else None
        line: dict[str, Any] = {"method": request.method, "route": route, "status": status, "role": role}
        if route in _ASKED_ALL_THE_TIME:
            _log.debug("request", ms=round(seconds * 1000, 1), **line)
        else:
            self._lines.info(context.headers, ms=seconds * 1000, **line)


def _problem(error: Exception, request_id: str) -> web.Response:
    """The problem that an error is; what nobody foresaw is logged with its traceback, and is a 500."""
    if isinstance(error, (DomainError, Fault)):
        return problem.response(error, request_id)
    if isinstance(error, web.HTTPException):
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        detail = _DETAILS.get(error.status, "Permintaan ini tidak dapat dilayani.")
        code = re.sub(r"[^a-z]+", "-", error.reason.lower())
        return problem.render(error.status, code, detail, request_id, headers=headers)
    _log.error("request failed", exc_info=error)
    return problem.response(Internal(), request_id)


async def serve_metrics(request: web.Request) -> web.Response:
    """What Prometheus reads."""
    encode, content_type = exposition.choose_encoder(request.headers.get("Accept", ""))
    return web.Response(body=encode(metrics.registry), headers={"Content-Type": content_type})


async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that every response carries, event streams too."""
    headers = response.headers
    headers.merge(_HEADERS_OF_DATA if headers.get(hdrs.CONTENT_TYPE) in _DATA else _HEADERS)
    headers[hdrs.SERVER] = "MediQ"  # aiohttp has put its version there
    if (context := request.get(REQUEST_CONTEXT)) is None:
        return
    headers["X-Request-Id"] = context.request_id
    if context.ratelimit is not None:
        headers.update(context.ratelimit)
    if context.cookie is not None:
        headers.add(hdrs.SET_COOKIE, context.cookie)

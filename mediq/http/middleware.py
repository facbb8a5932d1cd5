"""Work around every request: its context, its log line and metric, errors as problems, security headers."""

import re
import time
from collections.abc import Callable
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict
from prometheus_client import exposition

from mediq.http import problem
from mediq.http.origin import Proxies
from mediq.http.request_context import REQUEST_CONTEXT, RequestContext, request_context
from mediq.messages.errors import DomainError, Fault, Internal
from mediq.observability import logging, metrics, tracing
from mediq.runtime.context import Context, current

_log = logging.logger("http")
_REQUEST_ID: Final = re.compile(r"(?!.*\d{16})[A-Za-z0-9._-]{8,64}")
"""The id that a caller may give a request. Sixteen digits in a row may be a NIK, which no log may hold."""
_EVENT_STREAM: Final = "text/event-stream"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"})
"""The methods that metrics tell apart; callers can make up any other."""
_PROBED: Final = frozenset({"/ready", "/metrics"})
"""Routes that monitoring calls every few seconds; their log lines would hide the others."""
_DETAILS: Final = {
    404: "Halaman ini tidak ada.",
    405: "Cara ini tidak berlaku untuk halaman ini.",
    413: "Isi permintaan terlalu besar.",
}
_PAGE_HEADERS: Final = CIMultiDict(
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
"""Headers of a response that does not set them itself."""
_DATA_HEADERS: Final = CIMultiDict(
    {
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
)
"""The same for data, which load nothing and are shown within no other page."""
_DATA_TYPES: Final = frozenset({"application/json", "application/problem+json", _EVENT_STREAM})


class RequestMiddleware:
    """Gives every request a context, renders errors as problems, and writes one log line and one metric.

    `render_error` turns a problem into a page where a browser asks.

        app = web.Application(middlewares=[RequestMiddleware().middleware])
        app.on_response_prepare.append(on_prepare)
    """

    def __init__(
        self,
        proxies: Proxies | None = None,
        render_error: Callable[[web.Request, web.Response], web.Response] | None = None,
    ) -> None:
        self._proxies = proxies or Proxies()
        self._render_error = render_error
        self._request_log = logging.RequestLogger("http")

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Set the request's context, for everything that is done and logged on its behalf; then handle it."""
        shown = request.headers.get("X-Request-Id")
        request_id = shown if shown and _REQUEST_ID.fullmatch(shown) else tracing.new_id(8)
        headers = {"request_id": request_id, "traceparent": tracing.traceparent(request.headers.get("traceparent"))}
        request[REQUEST_CONTEXT] = RequestContext(
            request_id=request_id, origin=self._proxies.origin(request), headers=headers
        )
        current.set(Context(headers=headers))  # in the task that aiohttp made for this request alone
        began = time.perf_counter()
        status = 499  # the caller went away
        response: web.StreamResponse | None = None
        try:
            try:
                response = await handler(request)
            except Exception as error:
                response = self._error_response(request, error)
            status = response.status
            return response
        finally:
            self._record(request, response, status, time.perf_counter() - began)

    def _error_response(self, request: web.Request, error: Exception) -> web.Response:
        """An error as a problem; raises an error that is none, such as a lost connection."""
        if isinstance(error, ConnectionError) or (isinstance(error, web.HTTPException) and error.status < 400):
            raise error
        response = _problem(error, request_context(request).request_id)
        if self._render_error is None:
            return response
        try:
            return self._render_error(request, response)
        except Exception:
            _log.exception("problem not shown as a page")
            return response

    def _record(self, request: web.Request, response: web.StreamResponse | None, status: int, seconds: float) -> None:
        """Observe the request's duration and log it."""
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unknown"  # never the path, which may name a patient
        if response is None or response.headers.get(hdrs.CONTENT_TYPE) != _EVENT_STREAM:  # whose duration says nothing
            method = request.method if request.method in _METHODS else "other"
            metrics.http_seconds_for(method, route, str(status)).observe(seconds)
        context = request_context(request)
        role = context.principal.role.value if context.principal else None
        ms = round(seconds * 1000, 1)
        if route in _PROBED:
            _log.debug("request", method=request.method, route=route, status=status, ms=ms, role=role)
        else:
            self._request_log.info(context.headers, method=request.method, route=route, status=status, ms=ms, role=role)


def _problem(error: Exception, request_id: str) -> web.Response:
    """The problem for an error; an unexpected error is logged with its traceback and gives a 500."""
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
    """The metrics, in the format that Prometheus asks for."""
    encode, content_type = exposition.choose_encoder(request.headers.get("Accept", ""))
    return web.Response(body=encode(metrics.registry), headers={"Content-Type": content_type})


async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that every response carries, event streams included."""
    headers = response.headers
    headers.merge(_DATA_HEADERS if headers.get(hdrs.CONTENT_TYPE) in _DATA_TYPES else _PAGE_HEADERS)
    headers[hdrs.SERVER] = "MediQ"  # instead of aiohttp and its version
    if (context := request.get(REQUEST_CONTEXT)) is None:
        return
    headers["X-Request-Id"] = context.request_id
    if context.ratelimit is not None:
        headers.update(context.ratelimit)
    if context.cookie is not None:
        headers.add(hdrs.SET_COOKIE, context.cookie)

"""The context of a request: what is known about it while it is served."""

from typing import Final

import msgspec
from aiohttp import web

from mediq.http.origin import Origin
from mediq.messages.principal import Principal


class RequestContext(msgspec.Struct, kw_only=True):
    """The context of one request.

    `headers` travel with every message that is sent on the request's behalf. `principal` is the authenticated caller,
    `ratelimit` the response headers about the calls that are left, `cookie` the response's Set-Cookie; each is None
    until it is known.
    """

    request_id: str
    origin: Origin
    headers: dict[str, str]
    principal: Principal | None = None
    ratelimit: dict[str, str] | None = None
    cookie: str | None = None


REQUEST_CONTEXT: Final = web.RequestKey("request_context", RequestContext)


def request_context(request: web.Request) -> RequestContext:
    """The context that the request middleware has set."""
    return request[REQUEST_CONTEXT]

"""What is known of a request while it is served."""

from typing import Final

import msgspec
from aiohttp import web

from mediq.http.origin import Origin
from mediq.messages.principal import Principal


class RequestContext(msgspec.Struct, kw_only=True):
    """One request's facts, gathered on its way in.

    `headers` travel with every message that is sent on its behalf. None until they are known are `principal`, who
    calls, `ratelimit`, the headers that tell them how many calls are left, and `cookie`, the answer's Set-Cookie.
    """

    request_id: str
    origin: Origin
    headers: dict[str, str]
    principal: Principal | None = None
    ratelimit: dict[str, str] | None = None
    cookie: str | None = None


REQUEST_CONTEXT: Final = web.RequestKey("request_context", RequestContext)


def request_context(request: web.Request) -> RequestContext:
    """The request's facts, which the reception has written down."""
    return request[REQUEST_CONTEXT]

"""What is known of a request while it is served."""

from typing import Final

from aiohttp import web

from mediq.messages.principal import Principal

REQUEST_ID: Final = web.RequestKey("request_id", str)
HEADERS: Final[web.RequestKey[dict[str, str]]] = web.RequestKey("headers")
"""What travels with every message that is sent on its behalf."""
PRINCIPAL: Final[web.RequestKey[Principal | None]] = web.RequestKey("principal")
"""Who calls; not there before it has been asked."""
RATELIMIT: Final[web.RequestKey[dict[str, str]]] = web.RequestKey("ratelimit")
"""The headers that tell the caller how many calls are left."""

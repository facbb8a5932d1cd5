"""The one cookie: a browser's session. No script can read it, and nothing that another site starts is done by it."""

from typing import Final

from aiohttp import hdrs, web

from mediq.http.request_context import request_context

NAME: Final = "mediq_session"
_OURS: Final = frozenset({"same-origin", "none"})  # none: typed in, or from a bookmark


def shown(request: web.Request) -> str | None:
    """The token in the browser's cookie, if it has one."""
    return request.cookies.get(NAME) or None if hdrs.COOKIE in request.headers else None


def give(request: web.Request, token: str, seconds: int) -> None:
    """Let the answer to `request` carry a cookie that the browser keeps for so many seconds."""
    context = request_context(request)
    secure = "; Secure" if context.origin.scheme == "https" else ""
    context.cookie = f"{NAME}={token}; HttpOnly; Max-Age={seconds}; Path=/; SameSite=Strict{secure}"


def take(request: web.Request) -> None:
    """Let the answer to `request` take the cookie away."""
    give(request, "", 0)


def from_own_page(request: web.Request) -> bool:
    """Whether the browser says that a page of this very house sent the request (Fetch Metadata; else RFC 6454).

    Browsers send Sec-Fetch-Site over https alone, and Origin with whatever is no GET.
    """
    if (site := request.headers.get("Sec-Fetch-Site")) is not None:
        return site in _OURS
    return request.headers.get("Origin") == f"{request_context(request).origin.scheme}://{request.host}"

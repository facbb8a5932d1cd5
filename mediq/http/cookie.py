"""The session cookie of a browser. No script can read it, and a request from another site's page is refused."""

from typing import Final

from aiohttp import hdrs, web

from mediq.http.request_context import request_context

NAME: Final = "mediq_session"
_OURS: Final = frozenset({"same-origin", "none"})  # none: an address that was typed in or bookmarked


def shown(request: web.Request) -> str | None:
    """The token in the browser's cookie, if it has one."""
    return request.cookies.get(NAME) or None if hdrs.COOKIE in request.headers else None


def give(request: web.Request, token: str, seconds: int) -> None:
    """Set the cookie with the response to `request`; the browser keeps it for `seconds`."""
    context = request_context(request)
    secure = "; Secure" if context.origin.scheme == "https" else ""
    context.cookie = f"{NAME}={token}; HttpOnly; Max-Age={seconds}; Path=/; SameSite=Strict{secure}"


def take(request: web.Request) -> None:
    """Delete the cookie with the response to `request`."""
    give(request, "", 0)


def from_own_page(request: web.Request) -> bool:
    """Whether a page of this site sent the request, by Fetch Metadata or else by its origin (RFC 6454).

    Browsers send Sec-Fetch-Site over HTTPS alone, and Origin with every request that is no GET.
    """
    if (site := request.headers.get("Sec-Fetch-Site")) is not None:
        return site in _OURS
    return request.headers.get("Origin") == f"{request_context(request).origin.scheme}://{request.host}"

"""What operations share by reference: headers, parameters and security schemes."""

from typing import Any, Final

from mediq.http import cookie
from mediq.http.idempotency_keys import LIMIT as KEY_LIMIT

TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}

RATE_LIMIT_HEADERS: Final = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
HEADERS: Final = {
    "X-Request-Id": {"description": "The id of the request, as in the log.", "schema": TEXT},
    "RateLimit-Limit": {"description": "The number of requests that the window allows.", "schema": _COUNT},
    "RateLimit-Remaining": {"description": "The number of requests that are left.", "schema": _COUNT},
    "RateLimit-Reset": {"description": "Seconds until the window ends.", "schema": _COUNT},
    "Retry-After": {"description": "Seconds after which to ask again.", "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "Says that a bearer token is needed.", "schema": TEXT},
    "Location": {"description": "The address of the result.", "schema": TEXT},
    "Preference-Applied": {"description": "The longest wait that was granted.", "schema": TEXT},
    "Set-Cookie": {"description": "Sets the browser's session cookie, or removes it.", "schema": TEXT},
    "Content-Disposition": {"description": "The name of the file.", "schema": TEXT},
}
PARAMETERS: Final = {
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Makes a repeated request safe: the same body does nothing again, another body is refused.",
        "schema": {"type": "string", "minLength": 1, "maxLength": KEY_LIMIT},
        "example": "9b2f6c1e-4d0a-4c57-8f3e-2a1b0c9d8e7f",
    },
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`wait=10` waits up to 10 seconds, and never more than 30, for the card's result (RFC 7240).",
        "schema": TEXT,
        "example": "wait=10",
    },
    "Last-Event-ID": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The last event that the client has seen. The stream begins with what it missed, or a snapshot.",
        "schema": TEXT,
        "example": "128",
    },
}
SECURITY_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token."},
    "refresh": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A refresh token."},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": cookie.NAME,
        "description": "A browser's session. A request that changes something must come from one of our own pages.",
    },
}


def headers(*names: str) -> dict[str, Any]:
    """References to the headers of these names, and to the request's id, which every response has."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


def parameter(name: str) -> dict[str, str]:
    """A reference to a shared parameter."""
    return {"$ref": f"#/components/parameters/{name}"}

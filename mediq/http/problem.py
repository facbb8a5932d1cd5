"""Errors as problem details (RFC 9457) with the request's id."""

import http
import math
from typing import Final

import msgspec
from aiohttp import web

from mediq.messages import errors
from mediq.messages.errors import DomainError, Fault, FieldError

STATUS: Final[dict[type[Exception], int]] = {
    errors.Malformed: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.Unsupported: 415,
    errors.Invalid: 422,
    errors.TooMany: 429,
    errors.Internal: 500,
    errors.Unavailable: 503,
    errors.StorageFull: 503,
    errors.Expired: 504,
}

TITLES: Final = {
    400: "Permintaan tidak dapat dibaca",
    401: "Belum masuk",
    403: "Tidak diizinkan",
    404: "Tidak ditemukan",
    405: "Cara ini tidak berlaku di sini",
    409: "Tidak sesuai keadaan sekarang",
    413: "Terlalu besar",
    415: "Jenis berkas tidak didukung",
    422: "Isian belum benar",
    429: "Terlalu sering",
    500: "Kesalahan sistem",
    503: "Layanan sedang tidak tersedia",
    504: "Layanan terlalu lama menjawab",
}


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every error response. `type` ends in the error's code."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: tuple[FieldError, ...] = ()


def status_of(error: DomainError | Fault) -> int:
    """The HTTP status of an error: that of its nearest ancestor in the error tree."""
    for cls in type(error).__mro__:
        if cls in STATUS:
            return STATUS[cls]
    return 500


def response(error: DomainError | Fault, request_id: str) -> web.Response:
    """The response for `error`."""
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    elif isinstance(error, Fault):
        headers["Retry-After"] = "1"
    status = status_of(error)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="mediq"'
    if isinstance(error, DomainError):
        return render(status, error.code, error.detail, request_id, errors=error.errors, headers=headers)
    return render(status, error.code, error.detail, request_id, headers=headers)


def render(
    status: int,
    code: str,
    detail: str,
    request_id: str,
    *,
    errors: tuple[FieldError, ...] = (),
    headers: dict[str, str] | None = None,
) -> web.Response:
    """A problem response from its parts; for requests that aiohttp itself refuses."""
    problem = Problem(
        type=f"urn:mediq:{code}",
        title=TITLES.get(status) or http.HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        request_id=request_id,
        errors=errors,
    )
    return web.Response(
        status=status,
        body=msgspec.json.encode(problem),
        content_type="application/problem+json",
        headers=headers,
    )

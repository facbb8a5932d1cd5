"""Idempotency-Key: what a caller's key is inside the house, with a fingerprint of what they ask under it."""

import hashlib
from typing import Final

import msgspec
from aiohttp import web

from mediq.domain.idempotency import marked
from mediq.http.request_context import request_context
from mediq.messages.errors import Invalid
from mediq.messages.principal import Principal
from mediq.messages.registry import Request

HEADER: Final = "Idempotency-Key"
LIMIT: Final = 128
_NAME_BYTES: Final = 16
_FINGERPRINT_BYTES: Final = 8
_encode: Final = msgspec.msgpack.Encoder().encode


class IdempotencyKeys:
    """Makes keys. They are stored for days, and neither what a caller wrote nor what they asked can be told from them
    without the `secret`."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def key(self, request: web.Request, principal: Principal | None, message: Request[object]) -> str | None:
        """The caller's key, theirs alone and good for this one address, marked with what is asked.

        Raises:
            Invalid: it is empty, too long, or holds what cannot be printed.
        """
        shown = request.headers.get(HEADER)
        if shown is None:
            return None
        if not 1 <= len(shown) <= LIMIT or not shown.isprintable():
            raise Invalid(f"{HEADER} harus 1 sampai {LIMIT} huruf.")
        who = principal.user_id if principal else request_context(request).origin.address
        name = self._digest("\n".join((who, request.method, request.path, shown)).encode(), _NAME_BYTES)
        return marked(name, self._digest(_encode(message), _FINGERPRINT_BYTES))

    def _digest(self, data: bytes, size: int) -> str:
        return hashlib.blake2b(data, key=self._secret, digest_size=size).hexdigest()

"""Idempotency-Key: turns a caller's key into the key that the services store, with a fingerprint of the request."""

import hashlib
from typing import Final

import msgspec
from aiohttp import web

from mediq.domain.idempotency import marked
from mediq.http.request_context import request_context
from mediq.messages.errors import Invalid
from mediq.messages.principal import Principal

HEADER: Final = "Idempotency-Key"
LIMIT: Final = 128
_NAME_BYTES: Final = 16
_FINGERPRINT_BYTES: Final = 8
_encode: Final = msgspec.msgpack.Encoder().encode


class IdempotencyKeys:
    """Makes the stored keys. Without the `secret`, neither the caller's key nor the request can be told from them."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def key(self, request: web.Request, principal: Principal | None, content: msgspec.Struct) -> str | None:
        """The stored key: one for each caller, method, path and shown key, marked with the fingerprint of `content`.

        None if the request shows no key.

        Raises:
            Invalid: the shown key is empty, too long, or contains characters that cannot be printed.
        """
        shown = request.headers.get(HEADER)
        if shown is None:
            return None
        if not 1 <= len(shown) <= LIMIT or not shown.isprintable():
            raise Invalid(f"{HEADER} harus 1 sampai {LIMIT} huruf.")
        who = principal.user_id if principal else request_context(request).origin.address
        name = self._digest("\n".join((who, request.method, request.path, shown)).encode(), _NAME_BYTES)
        return marked(name, self._digest(_encode(content), _FINGERPRINT_BYTES))

    def _digest(self, data: bytes, size: int) -> str:
        return hashlib.blake2b(data, key=self._secret, digest_size=size).hexdigest()

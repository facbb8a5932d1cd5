"""Who is calling: bearer tokens, believed for a minute at a time and forgotten the moment their session ends."""

import time
from collections.abc import Callable
from typing import Final

from aiohttp import web
from cachetools import TTLCache

from mediq.domain.roles import Role
from mediq.kernel.bus import Bus
from mediq.messages.auth import CheckSession, SessionEnded
from mediq.messages.errors import Forbidden, Unauthenticated
from mediq.messages.principal import Principal
from mediq.transport.base import Binding

from .tokens import Tokens

_BELIEVED: Final = 60.0
"""Seconds for which a gateway believes a token that it has checked, if it hears nothing to the contrary."""


class Doorman:
    """Checks what callers show. `on_ended` hears of sessions that end; `clock` gives seconds since the epoch."""

    def __init__(
        self,
        tokens: Tokens,
        bus: Bus,
        *,
        on_ended: Callable[[SessionEnded], None] = lambda event: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._on_ended = on_ended
        self._tokens = tokens
        self._bus = bus
        self._clock = clock
        self._binding: Binding | None = None
        self._ended = 0
        self._believed: TTLCache[str, tuple[Principal, int]] = TTLCache(maxsize=10_000, ttl=_BELIEVED)

    async def start(self) -> None:
        """Listen for sessions that end."""
        self._binding = await self._bus.subscribe("auth.session-ended", self._forget)

    async def close(self) -> None:
        """Listen no more."""
        if self._binding is not None:
            await self._binding.close()

    async def identify(self, request: web.Request) -> Principal | None:
        """Whoever the bearer token shows, or None when none is shown.

        Raises:
            Unauthenticated: the token is forged, expired, or its session has ended.
        """
        token = bearer(request)
        if token is None:
            return None
        if (believed := self._believed.get(token)) is not None and believed[1] > self._clock():
            return believed[0]
        principal, expires_at = self._tokens.principal(token)
        ended = self._ended
        session = await self._bus.ask(CheckSession(session_id=principal.session_id))
        if not session.alive:
            raise Unauthenticated("Sesi sudah berakhir. Silakan masuk lagi.", code="session-ended")
        if ended == self._ended:  # else this very session may have ended since it was looked up
            self._believed[token] = (principal, expires_at)
        return principal

    def _forget(self, event: SessionEnded) -> None:
        self._ended += 1
        self._on_ended(event)
        for token, (principal, _) in list(self._believed.items()):
            if event.user_id == principal.user_id or event.session_id == principal.session_id:
                self._believed.pop(token, None)


def bearer(request: web.Request) -> str | None:
    """The token in the Authorization header.

    Raises:
        Unauthenticated: the header holds something else.
    """
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip() or len(token) > 4096:
        raise Unauthenticated("Header Authorization harus berisi token Bearer.", code="token-invalid")
    return token.strip()


def authorise(principal: Principal | None, who: frozenset[Role] | None) -> None:
    """Let `principal` through if they have one of the roles `who`, or say why not; None lets anyone through."""
    if who is None:
        return
    if principal is None:
        raise Unauthenticated("Silakan masuk dulu.")
    if principal.role not in who:
        raise Forbidden("Peran Anda tidak boleh melakukan ini.")

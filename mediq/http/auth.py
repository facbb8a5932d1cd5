"""Who is calling: tokens, believed for a minute at a time and forgotten the moment their session ends."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from aiohttp import web
from cachetools import TTLCache

from mediq.actors.users import auth_messages as auth
from mediq.actors.users.tokens import Tokens
from mediq.domain.roles import Role
from mediq.http import cookie
from mediq.messages.errors import Forbidden, Unauthenticated
from mediq.messages.principal import Principal
from mediq.runtime.bus import Bus
from mediq.transport.base import Binding

_BELIEVED: Final = 60.0
"""Seconds for which a gateway believes a token that it has checked, if it hears nothing to the contrary."""


class Authenticator:
    """Checks what callers show. `on_ended` hears of sessions that end; `clock` gives seconds since the epoch."""

    def __init__(
        self,
        tokens: Tokens,
        bus: Bus,
        *,
        on_ended: Callable[[auth.SessionEnded], None] = lambda event: None,
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

    async def identify(self, request: web.Request, *, harmless: bool = True) -> Principal | None:
        """Whoever the bearer token shows, else the browser's cookie, or None when neither is shown.

        A browser sends its cookie whoever asks it to, so that what is not `harmless` is done by a cookie only if one
        of our own pages asks. A cookie that is good no longer counts as none and is taken away; one whose time is more
        than half over is renewed.

        Raises:
            Unauthenticated: the bearer token is forged, expired, or its session has ended.
            Forbidden: `cross-site`.
        """
        if (token := bearer(request)) is not None:
            return (await self._believe(token))[0]
        if (token := cookie.shown(request)) is None:
            return None
        try:
            principal, expires_at = await self._believe(token)
        except Unauthenticated:
            cookie.take(request)
            return None
        if not harmless:
            refuse_other_sites(request)
        seconds = self._tokens.cookie_seconds(principal.role)
        if expires_at - self._clock() < seconds / 2:
            cookie.give(request, self._tokens.access(principal, seconds), seconds)
        return principal

    def named(self, request: web.Request) -> Principal | None:
        """Whom the caller's token or cookie names, going by its signature alone: enough to count calls, not to let
        anyone in; raises as :meth:`identify`."""
        token = bearer(request)
        try:
            shown = token or cookie.shown(request)
            return self._tokens.principal(shown)[0] if shown is not None else None
        except Unauthenticated:
            if token is not None:
                raise
            cookie.take(request)
            return None

    def former(self, request: web.Request) -> Principal | None:
        """Whose session the browser's cookie is, going by its signature alone: enough to end that session."""
        with suppress(Unauthenticated):
            return self._tokens.principal(cookie.shown(request) or "")[0]
        return None

    def give_cookie(self, request: web.Request, signed_in: auth.Tokens) -> None:
        """Let the browser keep a session by its cookie instead of the tokens that signing in gave."""
        principal, _ = self._tokens.principal(signed_in.access_token)
        seconds = self._tokens.cookie_seconds(principal.role)
        cookie.give(request, self._tokens.access(principal, seconds), seconds)

    async def _believe(self, token: str) -> tuple[Principal, int]:
        """Whom a token shows, and until when, in seconds since the epoch; Unauthenticated if it is good no longer."""
        with suppress(KeyError):
            believed = self._believed[token]
            if believed[1] > self._clock():
                return believed
        principal, expires_at = self._tokens.principal(token)
        ended = self._ended
        session = await self._bus.ask(auth.CheckSession(session_id=principal.session_id))
        if not session.alive:
            raise Unauthenticated("Sesi sudah berakhir. Silakan masuk lagi.", code="session-ended")
        if ended == self._ended:  # else this very session may have ended since it was looked up
            self._believed[token] = (principal, expires_at)
        return principal, expires_at

    def _forget(self, event: auth.SessionEnded) -> None:
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


def refuse_other_sites(request: web.Request) -> None:
    """Let through only what a page of this house has sent.

    Raises:
        Forbidden: `cross-site`.
    """
    if not cookie.from_own_page(request):
        raise Forbidden("Permintaan ini tidak datang dari halaman MediQ sendiri.", code="cross-site")


def authorise(principal: Principal | None, who: frozenset[Role] | None) -> None:
    """Let `principal` through if they have one of the roles `who`, or say why not; None lets anyone through."""
    if who is None:
        return
    if principal is None:
        raise Unauthenticated("Silakan masuk dulu.")
    if principal.role not in who:
        raise Forbidden("Peran Anda tidak boleh melakukan ini.")

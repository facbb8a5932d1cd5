"""Authentication: checks tokens, and caches them for a minute or until their session ends."""

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

_CACHE_SECONDS: Final = 60.0
"""Seconds for which a checked token stays valid without another check, unless its session ends."""


class Authenticator:
    """Finds out who sends a request.

    `on_ended` is called when a session ends; `clock` gives seconds since the epoch.
    """

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
        self._valid: TTLCache[str, tuple[Principal, int]] = TTLCache(maxsize=10_000, ttl=_CACHE_SECONDS)

    async def start(self) -> None:
        """Subscribe to sessions that end."""
        self._binding = await self._bus.subscribe("auth.session-ended", self._forget)

    async def close(self) -> None:
        """End the subscription."""
        if self._binding is not None:
            await self._binding.close()

    async def identify(self, request: web.Request, *, harmless: bool = True) -> Principal | None:
        """The principal of the bearer token, or else of the browser's cookie; None without either.

        A browser sends its cookie with requests of other sites too. A cookie therefore counts for a request that is not
        `harmless` only if one of our own pages sent it. An invalid cookie counts as none and is deleted; a cookie in
        the second half of its life is renewed.

        Raises:
            Unauthenticated: the bearer token is forged, expired, or its session has ended.
            Forbidden: with code `cross-site`, by a cookie from another site's page.
        """
        if (token := bearer(request)) is not None:
            return (await self._validate(token))[0]
        if (token := cookie.shown(request)) is None:
            return None
        try:
            principal, expires_at = await self._validate(token)
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
        """The principal that the token or cookie names, by its signature alone.

        This is enough to count calls, and not enough to let anyone in, since the session may have ended.

        Raises:
            Unauthenticated: the bearer token is forged or expired.
        """
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
        """The principal of the browser's cookie, by its signature alone: enough to end that session."""
        with suppress(Unauthenticated):
            return self._tokens.principal(cookie.shown(request) or "")[0]
        return None

    def give_cookie(self, request: web.Request, signed_in: auth.Tokens) -> None:
        """Give the browser a session cookie instead of the tokens that signing in gave."""
        principal, _ = self._tokens.principal(signed_in.access_token)
        seconds = self._tokens.cookie_seconds(principal.role)
        cookie.give(request, self._tokens.access(principal, seconds), seconds)

    async def _validate(self, token: str) -> tuple[Principal, int]:
        """The principal of a token and its expiry, in seconds since the epoch.

        Raises:
            Unauthenticated: the token is forged or expired, or its session has ended.
        """
        with suppress(KeyError):
            known = self._valid[token]
            if known[1] > self._clock():
                return known
        principal, expires_at = self._tokens.principal(token)
        ended = self._ended
        session = await self._bus.ask(auth.CheckSession(session_id=principal.session_id))
        if not session.alive:
            raise Unauthenticated("Sesi sudah berakhir. Silakan masuk lagi.", code="session-ended")
        if ended == self._ended:  # otherwise this session may have ended during the check
            self._valid[token] = (principal, expires_at)
        return principal, expires_at

    def _forget(self, event: auth.SessionEnded) -> None:
        self._ended += 1
        self._on_ended(event)
        for token, (principal, _) in list(self._valid.items()):
            if event.user_id == principal.user_id or event.session_id == principal.session_id:
                self._valid.pop(token, None)


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
    """Refuse a request that no page of this site has sent.

    Raises:
        Forbidden: with code `cross-site`.
    """
    if not cookie.from_own_page(request):
        raise Forbidden("Permintaan ini tidak datang dari halaman MediQ sendiri.", code="cross-site")


def authorise(principal: Principal | None, who: frozenset[Role] | None) -> None:
    """Check that `principal` has one of the roles `who`; None allows everyone.

    Raises:
        Unauthenticated: nobody is signed in.
        Forbidden: the principal has another role.
    """
    if who is None:
        return
    if principal is None:
        raise Unauthenticated("Silakan masuk dulu.")
    if principal.role not in who:
        raise Forbidden("Peran Anda tidak boleh melakukan ini.")

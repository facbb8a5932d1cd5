"""Tokens of signed-in callers: access tokens and single-use refresh tokens (JWT, RFC 7519)."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

import jwt
import msgspec

from mediq.domain.roles import Role
from mediq.messages.errors import Unauthenticated
from mediq.messages.principal import Principal

_ALGORITHM: Final = "HS256"
DEVICE_SECONDS: Final = 365 * 86_400
"""How long a device stays signed in: nobody signs it in again every day."""


class RefreshClaims(msgspec.Struct, frozen=True):
    """The content of a refresh token: the session, and the hash of the token's secret, which alone is stored."""

    session_id: str
    secret_hash: str


class Tokens:
    """Signs and checks tokens. Access and refresh tokens are signed with different secrets.

    Times are in seconds; `clock` gives seconds since the epoch.

    Example::

        tokens = Tokens("access secret of 32 bytes or more", "another secret of 32 bytes or more")
        token = tokens.access(Principal("siti", Role.PASIEN, "session-1"))
        principal, expires_at = tokens.principal(token)
    """

    def __init__(
        self,
        access_secret: str,
        refresh_secret: str,
        *,
        access_seconds: int = 900,
        refresh_seconds: int = 7 * 86_400,
        cookie_seconds: int = 12 * 3600,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.access_seconds = access_seconds
        self.refresh_seconds = refresh_seconds
        self._cookie_seconds = cookie_seconds
        self._access_secret = access_secret
        self._refresh_secret = refresh_secret
        self._clock = clock

    def access(self, principal: Principal, seconds: int | None = None) -> str:
        """A token for `principal`, valid for `seconds` (by default `access_seconds`) or until its session ends."""
        now = int(self._clock())
        claims = {
            "sub": principal.user_id,
            "role": principal.role.value,
            "sid": principal.session_id,
            "iat": now,
            "exp": now + (self.access_seconds if seconds is None else seconds),
        }
        return jwt.encode(claims, self._access_secret, _ALGORITHM)

    def secret_for(self, purpose: str) -> bytes:
        """A secret of 32 bytes for another purpose, the same on every gateway."""
        return hmac.digest(self._access_secret.encode(), purpose.encode(), "sha256")

    def cookie_seconds(self, role: Role) -> int:
        """The seconds for which the cookie of a signed-in user with this role is valid."""
        return DEVICE_SECONDS if role is Role.KIOSK else self._cookie_seconds

    def refresh(self, session_id: str) -> tuple[str, str]:
        """A new refresh token of a session, and its hash to store."""
        secret = secrets.token_urlsafe(32)
        claims = {"sid": session_id, "jti": secret, "exp": int(self._clock()) + self.refresh_seconds}
        return jwt.encode(claims, self._refresh_secret, _ALGORITHM), hashed(secret)

    def principal(self, token: str) -> tuple[Principal, int]:
        """The principal of an access token, and when it expires in seconds since the epoch.

        Raises:
            Unauthenticated: `token-invalid`, it is no access token of ours; `token-expired`.
        """
        claims = self._decode(token, self._access_secret, ["sub", "role", "sid", "exp"])
        try:
            return Principal(claims["sub"], Role(claims["role"]), claims["sid"]), claims["exp"]
        except ValueError:
            raise _invalid() from None

    def refresh_claims(self, token: str) -> RefreshClaims:
        """The content of a refresh token; raises as :meth:`principal`."""
        claims = self._decode(token, self._refresh_secret, ["sid", "jti", "exp"])
        return RefreshClaims(claims["sid"], hashed(claims["jti"]))

    def _decode(self, token: str, secret: str, required: list[str]) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token, secret, [_ALGORITHM], options={"require": required, "verify_exp": False, "verify_iat": False}
            )
        except (jwt.PyJWTError, ValueError):
            raise _invalid() from None
        if not all(isinstance(claims[name], str) for name in required if name != "exp"):
            raise _invalid()
        if not isinstance(claims["exp"], int) or claims["exp"] <= self._clock():
            raise Unauthenticated("Masa masuk sudah habis. Perbarui token atau masuk lagi.", code="token-expired")
        return claims


def hashed(secret: str) -> str:
    """The SHA-256 of a random secret, as it is stored. The secret is too long to guess, so no slower hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _invalid() -> Unauthenticated:
    return Unauthenticated("Token tidak sah. Silakan masuk lagi.", code="token-invalid")

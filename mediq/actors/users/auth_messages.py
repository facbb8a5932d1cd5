"""The messages of signing in and out, which the user service answers."""

from typing import Annotated, Literal

import msgspec

from mediq.actors.users.user import User, UserId
from mediq.messages.registry import Done, Event, Request, event, request

Email = Annotated[
    str,
    msgspec.Meta(max_length=254, pattern=r"^(?![\s\S]*\s)[^@]+@[^@]+\.[^@.]+$", examples=["petugas@klinik.example"]),
]
NewPassword = Annotated[str, msgspec.Meta(min_length=10, max_length=256, examples=["sebelas huruf"])]
Password = Annotated[str, msgspec.Meta(min_length=1, max_length=256, examples=["sepuluh huruf"])]
Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=2048, examples=["q3VbX0n9T1yKc7dLw2ZfRg"])]


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """A signed-in session: send `access_token` as a bearer token for `expires_in` seconds, then refresh."""

    access_token: Annotated[str, msgspec.Meta(examples=["eyJhbGciOiJIUzI1NiJ9.contoh.access"])]
    refresh_token: Annotated[str, msgspec.Meta(examples=["eyJhbGciOiJIUzI1NiJ9.contoh.refresh"])]
    expires_in: Annotated[int, msgspec.Meta(examples=[900])]
    user: User
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the scheme's name


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a browser that signs in with a cookie: scripts never see the token."""

    user: User


@request("auth.login.admin", service="user")
class LoginAdmin(Request[Tokens], frozen=True, kw_only=True):
    """Sign a member of staff in."""

    email: Email
    password: Password


@request("auth.login.user", service="user")
class LoginUser(Request[Tokens], frozen=True, kw_only=True):
    """Sign a patient in by the data on the card; a clinic may require the date of birth too."""

    nik: Annotated[str, msgspec.Meta(max_length=32, examples=["3201155503900001"])]
    nama: Annotated[str, msgspec.Meta(min_length=1, max_length=200, examples=["SITI CONTOH"])]
    tgl_lahir: Annotated[str, msgspec.Meta(max_length=32)] | None = None


@request("auth.refresh", service="user")
class Refresh(Request[Tokens], frozen=True, kw_only=True):
    """Exchange a refresh token for new tokens; using a token twice ends the session."""

    refresh_token: Secret


@request("auth.logout", service="user", idempotent=True)
class Logout(Request[Done], frozen=True, kw_only=True):
    """End the caller's session."""


@request("auth.logout-all", service="user", idempotent=True)
class LogoutAll(Request[Done], frozen=True, kw_only=True):
    """End all of the caller's sessions, on every device."""


@request("auth.change-password", service="user")
class ChangePassword(Request[Done], frozen=True, kw_only=True):
    """Change the caller's password; all sessions but the present one end."""

    current_password: Password
    new_password: NewPassword


@request("auth.reset-password", service="user", idempotent=True)
class ResetPassword(Request[Done], frozen=True, kw_only=True):
    """Change another user's password; all sessions of that user end."""

    id: UserId
    new_password: NewPassword


@request("auth.setup", service="user")
class SetUp(Request[Tokens], frozen=True, kw_only=True):
    """Create the first administrator with the one-time token printed at the first start."""

    token: Secret
    email: Email
    password: NewPassword
    nama: Annotated[str, msgspec.Meta(min_length=1, max_length=200, examples=["Ibu Sari"])]


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a session is alive. A session ends when its user gets another role."""

    alive: bool


@request("auth.check-session", service="user", idempotent=True)
class CheckSession(Request[SessionState], frozen=True, kw_only=True):
    """Internal: a gateway asks this before it trusts a token that it has not checked recently."""

    session_id: str


@event("auth.session-ended")
class SessionEnded(Event, frozen=True, kw_only=True):
    """One session, or all sessions of a user, ended early: every gateway drops its cached check of them."""

    user_id: str | None = None
    session_id: str | None = None

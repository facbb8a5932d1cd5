"""The first half of the user service: who is signed in."""

import secrets
import uuid
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from mediq.actors.audit import act_of
from mediq.actors.passwords import Passwords
from mediq.domain.roles import Role
from mediq.domain.user import User
from mediq.http.tokens import Tokens, hashed
from mediq.kernel.actor import Actor, handles
from mediq.kernel.bus import Bus
from mediq.kernel.context import Context
from mediq.kernel.interval import every
from mediq.messages import auth
from mediq.messages.audit import Entry
from mediq.messages.errors import Conflict, Forbidden, Unauthenticated
from mediq.messages.principal import Principal
from mediq.messages.registry import Done
from mediq.messages.user import UserCreated
from mediq.stores.audit import AuditTrail
from mediq.stores.credentials import CredentialStore
from mediq.stores.sessions import Session, SessionStore
from mediq.stores.setup import SetupStore
from mediq.stores.users import UserStore, fold

_PURGE_SECONDS: Final = 3600.0
_KEYS_KEPT: Final = timedelta(days=2)


class UserStores(msgspec.Struct, frozen=True):
    """The stores that the user service owns, all in one database."""

    users: UserStore
    credentials: CredentialStore
    sessions: SessionStore
    setup: SetupStore
    audit: AuditTrail
    ping: Callable[[], Any]


class SignIn(Actor):
    """Answers `auth.*`.

    Passwords are hashed in `executor`, beside the loop. While there is no administrator, each start makes a new
    one-time token for the first one and hands it to `invite`.
    """

    def __init__(
        self,
        bus: Bus,
        stores: UserStores,
        tokens: Tokens,
        *,
        patient_login: bool,
        invite: Callable[[str], None],
        executor: Executor,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(bus)
        self._users = stores.users
        self._credentials = stores.credentials
        self._sessions = stores.sessions
        self._setup = stores.setup
        self._audit = stores.audit
        self._ping = stores.ping
        self._tokens = tokens
        self._patient_login = patient_login
        self._invite = invite
        self._passwords = Passwords(executor)
        self._clock = clock

    async def on_start(self) -> None:
        if await self._users.count_admins():
            return
        token = secrets.token_urlsafe(24)
        try:
            await self._setup.issue(hashed(token), self._clock())
        except Conflict:
            return  # another process made one meanwhile
        self._invite(token)

    async def run(self) -> None:
        await every(_PURGE_SECONDS, self._purge)

    @handles(auth.LoginAdmin)
    async def login_admin(self, message: auth.LoginAdmin, context: Context) -> auth.Tokens:
        found = await self._credentials.of_email(message.email)
        if not await self._passwords.match(found.password_hash if found else None, message.password) or found is None:
            raise Unauthenticated("Email atau kata sandi salah.", code="credentials-wrong")
        stored = found.password_hash
        if self._passwords.stale(stored):
            stored = await self._passwords.hash(message.password)
            await self._credentials.rehash(found.user_id, found.password_hash, stored)
        return await self._sign_in(await self._users.get(found.user_id), context, password_hash=stored)

    @handles(auth.LoginUser)
    async def login_user(self, message: auth.LoginUser, context: Context) -> auth.Tokens:
        if not self._patient_login:
            raise Forbidden("Masuk dengan NIK tidak diaktifkan di klinik ini.", code="patient-login-off")
        found = await self._users.by_nik(message.nik)
        known = found is not None and found.role == Role.PASIEN
        if found is None or not known or not secrets.compare_digest(_folded(found.nama), _folded(message.nama)):
            raise Unauthenticated("NIK dan nama tidak cocok dengan data kami.", code="credentials-wrong")
        return await self._sign_in(found, context)

    @handles(auth.Refresh)
    async def refresh(self, message: auth.Refresh, context: Context) -> auth.Tokens:
        claims = self._tokens.refresh_claims(message.refresh_token)
        token, token_hash = self._tokens.refresh(claims.session_id)
        now = self._clock()
        try:
            session = await self._sessions.rotate(
                claims.session_id,
                claims.secret_hash,
                token_hash,
                now,
                self._session_end(now),
                reuse=self._act(context, "auth.token-reused"),
            )
        except Unauthenticated as error:
            if error.reason == "token-reused":
                await self.bus.publish(auth.SessionEnded(session_id=claims.session_id))
            raise
        return self._signed_in(await self._users.get(session.user_id), session.id, token)

    @handles(auth.Logout)
    async def logout(self, message: auth.Logout, context: Context) -> Done:
        await self._end_session(context)
        return Done()

    @handles(auth.CheckSession)
    async def check_session(self, message: auth.CheckSession, context: Context) -> auth.SessionState:
        return auth.SessionState(alive=await self._sessions.alive(message.session_id, self._clock()))

    @handles(auth.SetUp)
    async def set_up(self, message: auth.SetUp, context: Context) -> auth.Tokens:
        admin = self._new(nama=message.nama, email=message.email, role=Role.ADMIN_FASKES)
        password_hash = await self._passwords.hash(message.password)
        act = self._act(context, "auth.setup", admin.id, actor=admin)
        admin = await self._setup.redeem(hashed(message.token), admin, password_hash, act=act)
        await self.bus.publish(UserCreated(user_id=admin.id))
        return await self._sign_in(admin, context)

    def _new(self, **fields: Any) -> User:
        now = self._clock()
        return User(id=uuid.uuid4().hex, created_at=now, updated_at=now, **fields)

    async def _sign_in(self, person: User, context: Context, *, password_hash: str | None = None) -> auth.Tokens:
        act = self._act(context, "auth.login", person.id, actor=person)
        return await self._open_session(person, self._tokens.refresh_seconds, act, password_hash=password_hash)

    async def _open_session(
        self, person: User, seconds: int, act: Entry, *, password_hash: str | None = None
    ) -> auth.Tokens:
        session_id = uuid.uuid4().hex
        token, token_hash = self._tokens.refresh(session_id)
        now = self._clock()
        await self._sessions.open(
            Session(
                id=session_id,
                user_id=person.id,
                role=person.role,
                token_hash=token_hash,
                created_at=now,
                expires_at=now + timedelta(seconds=seconds),
                last_used_at=now,
            ),
            password_hash=password_hash,
            act=act,
        )
        return self._signed_in(person, session_id, token)

    async def _end_session(self, context: Context) -> None:
        """End the caller's own session."""
        principal = caller(context)
        await self._sessions.end(principal.session_id, act=self._act(context, "auth.logout", principal.user_id))
        await self.bus.publish(auth.SessionEnded(session_id=principal.session_id))

    def _signed_in(self, person: User, session_id: str, refresh_token: str) -> auth.Tokens:
        return auth.Tokens(
            access_token=self._tokens.access(Principal(person.id, Role(person.role), session_id)),
            refresh_token=refresh_token,
            expires_in=self._tokens.access_seconds,
            user=person,
        )

    def _session_end(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._tokens.refresh_seconds)

    def _act(
        self,
        context: Context,
        action: str,
        subject: str | None = None,
        *,
        why: str | None = None,
        actor: User | None = None,
    ) -> Entry:
        """What the trail keeps of an act: the caller's, or that of an `actor` who is only just signing in."""
        act = act_of(context, self._clock(), action, subject, why)
        return act if actor is None else msgspec.structs.replace(act, actor=actor.id, role=actor.role)

    async def _purge(self) -> None:
        now = self._clock()
        await self._sessions.purge(now)
        await self._users.forget_keys(now - _KEYS_KEPT)


def caller(context: Context) -> Principal:
    """Who is signed in; Unauthenticated if nobody is."""
    if context.principal is None:
        raise Unauthenticated("Silakan masuk dulu.")
    return context.principal


def _folded(name: str) -> bytes:
    """A name as it is compared: letters and digits alone, since cards and people differ in dots and spaces."""
    return "".join(c for c in fold(name) if c.isalnum()).encode()

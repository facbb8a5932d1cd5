"""The first half of the user service: who is signed in."""

import secrets
import uuid
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from mediq.actors.users import auth_messages as auth
from mediq.actors.users.credentials import CredentialStore
from mediq.actors.users.messages import UserCreated
from mediq.actors.users.passwords import Passwords
from mediq.actors.users.sessions import Session, SessionStore
from mediq.actors.users.setup_tokens import SetupStore
from mediq.actors.users.tokens import Tokens, hashed
from mediq.actors.users.user import User
from mediq.actors.users.users import UserStore, fold
from mediq.domain.card import parse_date
from mediq.domain.roles import Role
from mediq.messages.audit_entry import AuditEntry
from mediq.messages.errors import Conflict, FieldError, Forbidden, Invalid, Unauthenticated
from mediq.messages.principal import Principal
from mediq.messages.registry import Done
from mediq.runtime.actor import Actor, handles
from mediq.runtime.bus import Bus
from mediq.runtime.context import Context
from mediq.runtime.periodic import every
from mediq.stores.audit_trail import AuditTrail

_PURGE_SECONDS: Final = 3600.0
_KEYS_KEPT: Final = timedelta(days=2)
_NOBODY: Final = User(
    id="",
    nama=secrets.token_hex(12),
    tgl_lahir="01-01-1900",
    role=Role.PASIEN,
    created_at=datetime.fromtimestamp(0, UTC),
    updated_at=datetime.fromtimestamp(0, UTC),
)
"""Whom a patient's words are compared with when there is no such patient."""


class UserStores(msgspec.Struct, frozen=True):
    """The stores that the user service owns, all in one database."""

    users: UserStore
    credentials: CredentialStore
    sessions: SessionStore
    setup: SetupStore
    audit: AuditTrail
    ping: Callable[[], Any]


class SignIn(Actor):
    """Answers `auth.*`. Whoever is refused learns from neither words nor time whether there is such a person.

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
        patient_birth_date: bool,
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
        self._patient_birth_date = patient_birth_date
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
            raise await self._refusal(context, found.user_id if found else None, "Email atau kata sandi salah.")
        stored = found.password_hash
        if self._passwords.stale(stored):
            stored = await self._passwords.hash(message.password)
            await self._credentials.rehash(found.user_id, found.password_hash, stored)
        return await self._sign_in(await self._users.get(found.user_id), context, password_hash=stored)

    @handles(auth.LoginUser)
    async def login_user(self, message: auth.LoginUser, context: Context) -> auth.Tokens:
        if not self._patient_login:
            raise Forbidden("Masuk dengan NIK tidak diaktifkan di klinik ini.", code="patient-login-off")
        if self._patient_birth_date and message.tgl_lahir is None:
            raise Invalid.field("tgl_lahir", "wajib diisi")
        if message.tgl_lahir is not None and parse_date(message.tgl_lahir) is None:
            raise Invalid.field("tgl_lahir", "harus tanggal HH-BB-TTTT")
        found = await self._users.by_nik(message.nik)
        if not _is_patient(found, message) or found is None:
            raise await self._refusal(context, found.id if found else None, "Data ini tidak cocok dengan data kami.")
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
            if error.code == "token-reused":
                await self.bus.publish(auth.SessionEnded(session_id=claims.session_id))
            raise
        return self._signed_in(await self._users.get(session.user_id), session.id, token)

    @handles(auth.Logout)
    async def logout(self, message: auth.Logout, context: Context) -> Done:
        principal = caller(context)
        await self._sessions.end(principal.session_id, act=self._act(context, "auth.logout", principal.user_id))
        await self.bus.publish(auth.SessionEnded(session_id=principal.session_id))
        return Done()

    @handles(auth.LogoutAll)
    async def logout_all(self, message: auth.LogoutAll, context: Context) -> Done:
        user_id = caller(context).user_id
        await self._sessions.end_all(user_id, act=self._act(context, "auth.logout-all", user_id))
        await self.bus.publish(auth.SessionEnded(user_id=user_id))
        return Done()

    @handles(auth.ChangePassword)
    async def change_password(self, message: auth.ChangePassword, context: Context) -> Done:
        principal = caller(context)
        known = await self._credentials.of_user(principal.user_id)
        if known is None:
            raise Forbidden("Akun ini tidak masuk dengan kata sandi.", code="no-password")
        # Asked again under the same key, the password of then is no longer the present one.
        again = await self._credentials.changed(context.key)
        if not again and not await self._passwords.match(known.password_hash, message.current_password):
            wrong = FieldError("current_password", "salah")
            raise Invalid("Kata sandi yang sekarang salah.", code="password-wrong", errors=[wrong])
        await self._change_password(principal.user_id, message.new_password, context, spare=principal.session_id)
        return Done()

    @handles(auth.ResetPassword)
    async def reset_password(self, message: auth.ResetPassword, context: Context) -> Done:
        if message.id == caller(context).user_id:
            # Else whoever found a browser open could lock its owner out.
            raise Conflict("Untuk kata sandi sendiri, berikan juga yang sekarang.", code="own-password")
        await self._change_password(message.id, message.new_password, context)
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

    async def _refusal(self, context: Context, subject: str | None, words: str) -> Unauthenticated:
        """Note a sign-in that failed, of nobody known as well, so that it takes as long; what to answer."""
        act = self._act(msgspec.structs.replace(context, principal=None), "auth.login-failed", subject)
        await self._audit.record(act)
        return Unauthenticated(words, code="credentials-wrong")

    async def _change_password(self, user_id: str, password: str, context: Context, *, spare: str = "") -> None:
        act = self._act(context, "auth.change-password" if spare else "auth.reset-password", user_id)
        password_hash = await self._passwords.hash(password)
        await self._credentials.change(user_id, password_hash, spare=spare, key=context.key, act=act)
        await self.bus.publish(auth.SessionEnded(user_id=user_id))

    def _new(self, **fields: Any) -> User:
        now = self._clock()
        return User(id=uuid.uuid4().hex, created_at=now, updated_at=now, **fields)

    async def _sign_in(self, person: User, context: Context, *, password_hash: str | None = None) -> auth.Tokens:
        """Open a session of theirs. One that the browser has already, of whoever it is, ends."""
        session, token = self._session(person, self._tokens.refresh_seconds)
        former = context.principal
        await self._sessions.open(
            session,
            password_hash=password_hash,
            act=self._act(context, "auth.login", person.id, actor=person),
            former=former.session_id if former else "",
            ended=self._act(context, "auth.logout", former.user_id, actor=person) if former else None,
        )
        if former is not None:
            await self.bus.publish(auth.SessionEnded(session_id=former.session_id))
        return self._signed_in(person, session.id, token)

    def _session(self, person: User, seconds: int) -> tuple[Session, str]:
        """A new session of so many seconds, and its refresh token."""
        session_id = uuid.uuid4().hex
        token, token_hash = self._tokens.refresh(session_id)
        now = self._clock()
        session = Session(
            id=session_id,
            user_id=person.id,
            role=person.role,
            token_hash=token_hash,
            created_at=now,
            expires_at=now + timedelta(seconds=seconds),
            last_used_at=now,
        )
        return session, token

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
    ) -> AuditEntry:
        """What the trail keeps of an act: the caller's, or that of an `actor` who is only just signing in."""
        act = AuditEntry.by(
            context.principal, self._clock(), action, subject=subject, why=why, request_id=context.request_id
        )
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


def _is_patient(found: User | None, message: auth.LoginUser) -> bool:
    """Whether `found` is the patient whom the message tells of; as much is compared when there is nobody."""
    patient = found if found is not None and found.role == Role.PASIEN else _NOBODY
    named = secrets.compare_digest(_folded(patient.nama), _folded(message.nama))
    born = message.tgl_lahir is None or patient.born == parse_date(message.tgl_lahir)
    return named and born and patient is not _NOBODY


def _folded(name: str) -> bytes:
    """A name as it is compared: letters and digits alone, since cards and people differ in dots and spaces."""
    return "".join(c for c in fold(name) if c.isalnum()).encode()

"""Signing in and out: answers `auth.*`, on the user service's mailbox."""

import secrets
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from mediq.actors.users import auth_messages as auth
from mediq.actors.users.caller import audit_entry, signed_in_caller
from mediq.actors.users.credentials import CredentialStore
from mediq.actors.users.messages import CreateDevice
from mediq.actors.users.passwords import Passwords
from mediq.actors.users.patient_login import is_patient
from mediq.actors.users.sessions import Session, SessionStore
from mediq.actors.users.setup_tokens import SetupStore
from mediq.actors.users.tokens import DEVICE_SECONDS, Tokens, hashed
from mediq.actors.users.user import User, new_user
from mediq.actors.users.users import UserStore
from mediq.domain.card import parse_date
from mediq.domain.roles import Role
from mediq.messages.audit_entry import AuditEntry
from mediq.messages.errors import Conflict, FieldError, Forbidden, Invalid, Unauthenticated
from mediq.messages.principal import Principal
from mediq.messages.registry import Done
from mediq.runtime.actor import handles
from mediq.runtime.bus import Bus
from mediq.runtime.context import Context
from mediq.stores.audit_trail import AuditTrail


class AuthStores(msgspec.Struct, frozen=True, kw_only=True):
    """The stores that signing in needs, all in one database."""

    users: UserStore
    credentials: CredentialStore
    sessions: SessionStore
    setup_tokens: SetupStore
    audit: AuditTrail


class Authentication:
    """Opens and ends sessions, and changes passwords; a part of :class:`~mediq.actors.users.actor.UserActor`.

    A refused sign-in takes the same time and gives the same answer whether the person exists or not.

    Args:
        patient_login: whether patients may sign in with NIK and name.
        patient_birth_date: whether patients must give their date of birth too.
    """

    def __init__(
        self,
        bus: Bus,
        stores: AuthStores,
        tokens: Tokens,
        passwords: Passwords,
        *,
        patient_login: bool,
        patient_birth_date: bool,
        clock: Callable[[], datetime],
    ) -> None:
        self._bus = bus
        self._stores = stores
        self._tokens = tokens
        self._passwords = passwords
        self._patient_login = patient_login
        self._patient_birth_date = patient_birth_date
        self._clock = clock

    async def issue_setup_token(self) -> str | None:
        """A new one-time token for making the first administrator; None if there is an administrator."""
        if await self._stores.users.count_admins():
            return None
        token = secrets.token_urlsafe(24)
        try:
            await self._stores.setup_tokens.issue(hashed(token), self._clock())
        except Conflict:
            return None  # another process made an administrator meanwhile
        return token

    async def purge_sessions(self) -> None:
        """Remove the sessions that have expired."""
        await self._stores.sessions.purge(self._clock())

    @handles(auth.LoginAdmin)
    async def login_admin(self, message: auth.LoginAdmin, context: Context) -> auth.Tokens:
        found = await self._stores.credentials.of_email(message.email)
        if not await self._passwords.match(found.password_hash if found else None, message.password) or found is None:
            raise await self._refusal(context, found.user_id if found else None, "Email atau kata sandi salah.")
        stored = found.password_hash
        if self._passwords.stale(stored):
            stored = await self._passwords.hash(message.password)
            await self._stores.credentials.rehash(found.user_id, found.password_hash, stored)
        return await self._sign_in(await self._stores.users.get(found.user_id), context, password_hash=stored)

    @handles(auth.LoginUser)
    async def login_user(self, message: auth.LoginUser, context: Context) -> auth.Tokens:
        if not self._patient_login:
            raise Forbidden("Masuk dengan NIK tidak diaktifkan di klinik ini.", code="patient-login-off")
        if self._patient_birth_date and message.tgl_lahir is None:
            raise Invalid.field("tgl_lahir", "wajib diisi")
        if message.tgl_lahir is not None and parse_date(message.tgl_lahir) is None:
            raise Invalid.field("tgl_lahir", "harus tanggal HH-BB-TTTT")
        found = await self._stores.users.by_nik(message.nik)
        if not is_patient(found, message) or found is None:
            raise await self._refusal(context, found.id if found else None, "Data ini tidak cocok dengan data kami.")
        return await self._sign_in(found, context)

    @handles(auth.SetUp)
    async def set_up(self, message: auth.SetUp, context: Context) -> auth.Tokens:
        admin = new_user(self._clock(), nama=message.nama, email=message.email, role=Role.ADMIN_FASKES)
        password_hash = await self._passwords.hash(message.password)
        act = self._act(context, "auth.setup", admin.id, actor=admin)
        admin = await self._stores.setup_tokens.redeem(hashed(message.token), admin, password_hash, act=act)
        return await self._sign_in(admin, context)

    @handles(CreateDevice)
    async def create_device(self, message: CreateDevice, context: Context) -> auth.Tokens:
        admin = signed_in_caller(context)
        device = new_user(self._clock(), nama=message.nama, role=Role.KIOSK)
        session, token = self._session(device, DEVICE_SECONDS)
        await self._stores.sessions.open_for(
            device,
            session,
            created=self._act(context, "user.create-device", device.id),
            act=self._act(context, "auth.login", device.id, actor=device),
            former=admin.session_id,
            ended=self._act(context, "auth.logout", admin.user_id),
        )
        await self._bus.publish(auth.SessionEnded(session_id=admin.session_id))
        return self._signed_in(device, session.id, token)

    @handles(auth.Refresh)
    async def refresh(self, message: auth.Refresh, context: Context) -> auth.Tokens:
        claims = self._tokens.refresh_claims(message.refresh_token)
        token, token_hash = self._tokens.refresh(claims.session_id)
        now = self._clock()
        try:
            session = await self._stores.sessions.rotate(
                claims.session_id,
                claims.secret_hash,
                token_hash,
                now,
                now + timedelta(seconds=self._tokens.refresh_seconds),
                reuse=self._act(context, "auth.token-reused"),
            )
        except Unauthenticated as error:
            if error.code == "token-reused":
                await self._bus.publish(auth.SessionEnded(session_id=claims.session_id))
            raise
        return self._signed_in(await self._stores.users.get(session.user_id), session.id, token)

    @handles(auth.CheckSession)
    async def check_session(self, message: auth.CheckSession, context: Context) -> auth.SessionState:
        return auth.SessionState(alive=await self._stores.sessions.alive(message.session_id, self._clock()))

    @handles(auth.Logout)
    async def logout(self, message: auth.Logout, context: Context) -> Done:
        principal = signed_in_caller(context)
        await self._stores.sessions.end(principal.session_id, act=self._act(context, "auth.logout", principal.user_id))
        await self._bus.publish(auth.SessionEnded(session_id=principal.session_id))
        return Done()

    @handles(auth.LogoutAll)
    async def logout_all(self, message: auth.LogoutAll, context: Context) -> Done:
        user_id = signed_in_caller(context).user_id
        await self._stores.sessions.end_all(user_id, act=self._act(context, "auth.logout-all", user_id))
        await self._bus.publish(auth.SessionEnded(user_id=user_id))
        return Done()

    @handles(auth.ChangePassword)
    async def change_password(self, message: auth.ChangePassword, context: Context) -> Done:
        principal = signed_in_caller(context)
        known = await self._stores.credentials.of_user(principal.user_id)
        if known is None:
            raise Forbidden("Akun ini tidak masuk dengan kata sandi.", code="no-password")
        # A repeated request under the same key gives the password that was current before the first one.
        repeated = await self._stores.credentials.changed(context.key)
        if not repeated and not await self._passwords.match(known.password_hash, message.current_password):
            wrong = FieldError("current_password", "salah")
            raise Invalid("Kata sandi yang sekarang salah.", code="password-wrong", errors=[wrong])
        await self._change_password(principal.user_id, message.new_password, context, spare=principal.session_id)
        return Done()

    @handles(auth.ResetPassword)
    async def reset_password(self, message: auth.ResetPassword, context: Context) -> Done:
        if message.id == signed_in_caller(context).user_id:
            # Someone at a browser that was left open could otherwise lock its owner out.
            raise Conflict("Untuk kata sandi sendiri, berikan juga yang sekarang.", code="own-password")
        await self._change_password(message.id, message.new_password, context)
        return Done()

    async def _refusal(self, context: Context, subject: str | None, detail: str) -> Unauthenticated:
        """Record a sign-in that failed; the error to raise. Unknown people are recorded too, for equal time."""
        act = self._act(msgspec.structs.replace(context, principal=None), "auth.login-failed", subject)
        await self._stores.audit.record(act)
        return Unauthenticated(detail, code="credentials-wrong")

    async def _change_password(self, user_id: str, password: str, context: Context, *, spare: str = "") -> None:
        act = self._act(context, "auth.change-password" if spare else "auth.reset-password", user_id)
        password_hash = await self._passwords.hash(password)
        await self._stores.credentials.change(user_id, password_hash, spare=spare, key=context.key, act=act)
        await self._bus.publish(auth.SessionEnded(user_id=user_id))

    async def _sign_in(self, user: User, context: Context, *, password_hash: str | None = None) -> auth.Tokens:
        """Open a session of the user, and end the caller's former one: a browser has one session at a time."""
        session, token = self._session(user, self._tokens.refresh_seconds)
        former = context.principal
        await self._stores.sessions.open(
            session,
            password_hash=password_hash,
            act=self._act(context, "auth.login", user.id, actor=user),
            former=former.session_id if former else "",
            ended=self._act(context, "auth.logout", former.user_id, actor=user) if former else None,
        )
        if former is not None:
            await self._bus.publish(auth.SessionEnded(session_id=former.session_id))
        return self._signed_in(user, session.id, token)

    def _session(self, user: User, seconds: int) -> tuple[Session, str]:
        """A new session that lasts `seconds`, and its refresh token."""
        session_id = uuid.uuid4().hex
        token, token_hash = self._tokens.refresh(session_id)
        now = self._clock()
        session = Session(
            id=session_id,
            user_id=user.id,
            role=user.role,
            token_hash=token_hash,
            created_at=now,
            expires_at=now + timedelta(seconds=seconds),
            last_used_at=now,
        )
        return session, token

    def _signed_in(self, user: User, session_id: str, refresh_token: str) -> auth.Tokens:
        return auth.Tokens(
            access_token=self._tokens.access(Principal(user.id, Role(user.role), session_id)),
            refresh_token=refresh_token,
            expires_in=self._tokens.access_seconds,
            user=user,
        )

    def _act(
        self, context: Context, action: str, subject: str | None = None, *, actor: User | None = None
    ) -> AuditEntry:
        return audit_entry(context, self._clock(), action, subject, actor=actor)

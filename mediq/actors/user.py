"""The user service: who the clinic knows, and who is signed in."""

import asyncio
import secrets
import uuid
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime, timedelta
from typing import Any, Final

import argon2
import msgspec

from mediq import observe
from mediq.actors.health import probe
from mediq.domain import card, nik
from mediq.domain.roles import Role
from mediq.domain.user import KTP_FIELDS, User
from mediq.http.tokens import Tokens, hashed
from mediq.kernel.actor import Actor, handles
from mediq.kernel.bus import Bus
from mediq.kernel.context import Context
from mediq.kernel.interval import every
from mediq.messages import auth, user
from mediq.messages.errors import Conflict, Fault, FieldError, Forbidden, Invalid, Unauthenticated
from mediq.messages.health import CheckUser, Part
from mediq.messages.page import Page
from mediq.messages.principal import Principal
from mediq.messages.registry import Done
from mediq.stores.audit import AuditTrail, Entry
from mediq.stores.sessions import Session, SessionStore
from mediq.stores.setup import SetupStore
from mediq.stores.users import Credentials, UserStore, fold

_log = observe.logger("user")
_HASHER: Final = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's minimum for argon2id: 19 MiB, two passes; about 17 ms a password."""
_NOBODY: Final = _HASHER.hash(secrets.token_urlsafe(16))
"""What a password is checked against when nobody has the e-mail address, so that both take as long."""
_SEXES: Final = (*nik.Sex, "MALE", "FEMALE")
_PURGE_SECONDS: Final = 3600.0
_KEYS_KEPT: Final = timedelta(days=2)


def hash_password(password: str) -> str:
    """A password as it is stored."""
    return _HASHER.hash(password)


class UserStores(msgspec.Struct, frozen=True):
    """The stores that the user service owns, all in one database."""

    users: UserStore
    sessions: SessionStore
    setup: SetupStore
    audit: AuditTrail
    ping: Callable[[], Any]


class UserActor(Actor):
    """Answers `user.*` and `auth.*`.

    Passwords are hashed in `executor`, beside the loop. While there is no administrator, each start makes a new
    one-time token for the first one and hands it to `invite`.
    """

    name = "user"
    concurrency = 32

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
        self._sessions = stores.sessions
        self._setup = stores.setup
        self._audit = stores.audit
        self._ping = stores.ping
        self._tokens = tokens
        self._patient_login = patient_login
        self._invite = invite
        self._executor = executor
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

    # Signing in

    @handles(auth.LoginAdmin)
    async def login_admin(self, message: auth.LoginAdmin, context: Context) -> auth.Tokens:
        found = await self._users.credentials(message.email)
        if not await self._matches(found, message.password) or found is None:
            raise Unauthenticated("Email atau kata sandi salah.", code="credentials-wrong")
        if _HASHER.check_needs_rehash(found.password_hash):
            fresh = await self._in_thread(hash_password, message.password)
            await self._users.set_password(found.user_id, fresh, end_sessions=False)
        return await self._sign_in(await self._users.get(found.user_id), context)

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
                claims.session_id, claims.secret_hash, token_hash, now, self._session_end(now)
            )
        except Unauthenticated as error:
            if error.reason == "token-reused":
                await self.bus.publish(auth.SessionEnded(session_id=claims.session_id))
                await self._note(context, "auth.token-reused", claims.session_id)
            raise
        return self._signed_in(await self._users.get(session.user_id), session.id, token)

    @handles(auth.Logout)
    async def logout(self, message: auth.Logout, context: Context) -> Done:
        principal = _caller(context)
        await self._sessions.end(principal.session_id)
        await self.bus.publish(auth.SessionEnded(session_id=principal.session_id))
        return Done()

    @handles(auth.CheckSession)
    async def check_session(self, message: auth.CheckSession, context: Context) -> auth.SessionState:
        return auth.SessionState(alive=await self._sessions.alive(message.session_id, self._clock()))

    @handles(auth.SetUp)
    async def set_up(self, message: auth.SetUp, context: Context) -> auth.Tokens:
        admin = self._new(nama=message.nama, email=message.email, role=Role.ADMIN_FASKES)
        password_hash = await self._in_thread(hash_password, message.password)
        admin = await self._setup.redeem(hashed(message.token), admin, password_hash)
        await self.bus.publish(user.UserCreated(user_id=admin.id))
        await self._note(context, "auth.setup", admin.id)
        return await self._sign_in(admin, context)

    # Users

    @handles(user.CreateUser)
    async def create(self, message: user.CreateUser, context: Context) -> User:
        _check_new_user(message)
        password_hash = None
        if message.password is not None:
            password_hash = await self._in_thread(hash_password, message.password)
        fields = {name: getattr(message, name) for name in ("nama", "nik", "email", "role", *KTP_FIELDS)}
        created = await self._users.create(self._new(**fields), password_hash=password_hash, key=context.key)
        _refuse_other_use(created, message.nik, message.email)
        await self.bus.publish(user.UserCreated(user_id=created.id))
        await self._note(context, "user.create", created.id)
        return created

    @handles(user.CreateFromOcr)
    async def create_from_ocr(self, message: user.CreateFromOcr, context: Context) -> User:
        _check_card(message.nik, message)
        fields = {name: getattr(message, name) for name in ("nama", "nik", *KTP_FIELDS)}
        found, created = await self._users.find_or_create(self._new(**fields, role=Role.PASIEN), key=context.key)
        _refuse_other_use(found, message.nik)
        if created:
            await self.bus.publish(user.UserCreated(user_id=found.id))
            await self._note(context, "user.create-from-ocr", found.id)
        elif context.principal is not None and context.principal.staff:
            found = await self._bring_up_to_date(found, fields, context)
        return found

    async def _bring_up_to_date(self, known: User, fields: dict[str, Any], context: Context) -> User:
        """What staff have seen on the card replaces what was known; a card alone, unseen, changes nobody."""
        changes = {name: value for name, value in fields.items() if value not in (None, getattr(known, name))}
        if not changes:
            return known
        updated = await self._users.update(msgspec.structs.replace(known, **changes))
        await self.bus.publish(user.UserUpdated(user_id=known.id))
        await self._note(context, "user.update-from-ocr", known.id)
        return updated

    @handles(user.CheckNik)
    async def check_nik(self, message: user.CheckNik, context: Context) -> user.NikKnown:
        _parse_nik(message.nik)
        found = await self._users.by_nik(message.nik)
        return user.NikKnown(exists=found is not None, user_id=found.id if found else None)

    @handles(user.GetProfile)
    async def profile(self, message: user.GetProfile, context: Context) -> User:
        return await self._users.get(_caller(context).user_id)

    @handles(user.GetUser)
    async def get(self, message: user.GetUser, context: Context) -> User:
        return await self._users.get(message.user_id)

    @handles(user.FindUsers)
    async def find_all(self, message: user.FindUsers, context: Context) -> Page[User]:
        found, total = await self._users.page(
            page=message.page, limit=message.limit, search=message.search, role=message.role
        )
        return Page.of(found, page=message.page, limit=message.limit, total=total)

    @handles(user.UpdateRole)
    async def update_role(self, message: user.UpdateRole, context: Context) -> User:
        updated = await self._users.set_role(message.id, message.role)
        await self.bus.publish(auth.SessionEnded(user_id=updated.id))
        await self.bus.publish(user.UserUpdated(user_id=updated.id))
        await self._note(context, "user.updateRole", updated.id, why=message.role)
        return updated

    @handles(user.DeleteUser)
    async def delete(self, message: user.DeleteUser, context: Context) -> Done:
        await self._users.delete(message.id)
        await self.bus.publish(auth.SessionEnded(user_id=message.id))
        await self.bus.publish(user.UserDeleted(user_id=message.id))
        await self._note(context, "user.delete", message.id)
        return Done()

    @handles(CheckUser)
    async def health(self, message: CheckUser, context: Context) -> Part:
        database = await probe(self._ping)
        return Part(status=database.status, parts={"database": database})

    # Inside

    def _new(self, **fields: Any) -> User:
        now = self._clock()
        return User(id=uuid.uuid4().hex, created_at=now, updated_at=now, **fields)

    async def _matches(self, found: Credentials | None, password: str) -> bool:
        def verify() -> bool:
            try:
                return _HASHER.verify(found.password_hash if found else _NOBODY, password) and found is not None
            except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
                return False

        return bool(await self._in_thread(verify))

    async def _sign_in(self, person: User, context: Context) -> auth.Tokens:
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
                expires_at=self._session_end(now),
                last_used_at=now,
            )
        )
        await self._note(context, "auth.login", person.id, actor=person)
        return self._signed_in(person, session_id, token)

    def _signed_in(self, person: User, session_id: str, refresh_token: str) -> auth.Tokens:
        return auth.Tokens(
            access_token=self._tokens.access(Principal(person.id, Role(person.role), session_id)),
            refresh_token=refresh_token,
            expires_in=self._tokens.access_seconds,
            user=person,
        )

    def _session_end(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._tokens.refresh_seconds)

    async def _note(
        self, context: Context, action: str, subject: str, *, why: str | None = None, actor: User | None = None
    ) -> None:
        principal = context.principal
        entry = Entry(
            at=self._clock(),
            actor=actor.id if actor else principal.user_id if principal else None,
            role=actor.role if actor else principal.role if principal else None,
            action=action,
            subject=subject,
            why=why,
            request_id=context.request_id or None,
        )
        try:
            await self._audit.record(entry)
        except Fault as fault:
            # What it speaks of is done and safe, and must be answered as done; the log keeps the entry instead.
            _log.error(
                "audit entry not written", code=fault.code, actor=entry.actor, action=action, subject=subject, why=why
            )

    async def _in_thread(self, work: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *args)

    async def _purge(self) -> None:
        now = self._clock()
        await self._sessions.purge(now)
        await self._users.forget_keys(now - _KEYS_KEPT)


def _caller(context: Context) -> Principal:
    if context.principal is None:
        raise Unauthenticated("Silakan masuk dulu.")
    return context.principal


def _refuse_other_use(answer: User, number: str | None, email: str | None = None) -> None:
    """A repeated idempotency key gives the first answer, but never for another person than the first time."""
    if number != answer.nik or (email is not None and fold(email) != fold(answer.email or "")):
        raise Conflict("Kunci idempotensi ini sudah dipakai untuk orang lain.", code="key-reused")


def _folded(name: str) -> bytes:
    """A name as it is compared: letters and digits alone, since cards and people differ in dots and spaces."""
    return "".join(c for c in fold(name) if c.isalnum()).encode()


def _parse_nik(text: str) -> nik.Nik:
    try:
        return nik.parse(text)
    except nik.InvalidNik as error:
        raise Invalid.field("nik", str(error)) from None


def _check_card(number: str | None, fields: user.Ktp) -> None:
    """Refuse what cannot stand on a card. A NIK that contradicts the date of birth may: cards are wrong at times."""
    if number is not None:
        _parse_nik(number)
    if fields.tgl_lahir is not None and card.parse_date(fields.tgl_lahir) is None:
        raise Invalid.field("tgl_lahir", "harus tanggal HH-BB-TTTT")
    if fields.jenis_kelamin is not None and fields.jenis_kelamin not in _SEXES:
        raise Invalid.field("jenis_kelamin", "harus LAKI-LAKI atau PEREMPUAN (MALE atau FEMALE pada kartu WNA)")


def _check_new_user(message: user.CreateUser) -> None:
    needed = ["nik"] if message.role is Role.PASIEN else ["email", "password"]
    missing = [FieldError(name, "wajib diisi") for name in needed if getattr(message, name) is None]
    if missing:
        raise Invalid(f"{message.role} perlu {' dan '.join(needed)}.", errors=missing)
    if message.password is not None and message.email is None:
        raise Invalid.field("email", "wajib diisi bila ada kata sandi")
    _check_card(message.nik, message)

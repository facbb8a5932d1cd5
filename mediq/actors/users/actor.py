"""The user service's actor: answers `user.*` itself, and `auth.*` through :class:`Authentication`."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from mediq.actors.cards import messages as ocr
from mediq.actors.queue import messages as queue
from mediq.actors.users import auth_messages as auth
from mediq.actors.users import messages as user
from mediq.actors.users.authentication import Authentication
from mediq.actors.users.caller import audit_entry, signed_in_caller
from mediq.actors.users.passwords import Passwords
from mediq.actors.users.user import KTP_FIELDS, User, new_user
from mediq.actors.users.users import UserStore
from mediq.domain import card, nik
from mediq.domain.roles import Role
from mediq.messages.audit_entry import AuditEntry
from mediq.messages.errors import Conflict, FieldError, Invalid, NotFound
from mediq.messages.health import CheckUser, ComponentHealth
from mediq.messages.pagination import Page
from mediq.messages.registry import Done
from mediq.runtime.actor import Actor, handles
from mediq.runtime.bus import Bus
from mediq.runtime.context import Context
from mediq.runtime.health import probe
from mediq.runtime.periodic import every
from mediq.stores.audit_trail import AuditTrail

_PURGE_SECONDS: Final = 3600.0
_KEYS_KEPT: Final = timedelta(days=2)
"""How long an idempotency key is kept."""
_SEXES: Final = (*nik.Sex, "MALE", "FEMALE")


class UserActor(Actor):
    """Answers `user.*`; its part `authentication` answers `auth.*` on the same mailbox.

    Args:
        invite: called at each start without an administrator, with the one-time token that makes the first one.
        ping: returns if the database answers, raises if it does not.
    """

    name = "user"
    concurrency = 32

    def __init__(
        self,
        bus: Bus,
        users: UserStore,
        audit: AuditTrail,
        authentication: Authentication,
        passwords: Passwords,
        *,
        invite: Callable[[str], None],
        ping: Callable[[], Awaitable[object]],
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(bus, authentication)
        self._users = users
        self._audit = audit
        self._authentication = authentication
        self._passwords = passwords
        self._invite = invite
        self._ping = ping
        self._clock = clock

    async def on_start(self) -> None:
        if (token := await self._authentication.issue_setup_token()) is not None:
            self._invite(token)

    async def run(self) -> None:
        await every(_PURGE_SECONDS, self._purge)

    @handles(user.CreateUser)
    async def create(self, message: user.CreateUser, context: Context) -> User:
        _check_new_user(message)
        password_hash = None
        if message.password is not None:
            password_hash = await self._passwords.hash(message.password)
        fields = {name: getattr(message, name) for name in ("nama", "nik", "email", "role", *KTP_FIELDS)}
        new = new_user(self._clock(), **fields)
        act = self._act(context, "user.create", new.id)
        return await self._users.create(new, password_hash=password_hash, key=context.key, act=act)

    @handles(user.CreateFromOcr)
    async def create_from_ocr(self, message: user.CreateFromOcr, context: Context) -> User:
        _check_card(message.nik, message)
        fields = {name: getattr(message, name) for name in ("nama", "nik", *KTP_FIELDS)}
        new = new_user(self._clock(), **fields, role=Role.PASIEN)
        act = self._act(context, "user.create-from-ocr", new.id)
        found, created = await self._users.find_or_create(new, key=context.key, act=act)
        if not created and context.principal is not None and context.principal.staff:
            return await self._update_from_card(found, fields, context)
        return found

    async def _update_from_card(self, known: User, fields: dict[str, Any], context: Context) -> User:
        """Replace what is stored with what staff have seen on the card. A card that nobody has seen changes nothing."""
        changes = {name: value for name, value in fields.items() if value not in (None, getattr(known, name))}
        if not changes:
            await self._record_read(context, known)
            return known
        act = self._act(context, "user.update-from-ocr", known.id)
        return await self._users.update(msgspec.structs.replace(known, **changes), act=act)

    @handles(user.CheckNik)
    async def check_nik(self, message: user.CheckNik, context: Context) -> user.NikKnown:
        _parse_nik(message.nik)
        found = await self._users.by_nik(message.nik)
        user_id = found.id if found else None
        await self._audit.record(self._act(context, "user.check-nik", user_id))
        return user.NikKnown(exists=found is not None, user_id=user_id)

    @handles(user.GetProfile)
    async def profile(self, message: user.GetProfile, context: Context) -> User:
        return await self._users.get(signed_in_caller(context).user_id)

    @handles(user.FindPeople)
    async def find_people(self, message: user.FindPeople, context: Context) -> tuple[user.Person, ...]:
        found = await self._users.find(message.ids)
        return tuple(user.Person(id=each.id, patient=each.nik is not None, born=each.born) for each in found)

    @handles(user.ReadUser)
    async def read(self, message: user.ReadUser, context: Context) -> User:
        found = await self._users.get(message.id)
        await self._record_read(context, found)
        return found

    @handles(user.FindUsers)
    async def find_all(self, message: user.FindUsers, context: Context) -> Page[User]:
        found, total = await self._users.page(
            page=message.page, limit=message.limit, search=message.search, role=message.role
        )
        seen = (self._act(context, "user.read", each.id) for each in found if each.role == Role.PASIEN)
        await self._audit.record(self._act(context, "user.findAll"), *seen)
        return Page.of(found, page=message.page, limit=message.limit, total=total)

    @handles(user.UpdateRole)
    async def update_role(self, message: user.UpdateRole, context: Context) -> User:
        _refuse_device_role(message.role)
        before = await self._users.get(message.id)
        if before.role == Role.KIOSK:
            raise Conflict("Perangkat tidak dapat diberi peran lain.", code="role-of-device")
        act = self._act(context, "user.updateRole", message.id, why=message.role)
        updated = await self._users.set_role(message.id, message.role, key=context.key, act=act)
        await self.bus.publish(auth.SessionEnded(user_id=updated.id))
        if updated == before:
            await self._record_read(context, updated)
        return updated

    @handles(user.DeleteUser)
    async def delete(self, message: user.DeleteUser, context: Context) -> Done:
        missing = None
        try:
            await self._users.delete(message.id, key=context.key, act=self._act(context, "user.delete", message.id))
        except NotFound as error:
            missing = error  # repeating a deletion finishes one that was cut short
        await self.bus.publish(auth.SessionEnded(user_id=message.id))
        await self.bus.ask(queue.WithdrawPatient(user_id=message.id))
        await self.bus.ask(ocr.ForgetCards(user_id=message.id))
        if missing is not None:
            raise missing
        return Done()

    @handles(CheckUser)
    async def health(self, message: CheckUser, context: Context) -> ComponentHealth:
        database = await probe(self._ping)
        return ComponentHealth(status=database.status, parts={"database": database})

    async def _record_read(self, context: Context, found: User) -> None:
        """Record that the caller is about to see a stored user."""
        await self._audit.record(self._act(context, "user.read", found.id))

    def _act(self, context: Context, action: str, subject: str | None = None, *, why: str | None = None) -> AuditEntry:
        return audit_entry(context, self._clock(), action, subject, why=why)

    async def _purge(self) -> None:
        await self._authentication.purge_sessions()
        await self._users.forget_keys(self._clock() - _KEYS_KEPT)


def _parse_nik(text: str) -> nik.Nik:
    try:
        return nik.parse(text)
    except nik.InvalidNik as error:
        raise Invalid.field("nik", str(error)) from None


def _check_card(number: str | None, fields: user.Ktp) -> None:
    """Refuse values that no card has. A NIK may contradict the date of birth: some cards are wrong."""
    if number is not None:
        _parse_nik(number)
    if fields.tgl_lahir is not None and card.parse_date(fields.tgl_lahir) is None:
        raise Invalid.field("tgl_lahir", "harus tanggal HH-BB-TTTT")
    if fields.jenis_kelamin is not None and fields.jenis_kelamin not in _SEXES:
        raise Invalid.field("jenis_kelamin", "harus LAKI-LAKI atau PEREMPUAN (MALE atau FEMALE pada kartu WNA)")


def _refuse_device_role(role: Role) -> None:
    if role is Role.KIOSK:
        raise Invalid.field("role", "hanya untuk perangkat, yang dipasang di tempatnya")


def _check_new_user(message: user.CreateUser) -> None:
    _refuse_device_role(message.role)
    needed = ["nik"] if message.role is Role.PASIEN else ["email", "password"]
    missing = [FieldError(name, "wajib diisi") for name in needed if getattr(message, name) is None]
    if missing:
        raise Invalid(f"{message.role} perlu {' dan '.join(needed)}.", errors=missing)
    if message.password is not None and message.email is None:
        raise Invalid.field("email", "wajib diisi bila ada kata sandi")
    _check_card(message.nik, message)

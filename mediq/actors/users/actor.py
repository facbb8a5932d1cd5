"""The user service: who the clinic knows and, by what it inherits, who is signed in."""

from typing import Any, Final

import msgspec

from mediq.actors.cards import messages as ocr
from mediq.actors.queue import messages as queue
from mediq.actors.users import auth_messages as auth
from mediq.actors.users import messages as user
from mediq.actors.users.sign_in import SignIn, caller
from mediq.actors.users.tokens import DEVICE_SECONDS
from mediq.actors.users.user import KTP_FIELDS, User
from mediq.domain import card, nik
from mediq.domain.roles import Role
from mediq.messages.errors import Conflict, FieldError, Invalid, NotFound
from mediq.messages.health import CheckUser, Part
from mediq.messages.pagination import Page
from mediq.messages.registry import Done
from mediq.runtime.actor import handles
from mediq.runtime.context import Context
from mediq.runtime.health import probe

_SEXES: Final = (*nik.Sex, "MALE", "FEMALE")


class UserActor(SignIn):
    """Answers `user.*`, and `auth.*` as :class:`SignIn` does."""

    name = "user"
    concurrency = 32

    @handles(user.CreateUser)
    async def create(self, message: user.CreateUser, context: Context) -> User:
        _check_new_user(message)
        password_hash = None
        if message.password is not None:
            password_hash = await self._passwords.hash(message.password)
        fields = {name: getattr(message, name) for name in ("nama", "nik", "email", "role", *KTP_FIELDS)}
        new = self._new(**fields)
        act = self._act(context, "user.create", new.id)
        created = await self._users.create(new, password_hash=password_hash, key=context.key, act=act)
        await self.bus.publish(user.UserCreated(user_id=created.id))
        return created

    @handles(user.CreateFromOcr)
    async def create_from_ocr(self, message: user.CreateFromOcr, context: Context) -> User:
        _check_card(message.nik, message)
        fields = {name: getattr(message, name) for name in ("nama", "nik", *KTP_FIELDS)}
        new = self._new(**fields, role=Role.PASIEN)
        act = self._act(context, "user.create-from-ocr", new.id)
        found, created = await self._users.find_or_create(new, key=context.key, act=act)
        if created:
            await self.bus.publish(user.UserCreated(user_id=found.id))
        elif context.principal is not None and context.principal.staff:
            found = await self._bring_up_to_date(found, fields, context)
        return found

    async def _bring_up_to_date(self, known: User, fields: dict[str, Any], context: Context) -> User:
        """What staff have seen on the card replaces what was known; a card alone, unseen, changes nobody."""
        changes = {name: value for name, value in fields.items() if value not in (None, getattr(known, name))}
        if not changes:
            await self._note_look(context, known)
            return known
        act = self._act(context, "user.update-from-ocr", known.id)
        updated = await self._users.update(msgspec.structs.replace(known, **changes), act=act)
        await self.bus.publish(user.UserUpdated(user_id=known.id))
        return updated

    @handles(user.CreateDevice)
    async def create_device(self, message: user.CreateDevice, context: Context) -> auth.Tokens:
        admin = caller(context)
        device = self._new(nama=message.nama, role=Role.KIOSK)
        session, token = self._session(device, DEVICE_SECONDS)
        await self._sessions.open_for(
            device,
            session,
            created=self._act(context, "user.create-device", device.id),
            act=self._act(context, "auth.login", device.id, actor=device),
            former=admin.session_id,
            ended=self._act(context, "auth.logout", admin.user_id),
        )
        await self.bus.publish(user.UserCreated(user_id=device.id))
        await self.bus.publish(auth.SessionEnded(session_id=admin.session_id))
        return self._signed_in(device, session.id, token)

    @handles(user.CheckNik)
    async def check_nik(self, message: user.CheckNik, context: Context) -> user.NikKnown:
        _parse_nik(message.nik)
        found = await self._users.by_nik(message.nik)
        user_id = found.id if found else None
        await self._audit.record(self._act(context, "user.check-nik", user_id))
        return user.NikKnown(exists=found is not None, user_id=user_id)

    @handles(user.GetProfile)
    async def profile(self, message: user.GetProfile, context: Context) -> User:
        return await self._users.get(caller(context).user_id)

    @handles(user.FindPeople)
    async def find_people(self, message: user.FindPeople, context: Context) -> tuple[user.Person, ...]:
        found = await self._users.find(message.ids)
        return tuple(user.Person(id=each.id, patient=each.nik is not None, born=each.born) for each in found)

    @handles(user.ReadUser)
    async def read(self, message: user.ReadUser, context: Context) -> User:
        found = await self._users.get(message.id)
        await self._note_look(context, found)
        return found

    async def _note_look(self, context: Context, person: User) -> None:
        """Note that the caller is about to see a record that is there already."""
        await self._audit.record(self._act(context, "user.read", person.id))

    @handles(user.FindUsers)
    async def find_all(self, message: user.FindUsers, context: Context) -> Page[User]:
        found, total = await self._users.page(
            page=message.page, limit=message.limit, search=message.search, role=message.role
        )
        seen = (self._act(context, "user.read", person.id) for person in found if person.role == Role.PASIEN)
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
        await self.bus.publish(user.UserUpdated(user_id=updated.id))
        if updated == before:
            await self._note_look(context, updated)
        return updated

    @handles(user.DeleteUser)
    async def delete(self, message: user.DeleteUser, context: Context) -> Done:
        missing = None
        try:
            await self._users.delete(message.id, key=context.key, act=self._act(context, "user.delete", message.id))
        except NotFound as error:
            missing = error  # a deletion cut short is finished by repeating it
        await self.bus.publish(auth.SessionEnded(user_id=message.id))
        await self.bus.publish(user.UserDeleted(user_id=message.id))
        await self.bus.ask(queue.WithdrawPatient(user_id=message.id))
        await self.bus.ask(ocr.ForgetCards(user_id=message.id))
        if missing is not None:
            raise missing
        return Done()

    @handles(CheckUser)
    async def health(self, message: CheckUser, context: Context) -> Part:
        database = await probe(self._ping)
        return Part(status=database.status, parts={"database": database})


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

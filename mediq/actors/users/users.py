"""The people the clinic knows: patients and staff."""

import unicodedata
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Row, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediq.actors.users.request_keys import answered, forget, remember
from mediq.actors.users.user import User
from mediq.domain.card import FIELDS
from mediq.domain.roles import Role
from mediq.messages.audit_entry import AuditEntry
from mediq.messages.errors import Conflict, Fault, FieldError, Invalid, NotFound, Unavailable
from mediq.stores.audit_trail import insert_entry
from mediq.stores.database import forget_deleted, reading, retry_on_conflict, writing
from mediq.stores.tables import TEXT_LIMIT, sessions, users

__all__ = ["ADMIN", "User", "UserStore", "add_user", "count_admins", "fold", "locked_user"]

ADMIN: Final = Role.ADMIN_FASKES.value
_ATTEMPTS: Final = 3
_NIK: Final = 16


def _utc_now() -> datetime:
    return datetime.now(UTC)


class UserStore:
    """Users in the SQL database. NIKs and emails (in any case) are unique; every change is durable on return.

    `clock` dates the changes; the two dates of a new user are its own. What writes notes its `act` in the audit trail,
    in the same transaction and only if it changed anything. Every method may raise
    :class:`~mediq.messages.errors.Unavailable`, those that write :class:`~mediq.messages.errors.StorageFull`.
    """

    def __init__(self, engine: AsyncEngine, *, clock: Callable[[], datetime] = _utc_now) -> None:
        self._engine = engine
        self._clock = clock

    async def create(
        self, user: User, *, password_hash: str | None = None, key: str | None = None, act: AuditEntry | None = None
    ) -> User:
        """Add `user`. A `key` used before adds nothing and returns the user of its first use, as it is now.

        Raises:
            Conflict: `nik-taken` or `email-taken`, with the field; `key-reused`.
            Invalid: a field is too long.
            NotFound: `user-deleted`, the user of the key's first use was deleted since.
        """
        return (await self._add(user, password_hash, key, act, find=False))[0]

    async def find_or_create(
        self, user: User, *, key: str | None = None, act: AuditEntry | None = None
    ) -> tuple[User, bool]:
        """The user with `user`'s NIK, or `user` added; and whether it was added. A known user is unchanged.

        A `key` used before returns the same user and the same answer as at its first use.

        Raises:
            Conflict: `email-taken`, with the field; the NIK is new but the email is not. Or `key-reused`.
            Invalid: a field is too long.
            NotFound: `user-deleted`, the user of the key's first use was deleted since.
        """
        return await self._add(user, None, key, act, find=True)

    async def get(self, user_id: str) -> User:
        """The user.

        Raises:
            NotFound: `user-not-found`.
        """
        async with reading(self._engine) as connection:
            return await _required(connection, user_id)

    async def find(self, ids: Collection[str]) -> list[User]:
        """Those of the users with these ids that there are, in no order."""
        async with reading(self._engine) as connection:
            return [_user(row) for row in await connection.execute(_users().where(users.c.id.in_(ids)))]

    async def by_nik(self, nik: str) -> User | None:
        """The user with this NIK, or None."""
        async with reading(self._engine) as connection:
            return await _by_nik(connection, nik)

    async def page(
        self, *, page: int = 1, limit: int = 20, search: str | None = None, role: str | None = None
    ) -> tuple[list[User], int]:
        """Page number `page`, from 1, of `limit` users, and how many there are in all.

        `search` is found, in any case, anywhere in nama, NIK or email; `%` and `_` mean themselves. Oldest first,
        so that someone registered meanwhile shifts no page.
        """
        wanted = [] if role is None else [users.c.role == role]
        if search and (term := fold(search)):
            wanted.append(users.c.search.contains(term, autoescape=True))
        query = _users().where(*wanted).order_by(users.c.created_at, users.c.id)
        async with reading(self._engine) as connection:
            total = (await connection.execute(select(func.count()).select_from(users).where(*wanted))).scalar_one()
            rows = await connection.execute(query.limit(limit).offset((page - 1) * limit))
            return [_user(row) for row in rows], total

    async def count_admins(self) -> int:
        """How many users are ADMIN_FASKES."""
        async with reading(self._engine) as connection:
            return await count_admins(connection)

    @retry_on_conflict
    async def update(self, user: User, *, act: AuditEntry | None = None) -> User:
        """Replace what is known of the user with `user`'s id, except role, password and created_at.

        Raises:
            NotFound: `user-not-found`.
            Conflict: `nik-taken` or `email-taken`, with the field.
            Invalid: a field is too long.
        """
        _refuse_too_long(user)
        changes = _columns(user) | {"updated_at": self._clock()}
        for kept in ("id", "role", "created_at"):
            del changes[kept]
        for _ in range(_ATTEMPTS):
            # On MySQL another process may take NIK or email between the look and the write: look once more.
            with suppress(IntegrityError):
                async with writing(self._engine) as connection:
                    await locked_user(connection, user.id)
                    await _refuse_taken(connection, user)
                    await connection.execute(update(users).where(users.c.id == user.id).values(changes))
                    await insert_entry(connection, act)
                    return await _required(connection, user.id)
        raise Unavailable

    @retry_on_conflict
    async def set_role(self, user_id: str, role: str, *, key: str | None = None, act: AuditEntry | None = None) -> User:
        """Give the user another role; if it is another, their sessions end. A `key` used before changes nothing.

        Raises:
            NotFound: `user-not-found`.
            Conflict: `last-admin`, nobody else is ADMIN_FASKES; `key-reused`.
        """
        for _ in range(_ATTEMPTS):
            with suppress(IntegrityError):  # the same key at once elsewhere: look what it was
                async with writing(self._engine) as connection:
                    user = await locked_user(connection, user_id)
                    if await answered(connection, key) is not None:
                        return user
                    await remember(connection, key, user_id, self._clock())
                    if user.role == role:
                        return user
                    await _refuse_last_admin(connection, user)
                    changes = {"role": role, "updated_at": self._clock()}
                    await connection.execute(update(users).where(users.c.id == user_id).values(changes))
                    await connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
                    await insert_entry(connection, act)
                    return await _required(connection, user_id)
        raise Unavailable

    @retry_on_conflict
    async def delete(self, user_id: str, *, key: str | None = None, act: AuditEntry | None = None) -> None:
        """Remove the user and end their sessions. A `key` used before changes nothing.

        Raises:
            NotFound: `user-not-found`.
            Conflict: `last-admin`, nobody else is ADMIN_FASKES; `key-reused`.
        """
        async with writing(self._engine) as connection:
            if await answered(connection, key) is not None:
                return
            user = await locked_user(connection, user_id)
            await _refuse_last_admin(connection, user)
            await connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
            await connection.execute(delete(users).where(users.c.id == user_id))
            await remember(connection, key, user_id, self._clock())
            await insert_entry(connection, act)
        with suppress(Fault):  # done and safe; what fails here is made up for by the next deletion
            await forget_deleted(self._engine)

    @retry_on_conflict
    async def forget_keys(self, before: datetime) -> int:
        """Forget the idempotency keys first used before `before`; how many."""
        async with writing(self._engine) as connection:
            return await forget(connection, before)

    @retry_on_conflict
    async def _add(
        self, user: User, password_hash: str | None, key: str | None, act: AuditEntry | None, *, find: bool
    ) -> tuple[User, bool]:
        _refuse_too_long(user)
        for _ in range(_ATTEMPTS):
            # Mostly a patient is new and the request comes once: write first, and look only when that is refused.
            with suppress(IntegrityError):
                async with writing(self._engine) as connection:
                    await _insert(connection, user, password_hash)
                    await remember(connection, key, user.id, self._clock(), created=True)
                    await insert_entry(connection, act)
                return user, True
            with suppress(IntegrityError):
                async with writing(self._engine) as connection:
                    if (first := await answered(connection, key)) is not None:
                        return await _still_there(connection, first.user_id), first.created
                    if find and user.nik is not None and (known := await _by_nik(connection, user.nik)):
                        await remember(connection, key, known.id, self._clock())
                        return known, False
                    await _refuse_taken(connection, user)
                    await _refuse_id_taken(connection, user)
            # Who stood in the way has gone since, or another process was faster: once more.
        raise Unavailable


async def add_user(connection: AsyncConnection, user: User, password_hash: str | None) -> None:
    """Add `user` inside the caller's transaction; refusals as of `UserStore.create`."""
    _refuse_too_long(user)
    await _refuse_taken(connection, user)
    await _insert(connection, user, password_hash)


async def count_admins(connection: AsyncConnection, *, lock: bool = False) -> int:
    """How many are ADMIN_FASKES; with `lock`, none of them changes before the caller's transaction ends."""
    query = select(users.c.id).where(users.c.role == ADMIN)
    return len((await connection.execute(query.with_for_update() if lock else query)).all())


async def locked_user(connection: AsyncConnection, user_id: str) -> User:
    """The user, whom nobody else changes before the caller's transaction ends; NotFound if there is none."""
    return _found(await _first(connection, _users().where(users.c.id == user_id).with_for_update()))


def fold(text: str) -> str:
    """`text` as it is compared: without regard to case, surrounding space, or how accents are encoded."""
    return unicodedata.normalize("NFC", text.strip().casefold())


def _users() -> Select[Any]:
    return select(*(users.c[name] for name in User.__struct_fields__))


def _user(row: Row[Any]) -> User:
    return User(**row._mapping)


async def _first(connection: AsyncConnection, query: Select[Any]) -> User | None:
    row = (await connection.execute(query)).first()
    return None if row is None else _user(row)


async def _by_nik(connection: AsyncConnection, nik: str) -> User | None:
    return await _first(connection, _users().where(users.c.nik == nik))


async def _required(connection: AsyncConnection, user_id: str) -> User:
    return _found(await _first(connection, _users().where(users.c.id == user_id)))


def _found(user: User | None) -> User:
    if user is None:
        raise NotFound("Pengguna tidak ditemukan.", code="user-not-found")
    return user


async def _still_there(connection: AsyncConnection, user_id: str) -> User:
    user = await _first(connection, _users().where(users.c.id == user_id))
    if user is None:
        raise NotFound("Pengguna ini sudah dihapus.", code="user-deleted")
    return user


async def _insert(connection: AsyncConnection, user: User, password_hash: str | None) -> None:
    await connection.execute(insert(users).values(_columns(user) | {"password_hash": password_hash}))


def _refuse_too_long(user: User) -> None:
    for name in ("email", *FIELDS):
        limit = _NIK if name == "nik" else TEXT_LIMIT
        if len(getattr(user, name) or "") > limit:
            raise Invalid.field(name, f"paling banyak {limit} huruf")


async def _refuse_id_taken(connection: AsyncConnection, user: User) -> None:
    if await _first(connection, _users().where(users.c.id == user.id)) is not None:
        raise Conflict("Pengguna ini sudah ada.", code="id-taken")


async def _refuse_taken(connection: AsyncConnection, user: User) -> None:
    for name, column, value in (
        ("nik", users.c.nik, user.nik),
        ("email", users.c.email_key, user.email and fold(user.email)),
    ):
        if value is None:
            continue
        query = select(users.c.id).where(column == value, users.c.id != user.id)
        if (await connection.execute(query)).first() is not None:
            message = f"{'NIK' if name == 'nik' else 'Email'} sudah terdaftar"
            raise Conflict(f"{message}.", code=f"{name}-taken", errors=[FieldError(name, message)])


async def _refuse_last_admin(connection: AsyncConnection, user: User) -> None:
    if user.role == ADMIN and await count_admins(connection, lock=True) <= 1:
        raise Conflict("Harus selalu ada satu ADMIN_FASKES.", code="last-admin")


def _columns(user: User) -> dict[str, Any]:
    return msgspec.structs.asdict(user) | {
        "email_key": user.email and fold(user.email),
        "search": "\n".join(fold(text) for text in (user.nama, user.nik, user.email) if text),
    }

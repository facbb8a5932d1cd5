"""The store of users: patients, staff and devices."""

from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediq.actors.users.request_keys import delete_keys, first_outcome, store_key
from mediq.actors.users.user import User, normalise
from mediq.actors.users.user_rows import (
    columns_of,
    count_admins,
    find_by_nik,
    find_user,
    insert_user,
    locked_user,
    refuse_last_admin,
    refuse_taken,
    refuse_too_long,
    required_user,
    select_users,
    user_of,
)
from mediq.messages.audit_entry import AuditEntry
from mediq.messages.errors import Conflict, Fault, NotFound, Unavailable
from mediq.stores.audit_trail import insert_entry
from mediq.stores.database import forget_deleted, reading, retry_on_conflict, writing
from mediq.stores.tables import sessions, users

_ATTEMPTS: Final = 3


def _utc_now() -> datetime:
    return datetime.now(UTC)


class UserStore:
    """Users in the SQL database. NIKs and emails (in any case) are unique; every change is durable on return.

    `clock` dates the changes; a new user brings its own two dates. A method that writes also records its `act` in the
    audit trail, in the same transaction and only if it changed anything. Every method may raise
    :class:`~mediq.messages.errors.Unavailable`; methods that write may raise
    :class:`~mediq.messages.errors.StorageFull`.

    Example::

        engine = open_database("sqlite+aiosqlite:///data/users.db")
        await migrate(engine)
        store = UserStore(engine)
        siti = await store.create(new_user(now, nama="SITI", nik="3201154101900001", role="PASIEN"))
        assert await store.by_nik("3201154101900001") == siti
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
        """The user with `user`'s NIK, unchanged, or else `user` added; and whether it was added.

        A `key` used before returns the same user and the same answer as at its first use.

        Raises:
            Conflict: `email-taken`, with the field: the NIK is new but the email is not; or `key-reused`.
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
            return await required_user(connection, user_id)

    async def find(self, ids: Collection[str]) -> list[User]:
        """The users with these ids, in no order; an id that no user has is left out."""
        async with reading(self._engine) as connection:
            return [user_of(row) for row in await connection.execute(select_users().where(users.c.id.in_(ids)))]

    async def by_nik(self, nik: str) -> User | None:
        """The user with this NIK, or None."""
        async with reading(self._engine) as connection:
            return await find_by_nik(connection, nik)

    async def page(
        self, *, page: int = 1, limit: int = 20, search: str | None = None, role: str | None = None
    ) -> tuple[list[User], int]:
        """Page number `page`, from 1, of `limit` users, and the number of users on all pages.

        `search` is found, in any case, anywhere in nama, NIK or email; `%` and `_` have no special meaning. Oldest
        first, so that a user who registers meanwhile shifts no page.
        """
        conditions = [] if role is None else [users.c.role == role]
        if search and (term := normalise(search)):
            conditions.append(users.c.search.contains(term, autoescape=True))
        query = select_users().where(*conditions).order_by(users.c.created_at, users.c.id)
        async with reading(self._engine) as connection:
            total = (await connection.execute(select(func.count()).select_from(users).where(*conditions))).scalar_one()
            rows = await connection.execute(query.limit(limit).offset((page - 1) * limit))
            return [user_of(row) for row in rows], total

    async def count_admins(self) -> int:
        """The number of ADMIN_FASKES."""
        async with reading(self._engine) as connection:
            return await count_admins(connection)

    @retry_on_conflict
    async def update(self, user: User, *, act: AuditEntry | None = None) -> User:
        """Replace the fields of the user with `user`'s id, except role, password and created_at.

        Raises:
            NotFound: `user-not-found`.
            Conflict: `nik-taken` or `email-taken`, with the field.
            Invalid: a field is too long.
        """
        refuse_too_long(user)
        changes = columns_of(user) | {"updated_at": self._clock()}
        for kept in ("id", "role", "created_at"):
            del changes[kept]
        for _ in range(_ATTEMPTS):
            # On MySQL another process may take NIK or email between the check and the write: check again.
            with suppress(IntegrityError):
                async with writing(self._engine) as connection:
                    await locked_user(connection, user.id)
                    await refuse_taken(connection, user)
                    await connection.execute(update(users).where(users.c.id == user.id).values(changes))
                    await insert_entry(connection, act)
                    return await required_user(connection, user.id)
        raise Unavailable

    @retry_on_conflict
    async def set_role(self, user_id: str, role: str, *, key: str | None = None, act: AuditEntry | None = None) -> User:
        """Give the user a role. If the role is new, the user's sessions end. A `key` used before changes nothing.

        Raises:
            NotFound: `user-not-found`.
            Conflict: `last-admin`, no other user is ADMIN_FASKES; `key-reused`.
        """
        for _ in range(_ATTEMPTS):
            with suppress(IntegrityError):  # another process uses the same key now: read what it did
                async with writing(self._engine) as connection:
                    user = await locked_user(connection, user_id)
                    if await first_outcome(connection, key) is not None:
                        return user
                    await store_key(connection, key, user_id, self._clock())
                    if user.role == role:
                        return user
                    await refuse_last_admin(connection, user)
                    changes = {"role": role, "updated_at": self._clock()}
                    await connection.execute(update(users).where(users.c.id == user_id).values(changes))
                    await connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
                    await insert_entry(connection, act)
                    return await required_user(connection, user_id)
        raise Unavailable

    @retry_on_conflict
    async def delete(self, user_id: str, *, key: str | None = None, act: AuditEntry | None = None) -> None:
        """Remove the user and end the user's sessions. A `key` used before changes nothing.

        Raises:
            NotFound: `user-not-found`.
            Conflict: `last-admin`, no other user is ADMIN_FASKES; `key-reused`.
        """
        async with writing(self._engine) as connection:
            if await first_outcome(connection, key) is not None:
                return
            user = await locked_user(connection, user_id)
            await refuse_last_admin(connection, user)
            await connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
            await connection.execute(delete(users).where(users.c.id == user_id))
            await store_key(connection, key, user_id, self._clock())
            await insert_entry(connection, act)
        with suppress(Fault):  # the deletion is durable; the next one repeats what fails here
            await forget_deleted(self._engine)

    @retry_on_conflict
    async def forget_keys(self, before: datetime) -> int:
        """Delete the idempotency keys first used before `before`; how many there were."""
        async with writing(self._engine) as connection:
            return await delete_keys(connection, before)

    @retry_on_conflict
    async def _add(
        self, user: User, password_hash: str | None, key: str | None, act: AuditEntry | None, *, find: bool
    ) -> tuple[User, bool]:
        refuse_too_long(user)
        for _ in range(_ATTEMPTS):
            # Most patients are new and most requests come once: write first, and read only when that is refused.
            with suppress(IntegrityError):
                async with writing(self._engine) as connection:
                    await insert_user(connection, user, password_hash)
                    await store_key(connection, key, user.id, self._clock(), created=True)
                    await insert_entry(connection, act)
                return user, True
            with suppress(IntegrityError):
                async with writing(self._engine) as connection:
                    if (first := await first_outcome(connection, key)) is not None:
                        return await _still_there(connection, first.user_id), first.created
                    if find and user.nik is not None and (known := await find_by_nik(connection, user.nik)):
                        await store_key(connection, key, known.id, self._clock())
                        return known, False
                    await refuse_taken(connection, user)
                    await _refuse_id_taken(connection, user)
            # The user in the way is gone since, or another process was faster: try again.
        raise Unavailable


async def _still_there(connection: AsyncConnection, user_id: str) -> User:
    user = await find_user(connection, user_id)
    if user is None:
        raise NotFound("Pengguna ini sudah dihapus.", code="user-deleted")
    return user


async def _refuse_id_taken(connection: AsyncConnection, user: User) -> None:
    if await find_user(connection, user.id) is not None:
        raise Conflict("Pengguna ini sudah ada.", code="id-taken")

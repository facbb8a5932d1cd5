"""Statements on the table of users, which several stores run inside their own transactions."""

from typing import Any, Final

import msgspec
from sqlalchemy import Row, Select, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediq.actors.users.user import User, normalise
from mediq.domain.card import FIELDS
from mediq.domain.roles import Role
from mediq.messages.errors import Conflict, FieldError, Invalid, NotFound
from mediq.stores.tables import TEXT_LIMIT, users

ADMIN: Final = Role.ADMIN_FASKES.value
_NIK_LENGTH: Final = 16


def select_users() -> Select[Any]:
    """A query for whole users; add conditions and read its rows with :func:`user_of`."""
    return select(*(users.c[name] for name in User.__struct_fields__))


def user_of(row: Row[Any]) -> User:
    """The user that a row of :func:`select_users` holds."""
    return User(**row._mapping)


async def find_user(connection: AsyncConnection, user_id: str) -> User | None:
    """The user with this id, or None."""
    return await _first(connection, select_users().where(users.c.id == user_id))


async def find_by_nik(connection: AsyncConnection, nik: str) -> User | None:
    """The user with this NIK, or None."""
    return await _first(connection, select_users().where(users.c.nik == nik))


async def required_user(connection: AsyncConnection, user_id: str) -> User:
    """The user with this id.

    Raises:
        NotFound: `user-not-found`.
    """
    return _found(await find_user(connection, user_id))


async def locked_user(connection: AsyncConnection, user_id: str) -> User:
    """The user with this id, locked: no other transaction changes the user before the caller's ends.

    Raises:
        NotFound: `user-not-found`.
    """
    return _found(await _first(connection, select_users().where(users.c.id == user_id).with_for_update()))


async def add_user(connection: AsyncConnection, user: User, password_hash: str | None) -> None:
    """Add `user` inside the caller's transaction.

    Raises:
        Conflict: `nik-taken` or `email-taken`, with the field.
        Invalid: a field is too long.
    """
    refuse_too_long(user)
    await refuse_taken(connection, user)
    await insert_user(connection, user, password_hash)


async def insert_user(connection: AsyncConnection, user: User, password_hash: str | None) -> None:
    """Insert the row of `user` without any check.

    Raises:
        IntegrityError: NIK, email or id are taken.
    """
    await connection.execute(insert(users).values(columns_of(user) | {"password_hash": password_hash}))


async def count_admins(connection: AsyncConnection, *, lock: bool = False) -> int:
    """The number of ADMIN_FASKES; with `lock`, none of them changes before the caller's transaction ends."""
    query = select(users.c.id).where(users.c.role == ADMIN)
    return len((await connection.execute(query.with_for_update() if lock else query)).all())


async def refuse_taken(connection: AsyncConnection, user: User) -> None:
    """Refuse a NIK or email that another user has.

    Raises:
        Conflict: `nik-taken` or `email-taken`, with the field.
    """
    for name, column, value in (
        ("nik", users.c.nik, user.nik),
        ("email", users.c.email_key, user.email and normalise(user.email)),
    ):
        if value is None:
            continue
        query = select(users.c.id).where(column == value, users.c.id != user.id)
        if (await connection.execute(query)).first() is not None:
            message = f"{'NIK' if name == 'nik' else 'Email'} sudah terdaftar"
            raise Conflict(f"{message}.", code=f"{name}-taken", errors=[FieldError(name, message)])


async def refuse_last_admin(connection: AsyncConnection, user: User) -> None:
    """Refuse to take away the only ADMIN_FASKES.

    Raises:
        Conflict: `last-admin`.
    """
    if user.role == ADMIN and await count_admins(connection, lock=True) <= 1:
        raise Conflict("Harus selalu ada satu ADMIN_FASKES.", code="last-admin")


def refuse_too_long(user: User) -> None:
    """Refuse a field longer than its column.

    Raises:
        Invalid: with the field.
    """
    for name in ("email", *FIELDS):
        limit = _NIK_LENGTH if name == "nik" else TEXT_LIMIT
        if len(getattr(user, name) or "") > limit:
            raise Invalid.field(name, f"paling banyak {limit} huruf")


def columns_of(user: User) -> dict[str, Any]:
    """The columns of `user`, but for the password."""
    return msgspec.structs.asdict(user) | {
        "email_key": user.email and normalise(user.email),
        "search": "\n".join(normalise(text) for text in (user.nama, user.nik, user.email) if text),
    }


async def _first(connection: AsyncConnection, query: Select[Any]) -> User | None:
    row = (await connection.execute(query)).first()
    return None if row is None else user_of(row)


def _found(user: User | None) -> User:
    if user is None:
        raise NotFound("Pengguna tidak ditemukan.", code="user-not-found")
    return user

"""The store of passwords: staff sign in with an email address and a password, which is stored as a hash."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from mediq.actors.users.request_keys import first_outcome, store_key
from mediq.actors.users.user import normalise
from mediq.actors.users.user_rows import locked_user
from mediq.messages.audit_entry import AuditEntry
from mediq.messages.errors import Conflict, Unavailable
from mediq.stores.audit_trail import insert_entry
from mediq.stores.database import reading, retry_on_conflict, writing
from mediq.stores.tables import sessions, users

_ATTEMPTS: Final = 3


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a sign-in by password is checked against."""

    user_id: str
    password_hash: str
    role: str


class CredentialStore:
    """Passwords in the SQL database; `clock` dates the changes. Every method may raise `Unavailable`."""

    def __init__(self, engine: AsyncEngine, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._clock = clock

    async def of_email(self, email: str) -> Credentials | None:
        """The credentials of the user with `email`, in any case; None without such a user or without a password."""
        return await self._where(users.c.email_key == normalise(email))

    async def of_user(self, user_id: str) -> Credentials | None:
        """The credentials of the user; None without such a user or without a password."""
        return await self._where(users.c.id == user_id)

    async def changed(self, key: str) -> bool:
        """Whether a password was changed under this key.

        Raises:
            Conflict: `key-reused`.
        """
        async with reading(self._engine) as connection:
            return await first_outcome(connection, key) is not None

    @retry_on_conflict
    async def change(
        self,
        user_id: str,
        password_hash: str,
        *,
        spare: str = "",
        key: str | None = None,
        act: AuditEntry | None = None,
    ) -> None:
        """Change the user's password, and end all sessions of the user but the one with id `spare`.

        `act` is recorded in the audit trail in the same transaction. A `key` used before changes nothing.

        Raises:
            NotFound: `user-not-found`.
            Conflict: `no-email`, the user has no email address to sign in with; `key-reused`.
        """
        changes = {"password_hash": password_hash, "updated_at": self._clock()}
        for _ in range(_ATTEMPTS):
            with suppress(IntegrityError):  # another process uses the same key now: read what it did
                async with writing(self._engine) as connection:
                    if (await locked_user(connection, user_id)).email is None:
                        raise Conflict("Akun tanpa email tidak masuk dengan kata sandi.", code="no-email")
                    if await first_outcome(connection, key) is not None:
                        return
                    await store_key(connection, key, user_id, self._clock())
                    await connection.execute(update(users).where(users.c.id == user_id).values(changes))
                    others = (sessions.c.user_id == user_id, sessions.c.id != spare)
                    await connection.execute(delete(sessions).where(*others))
                    await insert_entry(connection, act)
                    return
        raise Unavailable

    @retry_on_conflict
    async def rehash(self, user_id: str, old: str, new: str) -> None:
        """Replace the hash `old` with `new`, of the same password, unless the password was changed meanwhile."""
        same = (users.c.id == user_id, users.c.password_hash == old)
        async with writing(self._engine) as connection:
            await connection.execute(update(users).where(*same).values(password_hash=new))

    async def _where(self, which: ColumnElement[bool]) -> Credentials | None:
        query = select(users.c.id, users.c.password_hash, users.c.role).where(which)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).first()
        if row is None or row.password_hash is None:
            return None
        return Credentials(user_id=row.id, password_hash=row.password_hash, role=row.role)

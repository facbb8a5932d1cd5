"""The store of the one-time token that creates the clinic's first administrator: there is no default account."""

import hmac
from datetime import datetime

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from mediq.actors.users.user import User
from mediq.actors.users.user_rows import ADMIN, add_user, count_admins
from mediq.messages.audit_entry import AuditEntry
from mediq.messages.errors import Conflict, Unauthenticated, Unavailable
from mediq.stores.audit_trail import insert_entry
from mediq.stores.database import retry_on_conflict, writing
from mediq.stores.driver_errors import Contended
from mediq.stores.tables import setup_tokens

_ONLY = 1


class SetupStore:
    """The set-up token in the SQL database: one or none. Every method may raise `Unavailable`.

    Example::

        store = SetupStore(engine)
        await store.issue(hashed(token), now)
        admin = await store.redeem(hashed(token), admin, password_hash)
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @retry_on_conflict
    async def issue(self, token_hash: str, now: datetime) -> None:
        """Store the hash of a new token; an earlier token becomes invalid.

        Raises:
            Conflict: `already-set-up`, there is an administrator.
        """
        try:
            async with writing(self._engine) as connection:
                if await count_admins(connection):
                    raise _done()
                await connection.execute(delete(setup_tokens))
                await connection.execute(insert(setup_tokens).values(id=_ONLY, token_hash=token_hash, issued_at=now))
        except IntegrityError:  # another process has just issued the first
            raise Contended(Unavailable().detail) from None

    @retry_on_conflict
    async def redeem(self, token_hash: str, admin: User, password_hash: str, *, act: AuditEntry | None = None) -> User:
        """Use up the token, add `admin` as ADMIN_FASKES and record the `act`: all or nothing, and only once.

        Raises:
            Conflict: `already-set-up`, there is an administrator; `nik-taken`, `email-taken`: the token stays valid.
            Unauthenticated: `setup-token-unknown`.
        """
        first = msgspec.structs.replace(admin, role=ADMIN)
        try:
            async with writing(self._engine) as connection:
                # The lock on this row lets one caller at a time redeem.
                kept = (
                    await connection.execute(select(setup_tokens.c.token_hash).with_for_update())
                ).scalar_one_or_none()
                if await count_admins(connection):
                    raise _done()
                if kept is None or not hmac.compare_digest(kept.encode(), token_hash.encode()):
                    raise Unauthenticated("Tautan penyiapan ini tidak berlaku.", code="setup-token-unknown")
                await add_user(connection, first, password_hash)
                await connection.execute(delete(setup_tokens))
                await insert_entry(connection, act)
        except IntegrityError:
            raise Unavailable from None
        return first


def _done() -> Conflict:
    return Conflict("Administrator pertama sudah ada.", code="already-set-up")

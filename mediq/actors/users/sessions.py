"""The store of sessions: who is signed in, and which refresh token is current."""

import hmac
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediq.actors.users.user import User
from mediq.actors.users.user_rows import add_user
from mediq.messages.audit_entry import AuditEntry
from mediq.messages.errors import Conflict, Unauthenticated
from mediq.stores.audit_trail import insert_entry
from mediq.stores.database import reading, retry_on_conflict, writing
from mediq.stores.tables import sessions, users


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One sign-in. `token_hash` is the hash of its current refresh token; the token itself is not stored."""

    id: str
    user_id: str
    role: str
    token_hash: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime


class SessionStore:
    """Sessions in the SQL database. Every method may raise :class:`~mediq.messages.errors.Unavailable`.

    A method that writes also records its `act` in the audit trail, in the same transaction and only if it changed
    anything.

    Example::

        store = SessionStore(engine)
        await store.open(session)
        session = await store.rotate(session.id, session.token_hash, new_hash, now, expires_at)
        assert await store.end(session.id)
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @retry_on_conflict
    async def open(
        self,
        session: Session,
        *,
        password_hash: str | None = None,
        act: AuditEntry | None = None,
        former: str = "",
        ended: AuditEntry | None = None,
    ) -> Session:
        """Store a new session, if its user still exists and still has the session's role and, if given, the password.

        The session with id `former`, if there is one, ends; that is recorded as `ended`.

        Raises:
            Unauthenticated: `session-ended`, user, role or password changed while they signed in.
            Conflict: `session-taken`, the id is in use.
        """
        try:
            async with writing(self._engine) as connection:
                query = select(users.c.role, users.c.password_hash).where(users.c.id == session.user_id)
                row = (await connection.execute(query.with_for_update())).first()
                if row is None or row.role != session.role or password_hash not in (None, row.password_hash):
                    raise _ended()
                await connection.execute(insert(sessions).values(msgspec.structs.asdict(session)))
                await insert_entry(connection, act)
                await _end(connection, sessions.c.id == former, ended)
        except IntegrityError:
            raise Conflict("Sesi ini sudah ada.", code="session-taken") from None
        return session

    @retry_on_conflict
    async def open_for(
        self,
        newcomer: User,
        session: Session,
        *,
        created: AuditEntry | None = None,
        act: AuditEntry | None = None,
        former: str = "",
        ended: AuditEntry | None = None,
    ) -> Session:
        """Add a user without a password, store the user's first session and end the `former` one: all or nothing.

        Raises:
            Conflict: `nik-taken` or `email-taken`, with the field.
            Invalid: a field is too long.
        """
        async with writing(self._engine) as connection:
            await add_user(connection, newcomer, None)
            await insert_entry(connection, created)
            await connection.execute(insert(sessions).values(msgspec.structs.asdict(session)))
            await insert_entry(connection, act)
            await _end(connection, sessions.c.id == former, ended)
        return session

    @retry_on_conflict
    async def rotate(
        self,
        session_id: str,
        presented_hash: str,
        new_hash: str,
        now: datetime,
        expires_at: datetime,
        *,
        reuse: AuditEntry | None = None,
    ) -> Session:
        """Exchange the current refresh token for a new one; of two callers with the same token, one succeeds.

        A hash other than the current one belongs to a token used before. Two parties then have the token: the session
        ends, and `reuse` is recorded with the session's user as its subject.

        Raises:
            Unauthenticated: `session-ended`, the session does not exist; `session-expired`; `token-reused`.
        """
        refusal: Unauthenticated | None = None
        async with writing(self._engine) as connection:
            session = await _locked(connection, session_id)
            if session is None:
                raise _ended()
            if session.expires_at <= now:
                refusal = Unauthenticated("Sesi sudah berakhir. Silakan masuk lagi.", code="session-expired")
            elif not hmac.compare_digest(session.token_hash.encode(), presented_hash.encode()):
                refusal = Unauthenticated(
                    "Token ini sudah pernah dipakai; sesi diakhiri. Silakan masuk lagi.", code="token-reused"
                )
                await insert_entry(connection, reuse and msgspec.structs.replace(reuse, subject=session.user_id))
            if refusal is None:
                changes: dict[str, Any] = {
                    "token_hash": new_hash,
                    "last_used_at": now,
                    "expires_at": expires_at,
                }
                await connection.execute(update(sessions).where(sessions.c.id == session_id).values(changes))
                return msgspec.structs.replace(session, **changes)
            await connection.execute(delete(sessions).where(sessions.c.id == session_id))
        raise refusal

    @retry_on_conflict
    async def end(self, session_id: str, *, act: AuditEntry | None = None) -> bool:
        """End the session; False if there was none."""
        async with writing(self._engine) as connection:
            return await _end(connection, sessions.c.id == session_id, act) > 0

    @retry_on_conflict
    async def end_all(self, user_id: str, *, act: AuditEntry | None = None) -> int:
        """End all sessions of the user; the number that ended."""
        async with writing(self._engine) as connection:
            return await _end(connection, sessions.c.user_id == user_id, act)

    async def alive(self, session_id: str, now: datetime | None = None) -> bool:
        """Whether the session has not been ended and, with `now`, has not expired."""
        query = select(sessions.c.id).where(sessions.c.id == session_id)
        if now is not None:
            query = query.where(sessions.c.expires_at > now)
        async with reading(self._engine) as connection:
            return (await connection.execute(query)).first() is not None

    @retry_on_conflict
    async def purge(self, now: datetime) -> int:
        """Remove the sessions that expired until `now`; the number removed."""
        async with writing(self._engine) as connection:
            return (await connection.execute(delete(sessions).where(sessions.c.expires_at <= now))).rowcount


async def _end(connection: AsyncConnection, which: ColumnElement[bool], act: AuditEntry | None) -> int:
    ended = (await connection.execute(delete(sessions).where(which))).rowcount
    await insert_entry(connection, act if ended else None)
    return ended


async def _locked(connection: AsyncConnection, session_id: str) -> Session | None:
    row = (await connection.execute(select(sessions).where(sessions.c.id == session_id).with_for_update())).first()
    return None if row is None else Session(**row._mapping)


def _ended() -> Unauthenticated:
    return Unauthenticated("Sesi tidak ada lagi. Silakan masuk lagi.", code="session-ended")

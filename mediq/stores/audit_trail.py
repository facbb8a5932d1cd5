"""The audit trail: who did what to whom, when and why. People appear by their ids, unless a reason names them.

An act that writes is recorded in its own transaction, so that act and entry never exist without each other.
"""

from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Select, and_, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediq.messages.audit_entry import AuditEntry
from mediq.stores.database import reading, retry_on_conflict, writing
from mediq.stores.tables import audit

PURGED: Final = 1000
"""The most entries that one purge removes: a long purge would delay other writes."""


class TrailPosition(msgspec.Struct, frozen=True, order=True):
    """The position of an entry in the trail: ordered by time, and within one moment by the order of recording."""

    at: datetime
    id: int


class AuditTrail:
    """The trail in the SQL database: entries are added, never changed. All methods may raise `Unavailable`.

    Example::

        trail = AuditTrail(engine)
        await trail.record(AuditEntry(at=now, actor=admin.id, role="ADMIN_FASKES", action="user.read", subject=user.id))
        [(position, entry)] = await trail.before(limit=1)
        older = await trail.before(position, action="user.")
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @retry_on_conflict
    async def record(self, *entries: AuditEntry) -> None:
        """Add the entries of an act that writes nothing else: all or none, durable on return."""
        async with writing(self._engine) as connection:
            await connection.execute(insert(audit), [_row(entry) for entry in entries])

    async def before(
        self,
        position: TrailPosition | None = None,
        *,
        limit: int = 100,
        since: datetime | None = None,
        until: datetime | None = None,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
    ) -> list[tuple[TrailPosition, AuditEntry]]:
        """At most `limit` entries with their positions, newest first: those before `position`, or the newest of all.

        `since` is included, `until` is not. An `action` that ends with a dot stands for all actions that begin so.
        """
        query = _entries().order_by(audit.c.at.desc(), audit.c.id.desc()).limit(limit)
        conditions: list[ColumnElement[bool]] = []
        if position is not None:
            at = audit.c.at
            conditions.append(or_(at < position.at, and_(at == position.at, audit.c.id < position.id)))
            conditions.append(at <= position.at)  # implied by the line above; lets the database use its index
        if since is not None:
            conditions.append(audit.c.at >= since)
        if until is not None:
            conditions.append(audit.c.at < until)
        if actor is not None:
            conditions.append(audit.c.actor == actor)
        if action is not None:
            conditions.append(
                audit.c.action.startswith(action, autoescape=True) if action[-1:] == "." else audit.c.action == action
            )
        if subject is not None:
            conditions.append(audit.c.subject == subject)
        async with reading(self._engine) as connection:
            return [
                (
                    TrailPosition(row.at, row.id),
                    AuditEntry(**{name: getattr(row, name) for name in AuditEntry.__struct_fields__}),
                )
                for row in await connection.execute(query.where(*conditions))
            ]

    @retry_on_conflict
    async def purge(self, before: datetime) -> int:
        """Remove at most `PURGED` entries from before `before`, the oldest first; the number removed."""
        oldest = select(audit.c.id).where(audit.c.at < before).order_by(audit.c.at).limit(PURGED)
        async with writing(self._engine) as connection:
            found = (await connection.execute(oldest)).scalars().all()
            if found:
                await connection.execute(delete(audit).where(audit.c.id.in_(found)))
            return len(found)


async def insert_entry(connection: AsyncConnection, act: AuditEntry | None) -> None:
    """Add the entry of an act inside the caller's transaction; without an act do nothing."""
    if act is not None:
        await connection.execute(insert(audit), _row(act))


def _row(entry: AuditEntry) -> dict[str, Any]:
    row = msgspec.structs.asdict(entry)
    row["request_id"] = row.pop("ref")
    return row


def _entries() -> Select[Any]:
    return select(*(audit.c[name] for name in ("id", "at", "actor", "role", "action", "subject", "why"))).add_columns(
        audit.c.request_id.label("ref")
    )

"""The audit trail: who did what to whom, when and why. People appear in it by their ids, unless a reason names them.

An act that writes is noted in the transaction that it writes in, so that neither is ever there without the other.
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
"""The most entries that one purge removes, so that none holds up who writes meanwhile."""


class Place(msgspec.Struct, frozen=True, order=True):
    """Where an entry stands in the trail: by its time, and of one moment by when it was noted."""

    at: datetime
    id: int


class AuditTrail:
    """The trail in the SQL database: entries are added, never changed. All methods may raise `Unavailable`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @retry_on_conflict
    async def record(self, *entries: AuditEntry) -> None:
        """Add the entries of an act that writes nothing else, all or none; durable on return."""
        async with writing(self._engine) as connection:
            await connection.execute(insert(audit), [_row(entry) for entry in entries])

    async def before(
        self,
        place: Place | None = None,
        *,
        limit: int = 100,
        since: datetime | None = None,
        until: datetime | None = None,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
    ) -> list[tuple[Place, AuditEntry]]:
        """At most `limit` entries with their places, newest first: those before `place`, or the newest of all.

        `since` is included, `until` is not. Of `action` the beginning is enough if it ends with a dot.
        """
        query = _entries().order_by(audit.c.at.desc(), audit.c.id.desc()).limit(limit)
        wanted: list[ColumnElement[bool]] = []
        if place is not None:
            wanted.append(or_(audit.c.at < place.at, and_(audit.c.at == place.at, audit.c.id < place.id)))
            wanted.append(audit.c.at <= place.at)  # says to the index what the line above says to people
        if since is not None:
            wanted.append(audit.c.at >= since)
        if until is not None:
            wanted.append(audit.c.at < until)
        if actor is not None:
            wanted.append(audit.c.actor == actor)
        if action is not None:
            wanted.append(
                audit.c.action.startswith(action, autoescape=True) if action[-1:] == "." else audit.c.action == action
            )
        if subject is not None:
            wanted.append(audit.c.subject == subject)
        async with reading(self._engine) as connection:
            return [
                (
                    Place(row.at, row.id),
                    AuditEntry(**{name: getattr(row, name) for name in AuditEntry.__struct_fields__}),
                )
                for row in await connection.execute(query.where(*wanted))
            ]

    @retry_on_conflict
    async def purge(self, before: datetime) -> int:
        """Remove entries from before `before`, the oldest first and at most `PURGED` of them; how many."""
        oldest = select(audit.c.id).where(audit.c.at < before).order_by(audit.c.at).limit(PURGED)
        async with writing(self._engine) as connection:
            found = (await connection.execute(oldest)).scalars().all()
            if found:
                await connection.execute(delete(audit).where(audit.c.id.in_(found)))
            return len(found)


async def insert_entry(connection: AsyncConnection, act: AuditEntry | None) -> None:
    """Add the entry of an act, if one is given, inside the caller's transaction."""
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

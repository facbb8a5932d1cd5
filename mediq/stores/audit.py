"""The audit trail: who did what to whom, when and why. People appear in it only by their ids."""

from datetime import datetime

import msgspec
from sqlalchemy import ColumnElement, func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from mediq.stores.database import reading, repeated, writing
from mediq.stores.tables import audit


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One act. `actor` and `subject` are ids, never names or NIKs; `actor` is None for the house itself."""

    at: datetime
    actor: str | None = None
    role: str | None = None
    action: str
    subject: str | None = None
    why: str | None = None
    request_id: str | None = None


class AuditTrail:
    """The trail in the SQL database: entries are added, never changed. All methods may raise `Unavailable`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @repeated
    async def record(self, entry: Entry) -> None:
        """Add `entry`; durable on return."""
        async with writing(self._engine) as connection:
            await connection.execute(insert(audit).values(msgspec.structs.asdict(entry)))

    async def page(
        self,
        page: int = 1,
        limit: int = 50,
        actor: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[list[Entry], int]:
        """Page number `page`, from 1, of `limit` entries, newest first, and how many there are in all.

        `since` is included, `until` is not.
        """
        wanted: list[ColumnElement[bool]] = []
        if actor is not None:
            wanted.append(audit.c.actor == actor)
        if action is not None:
            wanted.append(audit.c.action == action)
        if since is not None:
            wanted.append(audit.c.at >= since)
        if until is not None:
            wanted.append(audit.c.at < until)
        query = select(*(audit.c[name] for name in Entry.__struct_fields__)).where(*wanted)
        newest = query.order_by(audit.c.at.desc(), audit.c.id.desc()).limit(limit).offset((page - 1) * limit)
        async with reading(self._engine) as connection:
            total = (await connection.execute(select(func.count()).select_from(audit).where(*wanted))).scalar_one()
            return [Entry(**row._mapping) for row in await connection.execute(newest)], total

"""The audit service's actor: shows, exports and records the audit trail.

It has a mailbox of its own, so that neither it nor the user service waits for the other.
"""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from mediq.actors.audit import messages as audit
from mediq.actors.audit.merge_pages import Cursor, MergedPage, merge
from mediq.actors.audit.messages import AuditFilter, EntryList, GetQueueAudit
from mediq.actors.queue.messages import GetClinic
from mediq.domain import csv_table
from mediq.messages.audit_entry import AuditEntry
from mediq.messages.document import Document
from mediq.messages.registry import Done
from mediq.runtime.actor import Actor, handles
from mediq.runtime.bus import Bus
from mediq.runtime.context import Context
from mediq.runtime.periodic import every
from mediq.stores.audit_trail import PURGED, AuditTrail

_PURGE_SECONDS: Final = 3600.0
_SEARCHES: Final = 5
"""The most searches of the queue's log for one page, which may then have fewer entries than its limit."""
_EXPORTED: Final = 1000
"""The most entries in one part of an export."""
_COLUMNS: Final = AuditEntry.__struct_fields__
_FIRST_DAY: Final = date(1970, 1, 1)
_LAST_DAY: Final = date(9998, 12, 31)


class AuditActor(Actor):
    """Answers `audit.*`. Entries are kept for `keep`; those of the queue's log as long as the log keeps its events."""

    name = "audit"

    def __init__(self, bus: Bus, trail: AuditTrail, *, keep: timedelta, clock: Callable[[], datetime]) -> None:
        super().__init__(bus)
        self._trail = trail
        self._keep = keep
        self._clock = clock

    async def run(self) -> None:
        await every(_PURGE_SECONDS, self._purge)

    @handles(audit.FindAudit)
    async def find(self, message: audit.FindAudit, context: Context) -> EntryList:
        page = await self._read(message, message.limit, await self._zone())
        return EntryList(data=tuple(page.entries), next=None if page.next is None else str(page.next))

    @handles(audit.ExportAudit)
    async def export(self, message: audit.ExportAudit, context: Context) -> Document:
        zone = await self._zone()
        page = await self._read(message, _EXPORTED, zone)
        # For each part, since an administrator may ask for any part alone.
        await self._trail.record(self._entry(context, "audit.export", why=_described(message)))
        table = [[_cell(getattr(entry, name), zone) for name in _COLUMNS] for entry in page.entries]
        return Document(
            media_type="text/csv; charset=utf-8",
            content=csv_table.rows(table if message.before else [_COLUMNS, *table]),
            name=f"audit-{self._clock().astimezone(zone):%Y%m%d-%H%M}.csv",
            next=None if page.next is None else str(page.next),
        )

    @handles(audit.RecordAct)
    async def record(self, message: audit.RecordAct, context: Context) -> Done:
        await self._trail.record(self._entry(context, message.action, message.subject, message.why))
        return Done()

    async def _read(self, criteria: AuditFilter, limit: int, zone: tzinfo) -> MergedPage:
        """At most `limit` entries of both trails."""
        since = _begin(criteria.from_, zone) if criteria.from_ else None
        until = _begin(criteria.to, zone) + timedelta(days=1) if criteria.to else None
        found = MergedPage([], Cursor.parse(criteria.before) if criteria.before else None)
        for _ in range(_SEARCHES):
            start, left = found.next, limit - len(found.entries)
            recorded = await self._trail.before(
                start.position if start else None,
                limit=left,
                since=since,
                until=until,
                actor=criteria.actor,
                action=criteria.action,
                subject=criteria.subject,
            )
            queue = await self.bus.ask(
                GetQueueAudit(
                    since=since,
                    until=until,
                    actor=criteria.actor,
                    action=criteria.action,
                    subject=criteria.subject,
                    before=start.version if start else None,
                    limit=left,
                )
            )
            page = merge(start, recorded, len(recorded) == left, queue.entries, queue.next, left)
            found = MergedPage(found.entries + page.entries, page.next)
            if page.next is None or len(found.entries) == limit:
                break
        return found

    def _entry(self, context: Context, action: str, subject: str | None = None, why: str | None = None) -> AuditEntry:
        return AuditEntry.by(
            context.principal, self._clock(), action, subject=subject, why=why, request_id=context.request_id
        )

    async def _purge(self) -> None:
        while await self._trail.purge(self._clock() - self._keep) == PURGED:
            pass

    async def _zone(self) -> tzinfo:
        """The clinic's time zone now; an administrator may change it."""
        return ZoneInfo((await self.bus.ask(GetClinic())).timezone)


def _begin(day: date, zone: tzinfo) -> datetime:
    """The instant at which a day begins in `zone`; a day out of range counts as the nearest possible one."""
    return datetime.combine(min(max(day, _FIRST_DAY), _LAST_DAY), time.min, zone)


def _described(criteria: AuditFilter) -> str | None:
    """The criteria in words, for the trail."""
    names = {"from_": "from", "to": "to", "actor": "actor", "action": "action", "subject": "subject"}
    return ", ".join(f"{name}={value}" for field, name in names.items() if (value := getattr(criteria, field))) or None


def _cell(value: object, zone: tzinfo) -> object:
    return value.astimezone(zone).isoformat() if isinstance(value, datetime) else value

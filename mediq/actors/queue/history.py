"""Searches the queue's log by time, and backwards for the audit trail."""

from datetime import UTC, datetime
from typing import Final

import msgspec
from cachetools import LRUCache

from mediq.actors.audit.messages import GetQueueAudit, QueueEntry, QueueTrail
from mediq.actors.queue.event_store.base import EventLog, Trimmed
from mediq.actors.queue.messages import topic_of
from mediq.actors.queue.rules.events import (
    ActionUndone,
    ClinicChanged,
    CounterClosed,
    CounterOpened,
    DayClosed,
    Recorded,
    TicketEvent,
    TicketIssued,
)
from mediq.messages.audit_entry import AuditEntry

_PAGE: Final = 1000
_SEARCHED: Final = 50_000
"""The most events that one search reads; the next search continues from there."""
_TOPICS: Final = "queue."
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_decode: Final = msgspec.msgpack.Decoder(Recorded).decode


async def last_before(log: EventLog, at: datetime, high: int) -> int:
    """The version of the last event up to `high` that is older than `at`; trimmed events count as older.

    Found by bisection: events are in order of time, unless a clock was set back.
    """
    low = 0
    while low < high:
        middle = (low + high) // 2
        try:
            found = await log.read(middle, 1)
        except Trimmed:
            low = middle + 1
            continue
        if found and _decode(found[0][1]).at < at:
            low = middle + 1
        else:
            high = middle
    return low


class History:
    """Finds acts in the log of the queue, newest first."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._tickets: LRUCache[str, tuple[int, frozenset[str]]] = LRUCache(maxsize=100)

    async def search(self, wanted: GetQueueAudit) -> QueueTrail:
        """The newest acts that `wanted` describes.

        Raises:
            Unavailable: the log does not answer.
        """
        if wanted.action is not None and not wanted.action.startswith(_TOPICS):
            return QueueTrail(entries=())
        last = await self._log.version()
        if wanted.before is not None:
            last = min(last, wanted.before - 1)
        tickets = await self._tickets_of(wanted.subject, last) if wanted.subject else frozenset()
        first = await last_before(self._log, wanted.since or _BEGINNING, last)
        if wanted.until is not None:
            last = await last_before(self._log, wanted.until, last)
        entries: list[QueueEntry] = []
        end = max(first, last - _SEARCHED)
        while last > end:
            start = max(end, last - _PAGE)
            try:
                page = await self._log.read(start, last - start)
            except Trimmed:
                return QueueTrail(entries=tuple(entries))
            for version, body in reversed(page):
                recorded = _decode(body)
                if _matches(recorded, wanted, tickets):
                    entries.append(QueueEntry(version, _entry(recorded)))
                    if len(entries) == wanted.limit:
                        return QueueTrail(entries=tuple(entries), next=version if version - 1 > first else None)
            last = start
        return QueueTrail(entries=tuple(entries), next=last + 1 if last > first else None)

    async def _tickets_of(self, user_id: str, last: int) -> frozenset[str]:
        """The tickets of a user in the log up to `last`. A later search reads only the events since the one before."""
        after, found = self._tickets.get(user_id, (0, frozenset[str]()))
        after = max(after, await last_before(self._log, _BEGINNING, last))
        while after < last:
            page = await self._log.read(after, min(_PAGE, last - after))
            events = (_decode(body).event for _, body in page)
            found |= {each.ticket_id for each in events if isinstance(each, TicketIssued) and each.user_id == user_id}
            after += len(page)
        self._tickets[user_id] = (after, found)
        return found


def _matches(recorded: Recorded, wanted: GetQueueAudit, tickets: frozenset[str]) -> bool:
    """Whether an event is `wanted`: a subject stands for itself, and a user for the tickets of that user."""
    if wanted.actor is not None and recorded.actor != wanted.actor:
        return False
    if wanted.action not in (None, _TOPICS, topic_of(recorded)):
        return False
    if wanted.subject is None:
        return True
    match recorded.event:
        case TicketEvent(ticket_id=ticket_id) | ActionUndone(ticket_id=ticket_id):
            return ticket_id == wanted.subject or ticket_id in tickets
        case CounterOpened(counter=counter) | CounterClosed(counter=counter):
            return counter == wanted.subject
    return False


def _entry(recorded: Recorded) -> AuditEntry:
    event = recorded.event
    subject = None
    match event:
        case TicketIssued():
            subject = event.user_id
        case TicketEvent() | ActionUndone():
            subject = event.ticket_id
        case CounterOpened() | CounterClosed():
            subject = event.counter
        case DayClosed():
            subject = event.day.isoformat()
        case ClinicChanged():
            subject = ", ".join(event.changed) or None
    return AuditEntry(
        at=recorded.at,
        actor=None if recorded.actor == "system" else recorded.actor,
        role=recorded.role,
        action=topic_of(recorded),
        subject=subject,
        why=recorded.why or getattr(event, "reason", None) or getattr(event, "priority_reason", None),
        ref=str(recorded.version),
    )

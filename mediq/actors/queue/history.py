"""The queue's log as a history: found by time, and read backwards for the audit trail."""

from collections.abc import Callable, Iterable
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
"""Events that one search looks through at most; the next one goes on from there."""
_TOPICS: Final = "queue."
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_decode: Final = msgspec.msgpack.Decoder(Recorded).decode
_encode: Final = msgspec.msgpack.Encoder().encode


async def last_before(log: EventLog, at: datetime, high: int) -> int:
    """The last event up to `high` that is older than `at`; those already trimmed count as older.

    By bisection, since events come in order of time but for clocks that were set.
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
    """Finds acts in the log without folding it: an event is decoded only if its bytes hold what is looked for."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._tickets: LRUCache[str, tuple[int, frozenset[str]]] = LRUCache(maxsize=100)

    async def search(self, wanted: GetQueueAudit) -> QueueTrail:
        """The newest acts that are wanted.

        Raises:
            Unavailable: the log does not answer.
        """
        last = await self._log.version()
        if wanted.before is not None:
            last = min(last, wanted.before - 1)
        matches = _matcher(wanted, await self._tickets_of(wanted.subject, last) if wanted.subject else ())
        if matches is None:
            return QueueTrail(entries=())
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
                if matches(body):
                    entries.append(QueueEntry(version, _entry(_decode(body))))
                    if len(entries) == wanted.limit:
                        return QueueTrail(entries=tuple(entries), next=version if version - 1 > first else None)
            last = start
        return QueueTrail(entries=tuple(entries), next=last + 1 if last > first else None)

    async def _tickets_of(self, user_id: str, last: int) -> frozenset[str]:
        """The tickets in the log that are a user's; what was searched before is not searched again."""
        after, found = self._tickets.get(user_id, (0, frozenset[str]()))
        after = max(after, await last_before(self._log, _BEGINNING, last))
        needle = _field("user_id", user_id)
        while after < last:
            page = await self._log.read(after, min(_PAGE, last - after))
            events = (_decode(body).event for _, body in page if needle in body)
            found |= {event.ticket_id for event in events if isinstance(event, TicketIssued)}
            after += len(page)
        self._tickets[user_id] = (after, found)
        return found


def _field(name: str, value: str) -> bytes:
    """How a field that holds this text looks in an event's bytes."""
    return _encode(name) + _encode(value)


def _matcher(wanted: GetQueueAudit, tickets: Iterable[str]) -> Callable[[bytes], bool] | None:
    """Whether an event's bytes are wanted; None if no event can be."""
    every: list[bytes] = []
    if wanted.action is not None and wanted.action != _TOPICS:
        if not wanted.action.startswith(_TOPICS):
            return None
        every.append(_field("type", wanted.action.removeprefix(_TOPICS)))
    if wanted.actor is not None:
        every.append(_field("actor", wanted.actor))
    subject = wanted.subject
    if subject is None:
        return lambda body: all(needle in body for needle in every)
    about = _about({subject, *tickets})
    of_counter = tuple(
        _field("type", kind) + _field("counter", subject) for kind in ("counter-opened", "counter-closed")
    )
    return lambda body: (
        all(needle in body for needle in every) and (about(body) or any(needle in body for needle in of_counter))
    )


def _about(tickets: set[str]) -> Callable[[bytes], bool]:
    """Whether an event's bytes are about one of these tickets, however many there are."""
    name = _encode("ticket_id")
    values = {_encode(ticket) for ticket in tickets}
    lengths = {len(value) for value in values}

    def about(body: bytes) -> bool:
        begin = body.find(name) + len(name)
        return begin >= len(name) and any(body[begin : begin + length] in values for length in lengths)

    return about


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

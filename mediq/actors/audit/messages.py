"""The audit trail: who did what to whom, when and why."""

from datetime import date, datetime
from typing import Annotated

import msgspec

from mediq.messages.audit_entry import AuditEntry
from mediq.messages.document import Csv
from mediq.messages.registry import Done, Request, request

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
CursorText = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,17}\.[0-9]{1,18}\.[0-9]{1,18}$")]
"""The position at which the next page of the trail begins: taken from `next`, sent back unchanged."""


class EntryList(msgspec.Struct, frozen=True, kw_only=True):
    """Entries, newest first. `next` is the `before` of the next page, null on the last one."""

    data: tuple[AuditEntry, ...]
    next: Annotated[CursorText | None, msgspec.Meta(examples=["1772416512345678.0.128"])]


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries: from one day to another, both included, on the clinic's calendar.

    An `action` that ends with a dot stands for all actions that begin so. `subject` is a user, a ticket or a counter;
    a patient stands for the patient's tickets too.
    """

    from_: date | None = msgspec.field(default=None, name="from")
    to: date | None = None
    actor: Id | None = None
    action: Id | None = None
    subject: Id | None = None
    before: CursorText | None = None


@request("audit.find", idempotent=True)
class FindAudit(Request[EntryList], AuditFilter, frozen=True, kw_only=True):
    """The audit trail, a page at a time."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


@request("audit.export", idempotent=True)
class ExportAudit(Request[Csv], AuditFilter, frozen=True, kw_only=True):
    """The audit trail as a table for a spreadsheet; the export itself is recorded."""


@request("audit.record")
class RecordAct(Request[Done], frozen=True, kw_only=True):
    """Internal: record what the caller is about to be shown or given. Send this before the answer itself."""

    action: str
    subject: str | None = None
    why: str | None = None


class QueueEntry(msgspec.Struct, frozen=True):
    """The audit entry of an event of the queue; `version` is the event's."""

    version: int
    entry: AuditEntry


class QueueTrail(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of the queue's log, newest event first.

    `next` is the version before which the search continues, None at the beginning of the log. A search may stop with
    fewer entries than its limit.
    """

    entries: tuple[QueueEntry, ...]
    next: int | None = None


@request("queue.get-audit", idempotent=True)
class GetQueueAudit(Request[QueueTrail], frozen=True, kw_only=True):
    """Internal: at most `limit` acts in the queue's log, newest event first.

    `since` is included, `until` is not; with `before`, only events of a lower version.
    """

    since: datetime | None = None
    until: datetime | None = None
    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    before: int | None = None
    limit: int = 100

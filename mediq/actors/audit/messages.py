"""The audit trail: who did what to whom, when and why."""

from datetime import date, datetime
from typing import Annotated

import msgspec

from mediq.messages.audit_entry import AuditEntry
from mediq.messages.document import Csv
from mediq.messages.registry import Done, Request, request

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
CursorText = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,17}\.[0-9]{1,18}\.[0-9]{1,18}$")]
"""Where a page of the trail goes on: made by the house, sent back as it is."""


class EntryList(msgspec.Struct, frozen=True, kw_only=True):
    """Entries, newest first. `next` is what to ask `before` for those that follow, null when there are none."""

    data: tuple[AuditEntry, ...]
    next: Annotated[CursorText | None, msgspec.Meta(examples=["1772416512345678.0.128"])]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries: from one day to another, both included, on the clinic's calendar.

    Of `action` the beginning is enough if it ends with a dot. `subject` is a user, a ticket or a counter; of a patient
    also what was done to their tickets.
    """

    from_: date | None = msgspec.field(default=None, name="from")
    to: date | None = None
    actor: Id | None = None
    action: Id | None = None
    subject: Id | None = None
    before: CursorText | None = None


@request("audit.find", idempotent=True)
class FindAudit(Request[EntryList], Wanted, frozen=True, kw_only=True):
    """The audit trail, a page at a time."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


@request("audit.export", idempotent=True)
class ExportAudit(Request[Csv], Wanted, frozen=True, kw_only=True):
    """The audit trail as a table for a spreadsheet; the trail keeps who took it."""


@request("audit.record")
class RecordAct(Request[Done], frozen=True, kw_only=True):
    """Internal: note what the caller is about to be shown or given; whoever asks answers only after the reply."""

    action: str
    subject: str | None = None
    why: str | None = None


class QueueEntry(msgspec.Struct, frozen=True):
    """What an event of the queue says for the trail; `version` is the event's."""

    version: int
    entry: AuditEntry


class QueueTrail(msgspec.Struct, frozen=True, kw_only=True):
    """Entries, those of the latest events first.

    `next` is the event before which the search goes on, None when the log has been searched to its beginning. A search
    may stop before it has found as many as were wanted.
    """

    entries: tuple[QueueEntry, ...]
    next: int | None = None


@request("queue.get-audit", idempotent=True)
class GetQueueAudit(Request[QueueTrail], frozen=True, kw_only=True):
    """Internal: at most `limit` acts in the queue's log, those of the latest events first.

    `since` is included, `until` is not; with `before`, only events of a lower version.
    """

    since: datetime | None = None
    until: datetime | None = None
    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    before: int | None = None
    limit: int = 100

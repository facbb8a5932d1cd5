"""The audit trail: who did what to whom, when and why."""

from datetime import datetime

import msgspec

from mediq.messages.registry import Done, Request, request


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One act. `actor` and `subject` are ids, never names or NIKs; `actor` is None for the house itself.

    `ref` leads on: the id of the request, or the number of the event in the queue's log.
    """

    at: datetime
    actor: str | None = None
    role: str | None = None
    action: str
    subject: str | None = None
    why: str | None = None
    ref: str | None = None


@request("audit.record")
class RecordAct(Request[Done], frozen=True, kw_only=True):
    """Internal: note what the caller is about to be shown or given; whoever asks answers only after the reply."""

    action: str
    subject: str | None = None
    why: str | None = None


class QueueEntry(msgspec.Struct, frozen=True):
    """What an event of the queue says for the trail; `version` is the event's."""

    version: int
    entry: Entry


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

"""Merges two trails into pages, newest first: the audit trail of the database, and the log of the queue.

Each trail has an order of its own that never changes, and a cursor holds a position in each. Therefore paging neither
repeats nor skips an entry, even if entries are added meanwhile or the clocks of two processes differ.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from mediq.actors.audit.messages import QueueEntry
from mediq.messages.audit_entry import AuditEntry
from mediq.stores.audit_trail import TrailPosition

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = TrailPosition(_EPOCH, 0)
"""No entry is before this position."""


class Cursor(NamedTuple):
    """How far both trails were read: the next page is before `position` in one and before `version` in the other."""

    position: TrailPosition
    version: int

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """The cursor that `str` wrote; see :data:`mediq.actors.audit.messages.CursorText`."""
        at, number, version = map(int, text.split("."))
        return cls(TrailPosition(_EPOCH + timedelta(microseconds=at), number), version)

    def __str__(self) -> str:
        return f"{(self.position.at - _EPOCH) // timedelta(microseconds=1)}.{self.position.id}.{self.version}"


class MergedPage(NamedTuple):
    """Entries of both trails, newest first. `next` is where the next page begins, None at the end of both."""

    entries: list[AuditEntry]
    next: Cursor | None


def merge(
    start: Cursor | None,
    recorded: Sequence[tuple[TrailPosition, AuditEntry]],
    more_recorded: bool,
    queue: Sequence[QueueEntry],
    more_queue: int | None,
    limit: int,
) -> MergedPage:
    """At most `limit` entries of both trails from `start` on, or the newest of all without a `start`.

    `recorded` and `queue` are the next entries of the database and of the queue. `more_recorded` says whether the
    database has further entries, `more_queue` before which version the queue has. Of entries of one moment, those of
    the database come first. The page ends where a trail has further entries but none at hand, since the next entry is
    then unknown.
    """
    entries: list[AuditEntry] = []
    r = q = 0
    while len(entries) < limit:
        if (r == len(recorded) and more_recorded) or (q == len(queue) and more_queue is not None):
            break
        if r == len(recorded) and q == len(queue):
            return MergedPage(entries, None)
        if q == len(queue) or (r < len(recorded) and recorded[r][1].at >= queue[q].entry.at):
            entries.append(recorded[r][1])
            r += 1
        else:
            entries.append(queue[q].entry)
            q += 1
    if r == len(recorded) and not more_recorded and q == len(queue) and more_queue is None:
        return MergedPage(entries, None)
    return MergedPage(
        entries, Cursor(_position(start, recorded, r, more_recorded), _version(start, queue, q, more_queue))
    )


def _position(
    start: Cursor | None, recorded: Sequence[tuple[TrailPosition, AuditEntry]], taken: int, more: bool
) -> TrailPosition:
    """The position before which the database's trail continues when `taken` of `recorded` are on the page."""
    if taken:
        return recorded[taken - 1][0] if taken < len(recorded) or more else _END
    if recorded:
        first = recorded[0][0]
        return start.position if start else TrailPosition(first.at, first.id + 1)
    return _END


def _version(start: Cursor | None, queue: Sequence[QueueEntry], taken: int, more: int | None) -> int:
    """The version before which the queue's log continues when `taken` of `queue` are on the page."""
    if taken < len(queue):
        if taken:
            return queue[taken - 1].version
        return start.version if start else queue[0].version + 1
    return 0 if more is None else more

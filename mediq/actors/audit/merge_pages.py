"""Two trails read as one: what the database notes and what the queue's log tells, newest first, page after page.

Each trail has an order of its own that never changes, and a page goes on from a place in each. So however much is
added meanwhile, and however the clocks of two processes differ, paging repeats nothing and passes nothing over.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from mediq.actors.audit.messages import QueueEntry
from mediq.messages.audit_entry import AuditEntry
from mediq.stores.audit_trail import Place

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = Place(_EPOCH, 0)
"""Before it there is nothing."""


class Cursor(NamedTuple):
    """How far both trails were read: what comes next is before `place` in one and before `version` in the other."""

    place: Place
    version: int

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """The cursor that `str` wrote; see :data:`mediq.actors.audit.messages.CursorText`."""
        at, number, version = map(int, text.split("."))
        return cls(Place(_EPOCH + timedelta(microseconds=at), number), version)

    def __str__(self) -> str:
        return f"{(self.place.at - _EPOCH) // timedelta(microseconds=1)}.{self.place.id}.{self.version}"


class Part(NamedTuple):
    """What the trails have in common for a page: `next` is where to go on, None at the end of both."""

    entries: list[AuditEntry]
    next: Cursor | None


def merge(
    start: Cursor | None,
    noted: Sequence[tuple[Place, AuditEntry]],
    more_noted: bool,
    told: Sequence[QueueEntry],
    more_told: int | None,
    limit: int,
) -> Part:
    """At most `limit` entries of both trails from `start` on, the newest of all if it is None; of one moment, what the
    database notes first.

    `noted` and `told` are what comes next in each. `more_noted` says whether there is more behind it, `more_told`
    before which event the search for more goes on. Where a trail has more, but nothing of it is at hand, nobody knows
    what comes next: the part ends there.
    """
    entries: list[AuditEntry] = []
    n = t = 0
    while len(entries) < limit:
        if (n == len(noted) and more_noted) or (t == len(told) and more_told is not None):
            break
        if n == len(noted) and t == len(told):
            return Part(entries, None)
        if t == len(told) or (n < len(noted) and noted[n][1].at >= told[t].entry.at):
            entries.append(noted[n][1])
            n += 1
        else:
            entries.append(told[t].entry)
            t += 1
    if n == len(noted) and not more_noted and t == len(told) and more_told is None:
        return Part(entries, None)
    return Part(entries, Cursor(_place(start, noted, n, more_noted), _version(start, told, t, more_told)))


def _place(start: Cursor | None, noted: Sequence[tuple[Place, AuditEntry]], read: int, more: bool) -> Place:
    """Where the database's trail goes on when `read` of `noted` were taken."""
    if read:
        return noted[read - 1][0] if read < len(noted) or more else _END
    if noted:
        first = noted[0][0]
        return start.place if start else Place(first.at, first.id + 1)
    return _END


def _version(start: Cursor | None, told: Sequence[QueueEntry], read: int, more: int | None) -> int:
    """Before which event the queue's trail goes on when `read` of `told` were taken."""
    if read < len(told):
        if read:
            return told[read - 1].version
        return start.version if start else told[0].version + 1
    return 0 if more is None else more

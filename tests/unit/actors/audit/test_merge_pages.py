"""Two trails read as one, page after page, whatever is in them and whatever is added meanwhile."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediq.actors.audit.merge_pages import Cursor, Part, merge
from mediq.actors.audit.messages import QueueEntry
from mediq.messages.audit_entry import AuditEntry
from mediq.stores.audit_trail import Place

NOW = datetime(2026, 3, 2, 8, 30, 15, 123456, tzinfo=UTC)


class Trails:
    """Two trails in memory. A search through the queue's log looks at `scanned` events at a time."""

    def __init__(self, scanned: int = 1000) -> None:
        self.noted: list[tuple[Place, AuditEntry]] = []
        self.told: list[QueueEntry] = []
        self.scanned = scanned

    def note(self, second: int) -> None:
        number = len(self.noted) + 1
        at = NOW + timedelta(seconds=second)
        self.noted.append((Place(at, number), AuditEntry(at=at, action="noted", ref=str(number))))

    def tell(self, second: int, *, wanted: bool = True) -> None:
        version = len(self.told) + 1
        entry = AuditEntry(at=NOW + timedelta(seconds=second), action="told" if wanted else "other", ref=str(version))
        self.told.append(QueueEntry(version, entry))

    def page(self, start: Cursor | None, limit: int) -> Part:
        noted = [one for one in sorted(self.noted, reverse=True) if start is None or one[0] < start.place][:limit]
        before = len(self.told) + 1 if start is None else start.version
        seen = [one for one in reversed(self.told) if one.version < before][: self.scanned]
        found = [one for one in seen if one.entry.action == "told"][:limit]
        last = found[-1].version if len(found) == limit else seen[-1].version if seen else 1
        return merge(start, noted, len(noted) == limit, found, last if last > 1 else None, limit)

    def whole(self) -> list[AuditEntry]:
        """Everything at once: each trail in its own order, and of their next entries always the newer."""
        noted = [entry for _, entry in sorted(self.noted, reverse=True)]
        told = [one.entry for one in reversed(self.told) if one.entry.action == "told"]
        whole = []
        while noted or told:
            whole.append((noted if not told or (noted and noted[0].at >= told[0].at) else told).pop(0))
        return whole


def read(trails: Trails, limit: int, start: Cursor | None = None) -> list[AuditEntry]:
    """All pages one after the other."""
    entries = []
    for _ in range(1000):
        part = trails.page(start, limit)
        assert len(part.entries) <= limit
        entries += part.entries
        if part.next is None:
            return entries
        start = Cursor.parse(str(part.next))
    raise AssertionError("it never ends")


SECONDS = st.integers(0, 8)
"""Few, so that much happens in one moment."""
EVENTS = st.lists(st.tuples(st.sampled_from(["note", "tell", "other"]), SECONDS), max_size=40)


def filled(events: list[tuple[str, int]], scanned: int, *, in_order: bool) -> Trails:
    trails = Trails(scanned)
    for kind, second in sorted(events, key=lambda event: event[1]) if in_order else events:
        if kind == "note":
            trails.note(second)
        else:
            trails.tell(second, wanted=kind == "tell")
    return trails


@given(events=EVENTS, limit=st.integers(1, 7), scanned=st.integers(1, 9))
def test_pages_together_are_the_whole_newest_first(events: list[tuple[str, int]], limit: int, scanned: int) -> None:
    trails = filled(events, scanned, in_order=True)
    found = read(trails, limit)
    assert found == trails.whole()
    assert [entry.at for entry in found] == sorted((entry.at for entry in found), reverse=True)


@given(events=EVENTS, limit=st.integers(1, 7), scanned=st.integers(1, 9))
def test_nothing_is_lost_or_repeated_when_clocks_differ(
    events: list[tuple[str, int]], limit: int, scanned: int
) -> None:
    """Two queue processes may date their events out of the log's order, by the difference of their clocks."""
    trails = filled(events, scanned, in_order=False)
    assert read(trails, limit) == trails.whole()


@settings(max_examples=300)
@given(events=EVENTS, limit=st.integers(1, 7), scanned=st.integers(1, 9), added=st.lists(st.booleans(), max_size=40))
def test_what_is_added_meanwhile_moves_no_page(
    events: list[tuple[str, int]], limit: int, scanned: int, added: list[bool]
) -> None:
    trails = filled(events, scanned, in_order=True)
    before = trails.whole()
    found: list[AuditEntry] = []
    start: Cursor | None = None
    for second, by_the_queue in enumerate([*added, *[True] * 1000], start=8):
        part = trails.page(start, limit)
        found += part.entries
        if part.next is None:
            break
        start = part.next
        if second < 8 + len(added):
            (trails.tell if by_the_queue else trails.note)(second)
    assert found == before


def test_an_empty_application() -> None:
    assert Trails().page(None, 10) == Part([], None)


def test_nothing_is_added_to_a_trail_that_was_at_its_end() -> None:
    """The first page pins where an empty trail ended: what it tells later is newer than all that is left to read."""
    trails = Trails()
    for second in range(3):
        trails.note(second)
    part = trails.page(None, 2)
    trails.tell(9)
    assert part.next is not None
    assert [entry.ref for entry in read(trails, 2, part.next)] == ["1"]


@pytest.mark.parametrize("cursor", [Cursor(Place(NOW, 17), 4), Cursor(Place(datetime(1970, 1, 1, tzinfo=UTC), 0), 0)])
def test_a_cursor_is_read_as_it_was_written(cursor: Cursor) -> None:
    assert Cursor.parse(str(cursor)) == cursor

"""Two trails merged page by page: no entry is repeated or skipped, even if entries are added meanwhile."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediq.actors.audit.merge_pages import Cursor, MergedPage, merge
from mediq.actors.audit.messages import QueueEntry
from mediq.messages.audit_entry import AuditEntry
from mediq.stores.audit_trail import TrailPosition

NOW = datetime(2026, 3, 2, 8, 30, 15, 123456, tzinfo=UTC)


class Trails:
    """Two trails in memory. A search through the queue's log looks at `scanned` events at a time."""

    def __init__(self, scanned: int = 1000) -> None:
        self.recorded: list[tuple[TrailPosition, AuditEntry]] = []
        self.queue: list[QueueEntry] = []
        self.scanned = scanned

    def record(self, second: int) -> None:
        number = len(self.recorded) + 1
        at = NOW + timedelta(seconds=second)
        self.recorded.append((TrailPosition(at, number), AuditEntry(at=at, action="recorded", ref=str(number))))

    def add_event(self, second: int, *, matching: bool = True) -> None:
        version = len(self.queue) + 1
        entry = AuditEntry(
            at=NOW + timedelta(seconds=second), action="queue" if matching else "other", ref=str(version)
        )
        self.queue.append(QueueEntry(version, entry))

    def page(self, start: Cursor | None, limit: int) -> MergedPage:
        recorded = [one for one in sorted(self.recorded, reverse=True) if start is None or one[0] < start.position][
            :limit
        ]
        before = len(self.queue) + 1 if start is None else start.version
        seen = [one for one in reversed(self.queue) if one.version < before][: self.scanned]
        found = [one for one in seen if one.entry.action == "queue"][:limit]
        last = found[-1].version if len(found) == limit else seen[-1].version if seen else 1
        return merge(start, recorded, len(recorded) == limit, found, last if last > 1 else None, limit)

    def whole(self) -> list[AuditEntry]:
        """All entries: each trail in its own order, and always the newer of their next entries first."""
        recorded = [entry for _, entry in sorted(self.recorded, reverse=True)]
        queue = [one.entry for one in reversed(self.queue) if one.entry.action == "queue"]
        whole = []
        while recorded or queue:
            whole.append((recorded if not queue or (recorded and recorded[0].at >= queue[0].at) else queue).pop(0))
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
    raise AssertionError("there is no last page")


SECONDS = st.integers(0, 8)
"""Few seconds, so that many entries share a moment."""
EVENTS = st.lists(st.tuples(st.sampled_from(["record", "event", "other"]), SECONDS), max_size=40)


def filled(events: list[tuple[str, int]], scanned: int, *, in_order: bool) -> Trails:
    trails = Trails(scanned)
    for kind, second in sorted(events, key=lambda event: event[1]) if in_order else events:
        if kind == "record":
            trails.record(second)
        else:
            trails.add_event(second, matching=kind == "event")
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
def test_entries_added_meanwhile_move_no_page(
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
            (trails.add_event if by_the_queue else trails.record)(second)
    assert found == before


def test_two_empty_trails_are_one_empty_page() -> None:
    assert Trails().page(None, 10) == MergedPage([], None)


def test_a_trail_that_had_ended_adds_nothing_to_later_pages() -> None:
    """The cursor of the first page holds the end of an empty trail: later entries are newer than the rest."""
    trails = Trails()
    for second in range(3):
        trails.record(second)
    part = trails.page(None, 2)
    trails.add_event(9)
    assert part.next is not None
    assert [entry.ref for entry in read(trails, 2, part.next)] == ["1"]


@pytest.mark.parametrize("position", [TrailPosition(NOW, 17), TrailPosition(datetime(1970, 1, 1, tzinfo=UTC), 0)])
def test_a_cursor_is_read_as_it_was_written(position: TrailPosition) -> None:
    cursor = Cursor(position, 4)
    assert Cursor.parse(str(cursor)) == cursor

"""The interface of the event log, the queue's single source of truth."""

from collections.abc import Sequence
from typing import Protocol

MAX_APPEND = 10_000
"""The most events that one append takes."""


class VersionConflict(Exception):
    """The log is not at the version that the append expected, but at version `actual`."""

    def __init__(self, actual: int) -> None:
        super().__init__(f"the log is at version {actual}")
        self.actual = actual


class Trimmed(Exception):
    """Events that were asked for are gone. Continue from the snapshot, then read after `snapshot_version`."""

    def __init__(self, snapshot_version: int) -> None:
        super().__init__(f"the log no longer reaches back before the snapshot at version {snapshot_version}")
        self.snapshot_version = snapshot_version


class EventLog(Protocol):
    """An append-only log. Its events have the versions 1, 2, 3, ... without gaps.

    Example::

        version = await log.append(0, [b"first", b"second"])  # 2
        await log.read(after_version=1)  # [(2, b"second")]

    Every method may raise :class:`~mediq.messages.errors.Unavailable` or, when it writes,
    :class:`~mediq.messages.errors.StorageFull`; nothing is then written.
    """

    async def open(self) -> None:
        """Make the log ready, creating it when it is not there. Opening an open log does nothing."""
        ...

    async def close(self) -> None:
        """Finish running calls and release the file or connection. A closed log can be opened again."""
        ...

    async def append(self, expected_version: int, events: Sequence[bytes]) -> int:
        """Add `events` after `expected_version`, all or none, and return the last version. Durable on return.

        A caller that is cancelled, or that gets `Unavailable`, does not know whether the events were written:
        it asks `version()` before it decides again.

        Raises:
            VersionConflict: another process appended first, or the log never got that far. Nothing was written.
            ValueError: more than `MAX_APPEND` events.
        """
        ...

    async def read(self, after_version: int = 0, limit: int = 1000) -> list[tuple[int, bytes]]:
        """At most `limit` events with their versions, in order, from `after_version` + 1; empty at the end.

        Raises:
            Trimmed: the first of them is no longer there.
        """
        ...

    async def version(self) -> int:
        """The version of the last event ever appended, trimmed or not; 0 for a log that never held one."""
        ...

    async def save_snapshot(self, version: int, blob: bytes) -> None:
        """Keep `blob` as the state after event `version`, replacing an older snapshot.

        A snapshot older than the kept one changes nothing: events before the kept one may be gone.

        Raises:
            ValueError: the log has no such version yet.
        """
        ...

    async def snapshot(self) -> tuple[int, bytes] | None:
        """The kept snapshot and its version, or None."""
        ...

    async def trim(self, upto_version: int) -> int:
        """Remove the events up to and including `upto_version` and return their number. No version is ever reused.

        Raises:
            ValueError: no snapshot covers them. Nothing is removed.
        """
        ...

    async def ping(self) -> None:
        """Return if the log answers; raise :class:`~mediq.messages.errors.Unavailable` if it does not."""
        ...

"""The event log in a SQLite file, for one process."""

import os
from collections.abc import Sequence

from mediq.actors.queue.event_store.base import MAX_APPEND, Trimmed, VersionConflict
from mediq.stores.sqlite_file import SqliteFile

_SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS events (version INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS snapshot (
        id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, body BLOB NOT NULL
    );
    """,
)
# After a trim the newest event may be gone, but never beyond the snapshot.
_VERSION = "max(coalesce((SELECT max(version) FROM events), 0), coalesce((SELECT max(version) FROM snapshot), 0))"


class SqliteEventLog:
    """The event log in a SQLite file of its own; at `max_bytes` the disk counts as full."""

    def __init__(self, path: str | os.PathLike[str], *, max_bytes: int | None = None) -> None:
        self._file = SqliteFile(path, schema=_SCHEMA, max_bytes=max_bytes)

    async def open(self) -> None:
        await self._file.open()

    async def close(self) -> None:
        await self._file.close()

    async def append(self, expected_version: int, events: Sequence[bytes]) -> int:
        if len(events) > MAX_APPEND:
            raise ValueError(f"{len(events)} events in one append; at most {MAX_APPEND}")
        if not events:
            return await self._confirm(expected_version)
        # One statement is one transaction: the check and the rows stand or fall together.
        offsets = ",".join(f"({offset},?)" for offset in range(1, len(events) + 1))
        written = await self._file.write(
            "INSERT INTO events (version, body) SELECT ?1 + column1, column2"  # noqa: S608 - only question marks
            f" FROM (VALUES {offsets}) WHERE {_VERSION} = ?1",
            (expected_version, *events),
        )
        if written != len(events):
            raise VersionConflict(await self.version())
        return expected_version + len(events)

    async def read(self, after_version: int = 0, limit: int = 1000) -> list[tuple[int, bytes]]:
        found = await self._file.rows(
            "SELECT version, body FROM events WHERE version > ? ORDER BY version LIMIT ?",
            (after_version, limit),
        )
        if (not found or found[0][0] != after_version + 1) and limit > 0:
            kept = await self.snapshot()
            if kept is not None and after_version < kept[0]:
                raise Trimmed(kept[0])
        return [(version, body) for version, body in found]

    async def version(self) -> int:
        [[version]] = await self._file.rows(f"SELECT {_VERSION}")
        return int(version)

    async def save_snapshot(self, version: int, blob: bytes) -> None:
        saved = await self._file.write(
            "INSERT INTO snapshot (id, version, body) SELECT 1, ?1, ?2"
            f" WHERE ?1 BETWEEN 0 AND {_VERSION}"
            " ON CONFLICT (id) DO UPDATE SET version = excluded.version, body = excluded.body"
            " WHERE excluded.version >= snapshot.version",
            (version, blob),
        )
        if not saved:
            last = await self.version()
            if not 0 <= version <= last:
                raise ValueError(f"a snapshot of version {version}, but the log is at {last}")

    async def snapshot(self) -> tuple[int, bytes] | None:
        found = await self._file.rows("SELECT version, body FROM snapshot WHERE id = 1")
        return (found[0][0], found[0][1]) if found else None

    async def trim(self, upto_version: int) -> int:
        removed = await self._file.write(
            "DELETE FROM events WHERE version <= ?1 AND ?1 <= (SELECT version FROM snapshot WHERE id = 1)",
            (upto_version,),
        )
        if not removed and upto_version > 0:
            kept = await self.snapshot()
            if kept is None or kept[0] < upto_version:
                raise ValueError(f"no snapshot covers the events up to version {upto_version}")
        return removed

    async def ping(self) -> None:
        await self._file.rows("SELECT 1")

    async def _confirm(self, expected_version: int) -> int:
        if (actual := await self.version()) != expected_version:
            raise VersionConflict(actual)
        return actual

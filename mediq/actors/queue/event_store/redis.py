"""The event log as a Redis stream, for queue processes that share it; the ids of its entries are the versions."""

from collections.abc import Sequence
from typing import Final

from mediq.actors.queue.event_store.base import MAX_APPEND, Trimmed, VersionConflict
from mediq.stores.redis_server import RedisServer, RedisStore, Script

_BODY: Final = b"e"

# The stream knows its last id even when all its entries are trimmed, so there is no second counter to disagree with.
_LAST: Final = """
local function last()
  if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(string.match(info[i + 1], '^%d+')) end
  end
end
"""

_APPEND: Final = Script(
    _LAST
    + """
local expected = tonumber(ARGV[1])
local actual = last()
if actual ~= expected then return {0, actual} end
for i = 2, #ARGV do
  redis.call('XADD', KEYS[1], string.format('%.0f-0', expected + i - 1), 'e', ARGV[i])
end
return {1, expected + #ARGV - 1}
"""
)

_VERSION: Final = Script(_LAST + "return last()")

_SAVE_SNAPSHOT: Final = Script(
    _LAST
    + """
local version = tonumber(ARGV[1])
local actual = last()
if version < 0 or version > actual then return {0, actual} end
local kept = redis.call('HGET', KEYS[2], 'version')
if not kept or version >= tonumber(kept) then
  redis.call('HSET', KEYS[2], 'version', ARGV[1], 'body', ARGV[2])
end
return {1, actual}
"""
)

_TRIM: Final = Script(
    """
local upto = tonumber(ARGV[1])
if upto <= 0 then return 0 end
local kept = redis.call('HGET', KEYS[2], 'version')
if not kept or tonumber(kept) < upto then return -1 end
return redis.call('XTRIM', KEYS[1], 'MINID', '=', string.format('%.0f-0', upto + 1))
"""
)


class RedisEventLog(RedisStore):
    """The event log called `name` on a Redis server, which must write every change to its disk before it answers."""

    def __init__(self, server: RedisServer | str, name: str = "queue") -> None:
        super().__init__(server)
        self._stream = f"{{mediq:{name}}}:events"
        self._snapshot = f"{{mediq:{name}}}:snapshot"
        self._keys = (self._stream, self._snapshot)

    async def append(self, expected_version: int, events: Sequence[bytes]) -> int:
        if len(events) > MAX_APPEND:
            raise ValueError(f"{len(events)} events in one append; at most {MAX_APPEND}")
        done, version = await self._run(_APPEND, self._keys, (expected_version, *events))
        if not done:
            raise VersionConflict(version)
        return int(version)

    async def read(self, after_version: int = 0, limit: int = 1000) -> list[tuple[int, bytes]]:
        if limit <= 0:
            return []
        first = f"{max(0, after_version) + 1}-0"
        entries = await self._call("XRANGE", self._stream, first, "+", "COUNT", limit)
        found = [(int(entry.split(b"-", 1)[0]), fields[_BODY]) for entry, fields in entries or ()]
        if not found or found[0][0] != after_version + 1:
            kept = await self._call("HGET", self._snapshot, "version")
            if kept is not None and after_version < int(kept):
                raise Trimmed(int(kept))
        return found

    async def version(self) -> int:
        return int(await self._run(_VERSION, self._keys, ()))

    async def save_snapshot(self, version: int, blob: bytes) -> None:
        done, actual = await self._run(_SAVE_SNAPSHOT, self._keys, (version, blob))
        if not done:
            raise ValueError(f"a snapshot of version {version}, but the log is at {actual}")

    async def snapshot(self) -> tuple[int, bytes] | None:
        version, body = await self._call("HMGET", self._snapshot, "version", "body")
        return None if version is None else (int(version), body)

    async def trim(self, upto_version: int) -> int:
        removed = int(await self._run(_TRIM, self._keys, (upto_version,)))
        if removed < 0:
            raise ValueError(f"no snapshot covers the events up to version {upto_version}")
        return removed

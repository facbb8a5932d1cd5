"""OCR jobs on a Redis server, which forgets each job and its image by itself when their time is over."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from redis.exceptions import ResponseError

from mediq.actors.cards.job_store.sqlite import UNFINISHED, Job, in_progress, instant, utc_now
from mediq.messages.errors import Conflict, Fault, NotFound
from mediq.stores.redis_server import Part, RedisServer, RedisStore, Script

REWRITE_EVERY: Final = timedelta(hours=1)
"""How often at most the server is asked to write its append-only file anew, without the images deleted since."""

# A job is a hash with its image beside it; `card` holds the id of the unfinished job of a picture, `key` that of the
# job made under an idempotency key. A sorted set holds all ids by expiry.
_KEYS: Final = """
local prefix, now = KEYS[1], tonumber(ARGV[1])
local expiry = prefix .. 'expiry'
local function job_of(id) return prefix .. 'job:' .. id end
local function image_of(id) return prefix .. 'image:' .. id end
local function card_of(digest) return prefix .. 'card:' .. digest end
local function key_of(key) return prefix .. 'key:' .. key end

local function alive(id)
  local expires = id and redis.call('HGET', job_of(id), 'expires')
  return expires and tonumber(expires) > now
end

local function free(key, id)
  if redis.call('GET', key) == id then redis.call('DEL', key) end
end

local function erase(id)
  local digest, key = unpack(redis.call('HMGET', job_of(id), 'digest', 'key'))
  if digest then free(card_of(digest), id) end
  if key then free(key_of(key), id) end
  redis.call('DEL', job_of(id), image_of(id))
  return redis.call('ZREM', expiry, id)
end

local function keep(id, job, status, digest, key, expires, busy)
  local ttl = math.max(1, math.ceil((tonumber(expires) - now) / 1000))
  redis.call('HSET', job_of(id), 'job', job, 'status', status, 'digest', digest, 'expires', expires)
  redis.call('PEXPIRE', job_of(id), ttl)
  redis.call('PEXPIRE', image_of(id), ttl)
  if key then
    redis.call('HSET', job_of(id), 'key', key)
    redis.call('SET', key_of(key), id, 'PX', ttl)
  end
  if busy then redis.call('SET', card_of(digest), id, 'PX', ttl) end
  redis.call('ZADD', expiry, expires, id)
end
"""

_CREATE: Final = Script(
    _KEYS
    + """
local id, job, status, digest, expires, busy, image, key = unpack(ARGV, 2)
local first = key and redis.call('GET', key_of(key)) or false
if alive(first) then return {'known', redis.call('HGET', job_of(first), 'job')} end
if alive(id) then return {'id-taken'} end
local holder = busy == '1' and redis.call('GET', card_of(digest))
if alive(holder) then return {'card-in-progress'} end
-- First of all what takes room: a server that has none refuses it, and nothing has changed yet.
redis.call('SET', image_of(id), image)
for _, past in ipairs({first, holder}) do
  if past and past ~= id then erase(past) end
end
if redis.call('EXISTS', job_of(id)) == 1 then
  erase(id)
  redis.call('SET', image_of(id), image)
end
keep(id, job, status, digest, key, expires, busy == '1')
return {'kept'}
"""
)

_UPDATE: Final = Script(
    _KEYS
    + """
local id, job, status, digest, expires, busy, delete_image, expect = unpack(ARGV, 2)
if not alive(id) then return 'job-not-found' end
local was, before, key = unpack(redis.call('HMGET', job_of(id), 'status', 'digest', 'key'))
if expect and was ~= expect then return 'job-moved-on' end
if busy == '1' then
  local holder = redis.call('GET', card_of(digest))
  if holder ~= id and alive(holder) then return 'card-in-progress' end
  if holder and holder ~= id then erase(holder) end
end
free(card_of(before), id)
if delete_image == '1' then redis.call('DEL', image_of(id)) end
keep(id, job, status, digest, key, expires, busy == '1')
return 'kept'
"""
)

_IMAGE: Final = Script(_KEYS + "return alive(ARGV[2]) and redis.call('GET', image_of(ARGV[2]))")

_HAVING: Final = Script(
    _KEYS
    + """
local wanted, found = {}, {}
for n = 2, #ARGV do wanted[ARGV[n]] = true end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiry, '(' .. ARGV[1], '+inf')) do
  local status, job = unpack(redis.call('HMGET', job_of(id), 'status', 'job'))
  if status and wanted[status] then found[#found + 1] = job end
end
return found
"""
)

_EXPIRE: Final = Script(
    _KEYS
    + """
local erased = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', ARGV[1])) do erased = erased + erase(id) end
return erased
"""
)

_encode: Final = msgspec.msgpack.encode
_decode: Final = msgspec.msgpack.Decoder(Job).decode


class RedisJobStore(RedisStore):
    """The jobs called `name` on a Redis server.

    A deleted image is gone from the server's memory at once, and from its append-only file when that is next written
    anew; `expire` asks for that.
    """

    def __init__(
        self,
        server: RedisServer | str,
        name: str = "cards",
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(server)
        self._prefix = f"{{mediq:{name}}}:"
        self._clock = clock
        self._deleted_images = True  # an earlier process may have
        self._rewritten_at: datetime | None = None

    async def create(self, job: Job, image: bytes, key: str | None = None) -> Job:
        answer, *known = await self._ask(
            _CREATE,
            job.id,
            _encode(job),
            job.status,
            job.digest,
            instant(job.expires_at),
            job.status in UNFINISHED,
            image,
            *(() if key is None else (key,)),
        )
        if answer == b"known":
            return _decode(known[0])
        if answer == b"id-taken":
            raise Conflict("Kartu ini sudah ada.", code="id-taken")
        if answer == b"card-in-progress":
            raise in_progress()
        return job

    async def get(self, job_id: str) -> Job | None:
        blob = await self._call("HGET", f"{self._prefix}job:{job_id}", "job")
        job = None if blob is None else _decode(blob)
        return None if job is None or job.expires_at <= self._clock() else job

    async def image(self, job_id: str) -> bytes | None:
        image: bytes | None = await self._ask(_IMAGE, job_id)
        return image

    async def update(self, job: Job, *, delete_image: bool = False, expect: str | None = None) -> Job:
        answer = await self._ask(
            _UPDATE,
            job.id,
            _encode(job),
            job.status,
            job.digest,
            instant(job.expires_at),
            job.status in UNFINISHED,
            delete_image,
            *(() if expect is None else (expect,)),
        )
        if answer == b"job-not-found":
            raise NotFound("Kartu ini tidak ada atau sudah kedaluwarsa.", code="job-not-found")
        if answer == b"job-moved-on":
            raise Conflict("Kartu ini sudah diproses lebih lanjut.", code="job-moved-on")
        if answer == b"card-in-progress":
            raise in_progress()
        self._deleted_images |= delete_image
        return job

    async def having(self, *statuses: str) -> list[Job]:
        jobs = [_decode(blob) for blob in await self._ask(_HAVING, *statuses)]
        return sorted(jobs, key=lambda job: job.created_at)

    async def expire(self, now: datetime) -> int:
        erased = int(await self._run(_EXPIRE, (self._prefix,), (instant(now),)))
        self._deleted_images |= erased > 0
        if self._deleted_images and (self._rewritten_at is None or now - self._rewritten_at >= REWRITE_EVERY):
            # The erasing itself is done; a server that is busy rewriting, or may not be asked, is asked again later.
            with suppress(Fault, ResponseError):
                await self._call("BGREWRITEAOF")
                self._deleted_images, self._rewritten_at = False, now
        return erased

    async def _ask(self, script: Script, *arguments: Part) -> Any:
        return await self._run(script, (self._prefix,), (instant(self._clock()), *map(_plain, arguments)))


def _plain(argument: Part) -> Part:
    return int(argument) if isinstance(argument, bool) else argument

"""The job store on a Redis server, which erases each job and its picture by itself when they expire."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from redis.exceptions import ResponseError

from mediq.actors.cards.job_store.base import (
    UNADOPTED,
    UNFINISHED,
    Job,
    card_in_progress,
    id_taken,
    job_moved_on,
    job_not_found,
    microseconds,
    new_image_id,
    no_image,
)
from mediq.messages.errors import Fault
from mediq.stores.redis_server import Argument, RedisServer, RedisStore, Script

REWRITE_EVERY: Final = timedelta(hours=1)
"""The shortest time between two requests that the server rewrite its append-only file without erased pictures."""

# A job is a hash with its picture beside it. `card` holds the id of the unfinished job of a picture, `key` that of the
# job created under an idempotency key. A sorted set holds all job ids by expiry. An `upload` is a picture that no job
# has adopted yet; a second sorted set holds the ids of these by expiry.
_KEYS: Final = """
local prefix, now = KEYS[1], tonumber(ARGV[1])
local expiry, uploads = prefix .. 'expiry', prefix .. 'uploads'
local function job_of(id) return prefix .. 'job:' .. id end
local function image_of(id) return prefix .. 'image:' .. id end
local function upload_of(id) return prefix .. 'upload:' .. id end
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

local function drop_upload(id)
  redis.call('DEL', upload_of(id))
  return redis.call('ZREM', uploads, id)
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

_STORE_IMAGE: Final = Script(
    _KEYS
    + """
local id, expires, image = unpack(ARGV, 2)
redis.call('SET', upload_of(id), image, 'PX', math.max(1, math.ceil((tonumber(expires) - now) / 1000)))
redis.call('ZADD', uploads, expires, id)
"""
)

_ERASE_UPLOAD: Final = Script(_KEYS + "return drop_upload(ARGV[2])")

_CREATE: Final = Script(
    _KEYS
    + """
local id, job, status, digest, expires, busy, upload, key = unpack(ARGV, 2)
local first = key and redis.call('GET', key_of(key)) or false
if alive(first) then
  drop_upload(upload)
  return {'known', redis.call('HGET', job_of(first), 'job')}
end
local holder = busy == '1' and redis.call('GET', card_of(digest))
local refusal = alive(id) and 'id-taken' or alive(holder) and 'card-in-progress'
if refusal then
  drop_upload(upload)
  return {refusal}
end
local waits_until = redis.call('ZSCORE', uploads, upload)
if not waits_until or tonumber(waits_until) <= now or redis.call('EXISTS', upload_of(upload)) == 0 then
  return {'no-image'}
end
for _, past in ipairs({first, holder, id}) do
  if past then erase(past) end
end
redis.call('RENAME', upload_of(upload), image_of(id))
redis.call('ZREM', uploads, upload)
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
local jobs, images = 0, 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', ARGV[1])) do jobs = jobs + erase(id) end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', uploads, '-inf', ARGV[1])) do images = images + drop_upload(id) end
return {jobs, images}
"""
)

_encode: Final = msgspec.msgpack.encode
_decode: Final = msgspec.msgpack.Decoder(Job).decode


class RedisJobStore(RedisStore):
    """The jobs called `name` on a Redis server; see :class:`~mediq.actors.cards.job_store.base.JobStore`.

    An erased picture leaves the server's memory at once, and its append-only file at the next rewrite of that file,
    which `expire` asks for.
    """

    def __init__(
        self,
        server: RedisServer | str,
        name: str = "cards",
        *,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(server)
        self._prefix = f"{{mediq:{name}}}:"
        self._clock = clock
        self._deleted_images = True  # an earlier process may have deleted some
        self._rewritten_at: datetime | None = None

    async def store_image(self, image: bytes) -> str:
        image_id = await asyncio.to_thread(new_image_id, image)
        await self._ask(_STORE_IMAGE, image_id, microseconds(self._clock() + UNADOPTED), image)
        return image_id

    async def erase_upload(self, image_id: str) -> None:
        with suppress(Fault):  # no answer depends on it
            self._deleted_images |= await self._ask(_ERASE_UPLOAD, image_id) > 0

    async def create(self, job: Job, image_id: str, key: str | None = None) -> Job:
        answer, *known = await self._ask(
            _CREATE,
            job.id,
            _encode(job),
            job.status,
            job.digest,
            microseconds(job.expires_at),
            job.status in UNFINISHED,
            image_id,
            *(() if key is None else (key,)),
        )
        if answer == b"known":
            return _decode(known[0])
        if answer == b"id-taken":
            raise id_taken()
        if answer == b"card-in-progress":
            raise card_in_progress()
        if answer == b"no-image":
            raise no_image()
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
            microseconds(job.expires_at),
            job.status in UNFINISHED,
            delete_image,
            *(() if expect is None else (expect,)),
        )
        if answer == b"job-not-found":
            raise job_not_found()
        if answer == b"job-moved-on":
            raise job_moved_on()
        if answer == b"card-in-progress":
            raise card_in_progress()
        self._deleted_images |= delete_image
        return job

    async def having(self, *statuses: str) -> list[Job]:
        jobs = [_decode(blob) for blob in await self._ask(_HAVING, *statuses)]
        return sorted(jobs, key=lambda job: job.created_at)

    async def expire(self, now: datetime) -> int:
        jobs, images = await self._run(_EXPIRE, (self._prefix,), (microseconds(now),))
        self._deleted_images |= jobs + images > 0
        if self._deleted_images and (self._rewritten_at is None or now - self._rewritten_at >= REWRITE_EVERY):
            # A server that is rewriting already, or refuses to, is asked again at a later call.
            with suppress(Fault, ResponseError):
                await self._call("BGREWRITEAOF")
                self._deleted_images, self._rewritten_at = False, now
        return int(jobs)

    async def _ask(self, script: Script, *arguments: Argument) -> Any:
        return await self._run(script, (self._prefix,), (microseconds(self._clock()), *map(_plain, arguments)))


def _plain(argument: Argument) -> Argument:
    return int(argument) if isinstance(argument, bool) else argument

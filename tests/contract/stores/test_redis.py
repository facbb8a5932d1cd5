"""What is Redis' own: a server that is killed, cut off, full or badly set, and a client that gives up in the middle."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import exceptions
from redis.asyncio import Redis as Client

from mediq.actors.cards.job_store.base import Job, microseconds
from mediq.actors.cards.job_store.redis import RedisJobStore
from mediq.actors.queue.command_processor import CommandProcessor
from mediq.actors.queue.event_store.base import VersionConflict
from mediq.actors.queue.event_store.redis import RedisEventLog
from mediq.actors.queue.rules.events import Recorded
from mediq.messages.errors import Fault, StorageFull, Unavailable
from mediq.stores import redis_server
from mediq.stores.redis_server import RedisServer, fault_of, warnings_about
from tests.fixtures.queue.journal import CLINIC
from tests.fixtures.queue.processes import add, given_now, ids_of
from tests.fixtures.servers import Redis
from tests.fixtures.stores.backends import a_job, create_job, cut_off, unfinished, utc_now

PATIENCE = redis_server.ANSWER_SECONDS
"""Seconds after which a store gives up on the server."""


@pytest.fixture(scope="module")
def own() -> Iterator[Redis]:
    """A server for these tests alone: they stop it, and change its settings."""
    server = Redis()
    server.start()
    yield server
    server.thaw()
    server.close()


@pytest.fixture
def url(own: Redis) -> str:
    return own.url()


@pytest.fixture
async def log(url: str) -> AsyncIterator[RedisEventLog]:
    log = RedisEventLog(url)
    await log.open()
    yield log
    await log.close()


@pytest.fixture
async def jobs(url: str) -> AsyncIterator[RedisJobStore]:
    jobs = RedisJobStore(url, clock=utc_now)
    await jobs.open()
    yield jobs
    await jobs.close()


@pytest.fixture
async def admin(url: str) -> AsyncIterator[Any]:
    """A client that changes settings; they are put back."""
    client = Client.from_url(url)
    before = await client.config_get("maxmemory", "appendfsync")
    yield client
    for name, value in before.items():
        await client.config_set(str(name), str(value))
    await client.aclose()


# --- the server dies ---


@pytest.mark.parametrize("acknowledged", [1, 30, 200])
async def test_what_was_acknowledged_outlives_a_kill(own: Redis, url: str, acknowledged: int) -> None:
    log, jobs = RedisEventLog(url), RedisJobStore(url, clock=utc_now)
    await log.open()
    await jobs.open()
    told: dict[int, int] = {}
    made: dict[str, bytes] = {}
    enough = asyncio.Event()

    async def append() -> None:
        version = 0
        while True:
            size = random.choice((1, 3, 10))
            batch = [b"%d/%d after %d" % (n, size, version) for n in range(1, size + 1)]
            version = await log.append(version, batch)
            told[version] = size
            if len(told) >= acknowledged:
                enough.set()

    async def create(n: int) -> None:
        while True:
            job, image = a_job(expires_at=datetime.now(UTC) + timedelta(hours=1)), random.randbytes(5000)
            await create_job(jobs, job, image)
            made[job.id] = image

    writers = [asyncio.create_task(append()), *(asyncio.create_task(create(n)) for n in range(3))]
    await enough.wait()
    await asyncio.to_thread(own.kill)
    outcomes = await asyncio.gather(*writers, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    await asyncio.to_thread(own.start)

    # The same stores go on, and what they were told is there.
    events = await log.read(limit=1_000_000)
    assert [version for version, _ in events] == list(range(1, len(events) + 1))
    assert len(events) >= max(told)
    place = 0
    while place < len(events):
        size = int(events[place][1].split()[0].split(b"/")[1])
        assert [body for _, body in events[place : place + size]] == [
            b"%d/%d after %d" % (n, size, place) for n in range(1, size + 1)
        ]
        place += size
        assert told.get(place, size) == size
    for job_id, image in made.items():
        assert await jobs.image(job_id) == image
    assert set(made) <= set(await unfinished(jobs))
    assert await log.append(len(events), [b"on"]) == len(events) + 1
    await log.close()
    await jobs.close()


async def test_a_restart_of_the_server_between_two_calls_fails_neither(own: Redis, log: RedisEventLog) -> None:
    await asyncio.gather(*(log.version() for _ in range(8)))
    await asyncio.to_thread(own.restart)
    assert await log.append(0, [b"one"]) == 1
    assert await asyncio.gather(*(log.version() for _ in range(8))) == [1] * 8


async def test_a_server_that_is_away_is_unavailable_at_once(own: Redis, log: RedisEventLog, url: str) -> None:
    await asyncio.to_thread(own.stop)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await log.append(0, [b"one"])
    late = RedisEventLog(url)
    with pytest.raises(Unavailable):
        await late.open()
    assert time.monotonic() - began < PATIENCE
    await asyncio.to_thread(own.start)
    await late.open()
    await late.close()
    assert await log.append(0, [b"one"]) == 1


# --- the server is cut off ---


async def test_a_server_that_is_cut_off_is_unavailable_in_time(own: Redis, log: RedisEventLog) -> None:
    await log.append(0, [b"one"])
    await asyncio.gather(*(log.version() for _ in range(redis_server.CONNECTIONS)))
    with cut_off(own):
        began = time.monotonic()
        calls = (log.append(1, [b"late"]), *(log.version() for _ in range(3 * redis_server.CONNECTIONS)))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(answer) for answer in answers} == {Unavailable}
        assert time.monotonic() - began < 2 * PATIENCE  # all in one wait, not one after the other
    # It carries out what it was sent; nobody knew, and nothing is out of step.
    assert await asyncio.gather(*(log.version() for _ in range(40))) == [2] * 40
    assert await log.read(1) == [(2, b"late")]
    assert await log.append(2, [b"next"]) == 3


async def test_a_command_sent_to_a_server_that_was_cut_off_counts_once(own: Redis, log: RedisEventLog) -> None:
    told: list[Recorded] = []

    async def tell(recorded: Any) -> None:
        told.extend(recorded)

    processor = CommandProcessor(log, CLINIC, on_recorded=tell, shared=True)
    await processor.restore()
    run = asyncio.create_task(processor.run())
    await processor.submit(add("zero"), given_now(**ids_of("zero")))
    with cut_off(own):
        with pytest.raises(Unavailable):
            await processor.submit(add("one"), given_now(**ids_of("one"), key="job-1"))
        with pytest.raises(Unavailable):
            await processor.fresh()
    again = given_now(**ids_of("again"), key="job-1")
    assert (await processor.submit(add("one"), again))[1].ticket_id == "t-one"
    assert told == await processor.events(0)
    assert len(told) == 2
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)


# --- the client gives up ---


async def test_cancelled_calls_leave_no_connection_half_read(log: RedisEventLog, jobs: RedisJobStore) -> None:
    await log.append(0, [b"%d" % n * 1000 for n in range(50)])
    job = await create_job(jobs, a_job(expires_at=datetime.now(UTC) + timedelta(hours=1)), b"image" * 10_000)

    async def right(n: int) -> None:
        match n % 3:
            case 0:
                assert await log.read(n % 50, 1) == [(n % 50 + 1, b"%d" % (n % 50) * 1000)]
            case 1:
                assert await jobs.image(job.id) == b"image" * 10_000
            case _:
                assert await log.version() == 50

    for round_ in range(30):
        tasks = [asyncio.create_task(right(n)) for n in range(30)]
        for _ in range(round_):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {type(None), asyncio.CancelledError}
        assert outcomes[1::2] == [None] * 15


async def test_closing_waits_for_pending_calls(log: RedisEventLog) -> None:
    task = asyncio.create_task(log.append(0, [b"one"]))
    await asyncio.sleep(0)
    await log.close()
    await log.open()
    assert await task == 1
    assert await log.version() == 1


async def test_an_append_whose_answer_was_lost_is_no_version_conflict(own: Redis, log: RedisEventLog) -> None:
    """The client itself would send an append again, and find the version taken: by the first."""
    await log.append(0, [b"one"])
    with cut_off(own), pytest.raises(Unavailable):
        await log.append(1, [b"two"])
    with pytest.raises(VersionConflict):
        await log.append(1, [b"another"])
    assert await log.version() == 2


# --- the server is full, or may not write ---


async def test_full_memory_refuses_writes_and_loses_nothing(
    log: RedisEventLog, jobs: RedisJobStore, admin: Any
) -> None:
    await log.append(0, [b"one"])
    await admin.config_set("maxmemory", "1mb")
    with pytest.raises(StorageFull):
        await log.append(1, [b"x" * 1000] * 3)
    with pytest.raises(StorageFull):
        await create_job(jobs, a_job(), b"image")
    assert await log.read() == [(1, b"one")]
    assert await unfinished(jobs) == []
    await admin.config_set("maxmemory", "0")
    assert await log.append(1, [b"two"]) == 2


async def test_a_read_only_server_is_unavailable(log: RedisEventLog, admin: Any) -> None:
    await log.append(0, [b"one"])
    await admin.execute_command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(Unavailable):
        await log.append(1, [b"two"])
    await admin.execute_command("REPLICAOF", "NO", "ONE")
    assert await log.append(1, [b"two"]) == 2


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), StorageFull),
        (exceptions.ResponseError("Error running script: @user_script: 3: -OOM command not allowed"), StorageFull),
        (exceptions.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"), StorageFull),
        (exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), Unavailable),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), Unavailable),
        (exceptions.ReadOnlyError("You can't write against a read only replica."), Unavailable),
        (exceptions.MaxConnectionsError("Too many connections"), Unavailable),
        (exceptions.TimeoutError("Timeout reading from localhost:6379"), Unavailable),
        (TimeoutError(), Unavailable),
        (exceptions.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"), None),
        (exceptions.NoScriptError("No matching script."), None),
        (KeyError("MISCONF"), None),
    ],
    ids=repr,
)
def test_each_client_error_becomes_its_fault(error: Exception, kind: type[Fault] | None) -> None:
    fault = fault_of(error)
    assert (None if fault is None else type(fault)) is kind


# --- the server's settings ---


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []

    class Log:
        warning = error = staticmethod(said.append)

    monkeypatch.setattr(redis_server, "_log", Log)
    return said


SAFE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


@pytest.mark.parametrize(
    ("settings", "to_set"),
    [
        (SAFE, []),
        (SAFE | {"appendonly": "no"}, ["Set `appendonly yes` and `appendfsync always`"]),
        (SAFE | {"appendfsync": "everysec"}, ["Set `appendfsync always`"]),
        (SAFE | {"maxmemory-policy": "allkeys-lru"}, ["Set `maxmemory-policy noeviction`"]),
        ({"appendonly": "yes"}, ["See to it that `appendfsync always` is set"]),
    ],
)
def test_settings_that_lose_acknowledged_writes_are_warned_of(settings: dict[str, str], to_set: list[str]) -> None:
    warnings = warnings_about(settings)
    assert len(warnings) == len(to_set)
    assert all(words in warning for words, warning in zip(to_set, warnings, strict=True))


async def test_opening_a_store_checks_the_settings(url: str, admin: Any, warned: list[str]) -> None:
    for fsync, warnings in (("always", 0), ("everysec", 1)):
        await admin.config_set("appendfsync", fsync)
        log = RedisEventLog(url)
        await log.open()
        await log.close()
        assert len(warned) == warnings


async def test_a_server_that_hides_its_settings_is_warned_of(url: str, admin: Any, warned: list[str]) -> None:
    await admin.execute_command("ACL", "SETUSER", "guarded", "on", ">secret", "~*", "+@all", "-config")
    log = RedisEventLog(url.replace("redis://", "redis://guarded:secret@"))
    await log.open()
    assert await log.append(0, [b"one"]) == 1
    await log.close()
    assert ["does not tell" in warning for warning in warned] == [True]
    refused = RedisEventLog(url.replace("redis://", "redis://guarded:wrong@"))
    with pytest.raises(Unavailable):
        await refused.open()
    assert "REDIS_URL" in warned[-1]


async def test_two_stores_on_one_server(url: str) -> None:
    server = RedisServer(url)
    log, jobs = RedisEventLog(server), RedisJobStore(server, clock=utc_now)
    await log.open()
    await jobs.open()
    await log.close()
    with pytest.raises(Unavailable):
        await log.version()
    assert await unfinished(jobs) == []
    await jobs.close()
    with pytest.raises(Unavailable):
        await unfinished(jobs)


async def test_logs_with_different_names_are_separate(url: str) -> None:
    one, two = RedisEventLog(url, "one"), RedisEventLog(url, "two")
    await one.open()
    await two.open()
    await one.append(0, [b"one"])
    assert await two.version() == 0
    await one.close()
    await two.close()


# --- what is forgotten ---


async def test_the_server_itself_erases_an_expired_job(jobs: RedisJobStore, admin: Any) -> None:
    now = datetime.now(UTC)
    short = a_job(expires_at=now + timedelta(seconds=0.3), digest="card")
    await create_job(jobs, short, b"image", key="upload-1")
    keys = [f"{{mediq:cards}}:{name}" for name in (f"job:{short.id}", f"image:{short.id}", "card:card", "key:upload-1")]
    assert await admin.exists(*keys) == 4
    long = await create_job(jobs, a_job(expires_at=now + timedelta(hours=1)), b"image", key="upload-2")
    async with asyncio.timeout(5):
        while await admin.exists(*keys):
            continue  # it is asked until it has forgotten
    assert await unfinished(jobs) == [long.id]
    # Nothing of it is left when the clean-up has been.
    assert await jobs.expire(datetime.now(UTC)) == 1
    assert not [key for key in await admin.keys("*") if short.id in key.decode()]
    assert await jobs.image(long.id) == b"image"


async def test_a_job_of_version_0_1_0_keeps_its_picture(jobs: RedisJobStore, admin: Any) -> None:
    now = datetime.now(UTC)
    job = a_job(status="NEEDS_REVIEW", expires_at=now + timedelta(hours=1))
    expires = microseconds(job.expires_at)
    stored = msgspec.to_builtins(job, builtin_types=(datetime,)) | {"auto": True}
    fields = {"job": msgspec.msgpack.encode(stored), "status": job.status, "digest": job.digest, "expires": expires}
    await admin.hset(f"{{mediq:cards}}:job:{job.id}", mapping=fields)
    await admin.set(f"{{mediq:cards}}:image:{job.id}", b"image")
    await admin.zadd("{mediq:cards}:expiry", {job.id: expires})
    assert [each.id for each in await jobs.having("NEEDS_REVIEW")] == [job.id]
    assert await jobs.image(job.id) == b"image"
    await jobs.update(msgspec.structs.replace(job, status="REGISTERED"), delete_image=True)
    assert await jobs.image(job.id) is None


async def test_an_update_extends_every_key_of_a_job(jobs: RedisJobStore, admin: Any) -> None:
    now = datetime.now(UTC)
    job = await create_job(jobs, a_job(expires_at=now + timedelta(hours=1), digest="card"), b"image", key="upload-1")
    await jobs.update(msgspec.structs.replace(job, expires_at=now + timedelta(hours=3)))
    for name in (f"job:{job.id}", f"image:{job.id}", "card:card", "key:upload-1"):
        assert await admin.ttl(f"{{mediq:cards}}:{name}") > 2.9 * 3600


async def test_a_deleted_image_leaves_the_disk(own: Redis, jobs: RedisJobStore) -> None:
    now = datetime.now(UTC)
    image = random.randbytes(3000)
    job: Job = a_job(expires_at=now + timedelta(hours=1))
    await create_job(jobs, job, image)

    def holds(file: Path) -> bool:
        try:
            return image in file.read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            return False  # a folder, or replaced by the rewriting meanwhile

    def on_disk() -> bool:
        return any(holds(file) for file in own.folder.rglob("*"))

    assert await asyncio.to_thread(on_disk)
    await jobs.update(msgspec.structs.replace(job, status="REGISTERED"), delete_image=True)
    async with asyncio.timeout(10):
        # A server that is busy with an earlier rewrite is asked again at the next clean-up.
        while await asyncio.to_thread(on_disk):
            await jobs.expire(now)
    assert await jobs.get(job.id) is not None

"""The contract of the OCR job store, on every back end."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta

import msgspec
import pytest
from redis.asyncio import Redis as Client

from mediq.actors.cards.job_store.base import UNADOPTED, Job, JobStore, digest_of
from mediq.messages.errors import Conflict, NotFound, Unavailable
from tests.fixtures.stores.backends import NOW, Clock, OpenJobs, a_job, create_job, unfinished


def moved(job: Job, status: str, **fields: object) -> Job:
    return msgspec.structs.replace(job, status=status, **fields)


async def test_a_job_and_its_picture_are_read_back_unchanged(jobs: JobStore) -> None:
    job = a_job(
        requested_by="operator-1",
        role="OPERATOR",
        service="UMUM",
        priority="HIGH",
        priority_reason="lansia",
        reading=b"\x00\xff",
        user_id="u1",
        ticket_id="t1",
        reason="too-dark",
        attempts=2,
    )
    image = bytes(range(256)) * 20_000
    assert await create_job(jobs, job, image) == job
    found = await jobs.get(job.id)
    assert found == job
    assert found.created_at.tzinfo is not None
    assert await jobs.image(job.id) == image
    await jobs.ping()


async def stored_images(jobs_place: str) -> int:
    """The number of pictures in the store, adopted by a job or not."""
    if jobs_place.startswith("redis:"):
        async with Client.from_url(jobs_place) as client:
            return sum(b":image:" in key or b":upload:" in key for key in await client.keys("*"))
    with closing(sqlite3.connect(jobs_place)) as connection:
        return int(connection.execute("SELECT count(*) FROM images").fetchone()[0])


async def test_an_adopted_picture_lives_as_long_as_its_job(jobs: JobStore, clock: Clock, jobs_place: str) -> None:
    job = await create_job(jobs, a_job(expires_at=NOW + timedelta(hours=1)), b"image")
    assert await jobs.expire(clock.pass_(minutes=59)) == 0
    assert await jobs.image(job.id) == b"image"
    assert await jobs.expire(clock.pass_(minutes=1)) == 1
    assert await stored_images(jobs_place) == 0


async def test_a_picture_that_no_job_adopts_expires(jobs: JobStore, clock: Clock, jobs_place: str) -> None:
    image_id = await jobs.store_image(b"image")
    await jobs.expire(clock.now)
    assert await stored_images(jobs_place) == 1
    clock.now += UNADOPTED
    with pytest.raises(NotFound) as refused:
        await jobs.create(a_job(), image_id)
    assert refused.value.code == "no-image"
    assert await jobs.expire(clock.now) == 0
    assert await stored_images(jobs_place) == 0


async def test_a_picture_is_adopted_once(jobs: JobStore) -> None:
    image_id = await jobs.store_image(b"image")
    job = await jobs.create(a_job(), image_id, key="upload-1")
    assert await jobs.create(a_job(), image_id, key="upload-1") == job, "a message that was delivered twice"
    with pytest.raises(Conflict) as in_progress:
        await jobs.create(a_job(digest=job.digest), image_id)
    assert in_progress.value.code == "card-in-progress"
    for unknown in (image_id, "guessed"):
        with pytest.raises(NotFound) as refused:
            await jobs.create(a_job(), unknown)
        assert refused.value.code == "no-image"
    assert await jobs.image(job.id) == b"image"


async def test_an_upload_that_creates_no_job_leaves_no_picture(jobs: JobStore, jobs_place: str) -> None:
    job = await create_job(jobs, a_job(), b"image", key="upload-1")
    assert await create_job(jobs, a_job(), b"image", key="upload-1") == job
    for refused in (a_job(digest=job.digest), a_job(id=job.id)):
        with pytest.raises(Conflict):
            await create_job(jobs, refused, b"image")
    assert await stored_images(jobs_place) == 1


async def test_equal_pictures_have_equal_digests_under_different_ids(jobs: JobStore) -> None:
    one, same, other = [await jobs.store_image(image) for image in (b"image", b"image", b"other")]
    assert len({one, same, other}) == 3
    assert digest_of(one) == digest_of(same) != digest_of(other)


async def test_an_unknown_job_is_not_found(jobs: JobStore) -> None:
    assert await jobs.get("nothing") is None
    assert await jobs.image("nothing") is None
    assert await unfinished(jobs) == []
    with pytest.raises(NotFound):
        await jobs.update(a_job())


async def test_a_repeated_key_returns_the_first_job_as_it_is_now(jobs: JobStore) -> None:
    first = await create_job(jobs, a_job(), b"one", key="upload-1")
    assert await create_job(jobs, a_job(), b"two", key="upload-1") == first
    assert await create_job(jobs, a_job(digest=first.digest), b"one", key="upload-1") == first
    changed = await jobs.update(moved(first, "REGISTERED"))
    assert await create_job(jobs, a_job(), b"three", key="upload-1") == changed
    assert await jobs.image(first.id) == b"one"


@pytest.mark.parametrize("status", ["PENDING", "PROCESSING"])
async def test_a_picture_of_an_unfinished_job_is_refused(jobs: JobStore, status: str) -> None:
    first = await create_job(jobs, a_job(status=status, digest="card"), b"image")
    with pytest.raises(Conflict) as refused:
        await create_job(jobs, a_job(digest="card"), b"image")
    assert refused.value.code == "card-in-progress"
    await jobs.update(moved(first, "NEEDS_REVIEW"))
    second = await create_job(jobs, a_job(digest="card"), b"image")
    with pytest.raises(Conflict) as refused:
        await jobs.update(moved(first, "PENDING"))
    assert refused.value.code == "card-in-progress"
    assert await unfinished(jobs) == [second.id]


async def test_an_id_that_is_taken_is_refused(jobs: JobStore) -> None:
    job = await create_job(jobs, a_job(), b"image")
    with pytest.raises(Conflict) as refused:
        await create_job(jobs, a_job(id=job.id), b"other")
    assert refused.value.code == "id-taken"
    assert await jobs.image(job.id) == b"image"


async def test_of_many_uploads_of_one_card_one_is_taken(open_jobs: OpenJobs) -> None:
    stores = [await open_jobs(), await open_jobs()]
    answers = await asyncio.gather(
        *(create_job(stores[n % 2], a_job(digest="card"), b"image") for n in range(30)), return_exceptions=True
    )
    assert sum(isinstance(answer, Job) for answer in answers) == 1
    assert {a.code for a in answers if isinstance(a, Conflict)} == {"card-in-progress"}
    assert len(await unfinished(stores[0])) == 1


async def test_many_uploads_with_one_key_at_once_get_the_same_job(open_jobs: OpenJobs) -> None:
    stores = [await open_jobs(), await open_jobs()]
    answers = await asyncio.gather(*(create_job(stores[n % 2], a_job(), b"image", key="upload-1") for n in range(30)))
    assert len({job.id for job in answers}) == 1


async def test_an_update_is_stored_and_keeps_the_picture(jobs: JobStore, open_jobs: OpenJobs) -> None:
    job = await create_job(jobs, a_job(), b"image")
    done = moved(job, "NEEDS_REVIEW", reading=b"fields", attempts=1, updated_at=NOW + timedelta(seconds=2))
    assert await jobs.update(done) == done
    assert await (await open_jobs()).get(job.id) == done
    assert await jobs.image(job.id) == b"image"


async def test_an_update_may_expect_a_status(jobs: JobStore) -> None:
    job = await create_job(jobs, a_job(), b"image")
    working = await jobs.update(moved(job, "PROCESSING"), expect="PENDING")
    with pytest.raises(Conflict) as refused:
        await jobs.update(moved(job, "PROCESSING", attempts=9), expect="PENDING", delete_image=True)
    assert refused.value.code == "job-moved-on"
    assert await jobs.get(job.id) == working
    assert await jobs.image(job.id) == b"image"


async def test_of_many_updates_that_expect_one_status_one_succeeds(open_jobs: OpenJobs) -> None:
    stores = [await open_jobs(), await open_jobs()]
    job = await create_job(stores[0], a_job(), b"image")
    answers = await asyncio.gather(
        *(stores[n % 2].update(moved(job, "PROCESSING", attempts=n), expect="PENDING") for n in range(20)),
        return_exceptions=True,
    )
    [winner] = [answer for answer in answers if isinstance(answer, Job)]
    assert await stores[0].get(job.id) == winner


async def test_an_update_erases_the_picture(jobs: JobStore) -> None:
    job = await create_job(jobs, a_job(), b"image")
    done = await jobs.update(moved(job, "REGISTERED"), delete_image=True)
    assert await jobs.image(job.id) is None
    assert await jobs.get(job.id) == done
    await jobs.update(moved(job, "REGISTERED"), delete_image=True)


async def test_jobs_are_listed_by_status_oldest_first(jobs: JobStore) -> None:
    for name, status, minute in (
        ("b", "PROCESSING", 2),
        ("a", "PENDING", 1),
        ("c", "PENDING", 3),
        ("d", "NEEDS_REVIEW", 0),
        ("e", "REGISTERED", 0),
        ("f", "REJECTED", 0),
        ("g", "FAILED", 0),
    ):
        await create_job(jobs, a_job(id=name, status=status, created_at=NOW + timedelta(minutes=minute)), b"image")
    assert await unfinished(jobs) == ["a", "b", "c"]
    assert [job.id for job in await jobs.having("NEEDS_REVIEW")] == ["d"]
    assert await jobs.having() == []


async def test_an_expired_job_is_gone_with_its_picture(jobs: JobStore, clock: Clock) -> None:
    short = await create_job(jobs, a_job(expires_at=NOW + timedelta(minutes=1)), b"image", key="upload-1")
    long = await create_job(jobs, a_job(), b"image")
    clock.pass_(minutes=1)
    assert await jobs.get(short.id) is None
    assert await jobs.image(short.id) is None
    assert await unfinished(jobs) == [long.id]
    with pytest.raises(NotFound):
        await jobs.update(moved(short, "PROCESSING"))
    assert await jobs.expire(clock.now) == 1
    assert await jobs.expire(clock.now) == 0
    assert await jobs.get(long.id) == long


async def test_an_update_may_extend_the_time_to_live(jobs: JobStore, clock: Clock) -> None:
    job = await create_job(jobs, a_job(), b"image")
    longer = await jobs.update(msgspec.structs.replace(job, expires_at=NOW + timedelta(hours=2)))
    assert await jobs.expire(clock.pass_(minutes=90)) == 0
    assert await jobs.get(job.id) == longer


async def test_an_expired_job_blocks_neither_its_key_nor_its_picture(jobs: JobStore, clock: Clock) -> None:
    await create_job(jobs, a_job(digest="card"), b"image", key="upload-1")
    clock.pass_(hours=1)
    again = a_job(digest="card", created_at=clock.now, expires_at=clock.now + timedelta(hours=1))
    assert await create_job(jobs, again, b"image", key="upload-1") == again


async def test_jobs_outlive_the_process(jobs: JobStore, open_jobs: OpenJobs) -> None:
    job = await create_job(jobs, a_job(), b"image", key="upload-1")
    await jobs.close()
    again = await open_jobs()
    assert await again.get(job.id) == job
    assert await again.image(job.id) == b"image"
    assert await create_job(again, a_job(), b"other", key="upload-1") == job


async def test_a_closed_store_is_unavailable_until_it_is_opened_again(jobs: JobStore) -> None:
    await jobs.close()
    await jobs.close()
    for call in (jobs.get("x"), create_job(jobs, a_job(), b"image"), jobs.ping()):
        with pytest.raises(Unavailable):
            await call
    await jobs.open()
    await jobs.open()
    await create_job(jobs, a_job(), b"image")


async def test_a_cancelled_creation_happens_whole_or_not_at_all(jobs: JobStore, open_jobs: OpenJobs) -> None:
    other = await open_jobs()
    for turns in range(30):
        job = a_job()
        task = asyncio.ensure_future(create_job(jobs, job, b"image" * 1000))
        for _ in range(turns % 6):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        # The first call on the same store comes after whatever the cancelled one left under way.
        await jobs.ping()
        assert await other.image(job.id) == (None if await other.get(job.id) is None else b"image" * 1000)
        await create_job(other, a_job(), b"image")

"""OCR jobs: a card's image and what is known of it, from its arrival until it is registered or expires."""

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import msgspec

from mediq.messages.errors import Conflict, Fault, NotFound
from mediq.stores.sqlite_file import SqliteFile

UNFINISHED: Final = ("PENDING", "PROCESSING")
"""The statuses of a job that the reader of cards still has to work on."""


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One card on its way; change it with `msgspec.structs.replace` and `JobStore.update`.

    `digest` identifies the image: the same picture twice has the same digest. `requested_by` and `role` say who
    sent it, `service`, `priority` and `priority_reason` what ticket is wanted, `auto` whether a certain reading may
    register without an operator. `reading` is the encoded result, `reason` why the job was rejected or failed.
    `asked` is the fingerprint of the request that made it, `confirmed_under` the idempotency key of its confirmation.
    """

    id: str
    status: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    digest: str
    requested_by: str | None = None
    role: str | None = None
    service: str | None = None
    priority: str | None = None
    priority_reason: str | None = None
    auto: bool = False
    reading: bytes | None = None
    user_id: str | None = None
    ticket_id: str | None = None
    reason: str | None = None
    attempts: int = 0
    asked: str | None = None
    confirmed_under: str | None = None


class JobStore(Protocol):
    """Jobs and their images, each with a time to live.

    Every method may raise :class:`~mediq.messages.errors.Unavailable` or, when it writes,
    :class:`~mediq.messages.errors.StorageFull`; nothing is then written.
    """

    async def open(self) -> None:
        """Make the store ready, creating it when it is not there. Opening an open store does nothing."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go. Closing twice does nothing; the store can be opened again."""
        ...

    async def ping(self) -> None:
        """Return if the store answers; raise :class:`~mediq.messages.errors.Unavailable` if it does not."""
        ...

    async def create(self, job: Job, image: bytes, key: str | None = None) -> Job:
        """Keep `job` and its image, durable before the return.

        With the `key` of an unexpired job nothing is written, and that job is returned as it is now.

        Raises:
            Conflict: `card-in-progress`, an unfinished job holds the same picture; `id-taken`.
        """
        ...

    async def get(self, job_id: str) -> Job | None:
        """The job, or None when it is absent or expired."""
        ...

    async def image(self, job_id: str) -> bytes | None:
        """The job's image, or None when job or image are absent, deleted or expired."""
        ...

    async def update(self, job: Job, *, delete_image: bool = False, expect: str | None = None) -> Job:
        """Keep `job` in place of its earlier state, with `delete_image` erasing the image in the same write.

        With `expect`, only if the stored status is that one: of two that try, one wins.

        Raises:
            NotFound: the job is absent or expired.
            Conflict: `job-moved-on`, its status is not `expect`; `card-in-progress`, it would be unfinished
                again while another unfinished job holds the same picture.
        """
        ...

    async def having(self, *statuses: str) -> list[Job]:
        """The jobs in one of these statuses that have not expired, oldest first."""
        ...

    async def expire(self, now: datetime) -> int:
        """Erase the jobs, with their images, whose time ran out at `now`; how many."""
        ...


_SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS jobs (
        id TEXT PRIMARY KEY, key TEXT UNIQUE, status TEXT NOT NULL, digest TEXT NOT NULL,
        created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, job BLOB NOT NULL, image BLOB
    );
    CREATE UNIQUE INDEX IF NOT EXISTS card_in_progress ON jobs (digest)
        WHERE status IN ('PENDING', 'PROCESSING');
    CREATE INDEX IF NOT EXISTS jobs_expire ON jobs (expires_at);
    """,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(Job).decode


def utc_now() -> datetime:
    return datetime.now(UTC)


class SqliteJobStore:
    """Jobs in a SQLite file of their own, erased content overwritten.

    The image stands in the job's own row, last, so that a job and its image come and go in one statement and a
    read of the job does not touch the image. `max_bytes` bounds the file, beyond it the disk counts as full.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Callable[[], datetime] = utc_now,
        max_bytes: int | None = None,
    ) -> None:
        self._file = SqliteFile(path, schema=_SCHEMA, secure_delete=True, max_bytes=max_bytes)
        self._clock = clock

    async def open(self) -> None:
        await self._file.open()
        await self._forget_deleted()

    async def close(self) -> None:
        await self._file.close()

    async def ping(self) -> None:
        await self._file.rows("SELECT 1")

    async def create(self, job: Job, image: bytes, key: str | None = None) -> Job:
        row = (
            job.id,
            key,
            job.status,
            job.digest,
            instant(job.created_at),
            instant(job.expires_at),
            _encode(job),
            image,
        )
        for _ in range(2):
            try:
                await self._file.write("INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                if (first := await self._by_key(key)) is not None:
                    return first
                # What stands in the way may be a job whose time ran out and that nobody has erased yet.
                await self.expire(self._clock())
            else:
                return job
        if await self.get(job.id) is not None:
            raise Conflict("Kartu ini sudah ada.", code="id-taken")
        raise in_progress()

    async def get(self, job_id: str) -> Job | None:
        return await self._one("SELECT job FROM jobs WHERE id = ? AND expires_at > ?", job_id)

    async def image(self, job_id: str) -> bytes | None:
        found = await self._file.rows(
            "SELECT image FROM jobs WHERE id = ? AND expires_at > ?", (job_id, instant(self._clock()))
        )
        return found[0][0] if found else None

    async def update(self, job: Job, *, delete_image: bool = False, expect: str | None = None) -> Job:
        try:
            written = await self._file.write(
                "UPDATE jobs SET status = ?1, digest = ?2, expires_at = ?3, job = ?4,"
                " image = CASE WHEN ?5 THEN NULL ELSE image END"
                " WHERE id = ?6 AND expires_at > ?7 AND (?8 IS NULL OR status = ?8)",
                (
                    job.status,
                    job.digest,
                    instant(job.expires_at),
                    _encode(job),
                    delete_image,
                    job.id,
                    instant(self._clock()),
                    expect,
                ),
            )
        except sqlite3.IntegrityError:
            raise in_progress() from None
        if not written:
            if await self.get(job.id) is None:
                raise NotFound("Kartu ini tidak ada atau sudah kedaluwarsa.", code="job-not-found")
            raise Conflict("Kartu ini sudah diproses lebih lanjut.", code="job-moved-on")
        if delete_image:
            await self._forget_deleted()
        return job

    async def having(self, *statuses: str) -> list[Job]:
        found = await self._file.rows(
            "SELECT job FROM jobs WHERE status IN (SELECT value FROM json_each(?)) AND expires_at > ?"
            " ORDER BY created_at, rowid",
            (json.dumps(statuses), instant(self._clock())),
        )
        return [_decode(job) for (job,) in found]

    async def expire(self, now: datetime) -> int:
        erased = await self._file.write("DELETE FROM jobs WHERE expires_at <= ?", (instant(now),))
        if erased:
            await self._forget_deleted()
        return erased

    async def _forget_deleted(self) -> None:
        # The write before it is safe and must be reported as such; what fails here is made up for by the next.
        with suppress(Fault):
            await self._file.forget_deleted()

    async def _by_key(self, key: str | None) -> Job | None:
        return None if key is None else await self._one("SELECT job FROM jobs WHERE key = ? AND expires_at > ?", key)

    async def _one(self, sql: str, value: str) -> Job | None:
        found = await self._file.rows(sql, (value, instant(self._clock())))
        return _decode(found[0][0]) if found else None


def in_progress() -> Conflict:
    return Conflict("Kartu ini sedang dibaca. Tunggu hasilnya.", code="card-in-progress")


def instant(moment: datetime) -> int:
    """Microseconds since 1970: whole numbers, which sort and lose nothing."""
    return (moment - _EPOCH) // timedelta(microseconds=1)

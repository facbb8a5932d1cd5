"""The job store in a SQLite file."""

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final

import msgspec

from mediq.actors.cards.job_store.base import (
    UNADOPTED,
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
from mediq.stores.sqlite_file import SqliteFile

_SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS jobs (
        id TEXT PRIMARY KEY, key TEXT UNIQUE, status TEXT NOT NULL, digest TEXT NOT NULL,
        created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, job BLOB NOT NULL, image BLOB
    );
    CREATE UNIQUE INDEX IF NOT EXISTS card_in_progress ON jobs (digest)
        WHERE status IN ('PENDING', 'PROCESSING');
    CREATE INDEX IF NOT EXISTS jobs_expire ON jobs (expires_at);
    """,
    # Version 2: pictures have a table of their own, and `jobs.image` holds the id of the job's picture.
    """
    CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY, expires_at INTEGER NOT NULL, image BLOB NOT NULL);
    INSERT OR IGNORE INTO images SELECT id, expires_at, image FROM jobs WHERE typeof(image) = 'blob';
    UPDATE jobs SET image = id WHERE typeof(image) = 'blob';
    CREATE INDEX IF NOT EXISTS jobs_image ON jobs (image);
    CREATE INDEX IF NOT EXISTS images_expire ON images (expires_at);
    CREATE TRIGGER IF NOT EXISTS erase_image_that_a_job_let_go AFTER UPDATE OF image ON jobs
        WHEN OLD.image IS NOT NULL AND NEW.image IS NULL
        BEGIN DELETE FROM images WHERE id = OLD.image; END;
    CREATE TRIGGER IF NOT EXISTS erase_image_with_its_job AFTER DELETE ON jobs
        BEGIN DELETE FROM images WHERE id = OLD.image; END;
    """,
)
_UNADOPTED: Final = "id NOT IN (SELECT image FROM jobs WHERE image IS NOT NULL)"
_ADOPT: Final = f"""
    INSERT INTO jobs (id, key, status, digest, created_at, expires_at, job, image)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, id FROM images WHERE id = ?8 AND expires_at > ?9 AND {_UNADOPTED}
    """  # noqa: S608
_UPDATE: Final = """
    UPDATE jobs SET status = ?1, digest = ?2, expires_at = ?3, job = ?4, image = CASE WHEN ?5 THEN NULL ELSE image END
    WHERE id = ?6 AND expires_at > ?7 AND (?8 IS NULL OR status = ?8)
    """
_ERASE_EXPIRED_UPLOADS: Final = f"DELETE FROM images WHERE expires_at <= ? AND {_UNADOPTED}"  # noqa: S608
_ERASE_UPLOAD: Final = f"DELETE FROM images WHERE id = ? AND {_UNADOPTED}"  # noqa: S608
_encode: Final = msgspec.msgpack.encode
_decode: Final = msgspec.msgpack.Decoder(Job).decode


class SqliteJobStore:
    """Jobs in a SQLite file of their own, erased content overwritten; see
    :class:`~mediq.actors.cards.job_store.base.JobStore`.

    A job and its picture change in one statement: triggers erase the picture that a job lets go. `max_bytes` bounds
    the file; beyond it the disk counts as full.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Callable[[], datetime],
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

    async def store_image(self, image: bytes) -> str:
        image_id = await asyncio.to_thread(new_image_id, image)
        expires_at = microseconds(self._clock() + UNADOPTED)
        await self._file.write("INSERT INTO images VALUES (?, ?, ?)", (image_id, expires_at, image))
        return image_id

    async def erase_upload(self, image_id: str) -> None:
        with suppress(Fault):  # no answer depends on it
            await self._file.write(_ERASE_UPLOAD, (image_id,))
            await self._file.forget_deleted()

    async def create(self, job: Job, image_id: str, key: str | None = None) -> Job:
        row = (
            job.id,
            key,
            job.status,
            job.digest,
            microseconds(job.created_at),
            microseconds(job.expires_at),
            _encode(job),
            image_id,
            microseconds(self._clock()),
        )
        for _ in range(2):
            try:
                if await self._file.write(_ADOPT, row):
                    return job
            except sqlite3.IntegrityError:
                if (first := await self._by_key(key)) is not None:
                    await self.erase_upload(image_id)
                    return first
                # The job in the way may have expired without having been erased yet.
                await self.expire(self._clock())
            else:
                # A repeated message: its first delivery has adopted the picture.
                if (first := await self._by_key(key)) is not None:
                    return first
                if await self._unfinished_with(job.digest):
                    raise card_in_progress()
                raise no_image()
        await self.erase_upload(image_id)
        raise id_taken() if await self.get(job.id) is not None else card_in_progress()

    async def get(self, job_id: str) -> Job | None:
        return await self._one("SELECT job FROM jobs WHERE id = ? AND expires_at > ?", job_id)

    async def image(self, job_id: str) -> bytes | None:
        found = await self._file.rows(
            "SELECT images.image FROM jobs JOIN images ON images.id = jobs.image"
            " WHERE jobs.id = ? AND jobs.expires_at > ?",
            (job_id, microseconds(self._clock())),
        )
        return found[0][0] if found else None

    async def update(self, job: Job, *, delete_image: bool = False, expect: str | None = None) -> Job:
        try:
            written = await self._file.write(
                _UPDATE,
                (
                    job.status,
                    job.digest,
                    microseconds(job.expires_at),
                    _encode(job),
                    delete_image,
                    job.id,
                    microseconds(self._clock()),
                    expect,
                ),
            )
        except sqlite3.IntegrityError:
            raise card_in_progress() from None
        if not written:
            raise job_not_found() if await self.get(job.id) is None else job_moved_on()
        if delete_image:
            await self._forget_deleted()
        return job

    async def having(self, *statuses: str) -> list[Job]:
        found = await self._file.rows(
            "SELECT job FROM jobs WHERE status IN (SELECT value FROM json_each(?)) AND expires_at > ?"
            " ORDER BY created_at, rowid",
            (json.dumps(statuses), microseconds(self._clock())),
        )
        return [_decode(job) for (job,) in found]

    async def expire(self, now: datetime) -> int:
        expired = (microseconds(now),)
        jobs = await self._file.write("DELETE FROM jobs WHERE expires_at <= ?", expired)
        images = await self._file.write(_ERASE_EXPIRED_UPLOADS, expired)
        if jobs or images:
            await self._forget_deleted()
        return jobs

    async def _forget_deleted(self) -> None:
        # The write before it is durable and must be reported so; the next call repeats what fails here.
        with suppress(Fault):
            await self._file.forget_deleted()

    async def _by_key(self, key: str | None) -> Job | None:
        return None if key is None else await self._one("SELECT job FROM jobs WHERE key = ? AND expires_at > ?", key)

    async def _unfinished_with(self, digest: str) -> bool:
        query = "SELECT job FROM jobs WHERE digest = ? AND expires_at > ? AND status IN ('PENDING', 'PROCESSING')"
        return await self._one(query, digest) is not None

    async def _one(self, sql: str, value: str) -> Job | None:
        found = await self._file.rows(sql, (value, microseconds(self._clock())))
        return _decode(found[0][0]) if found else None

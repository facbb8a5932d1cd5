"""A full disk: the caller is told, nothing is half written, and the same store goes on when there is room again."""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from mediq.actors.cards.job_store.sqlite import SqliteJobStore
from mediq.actors.queue.event_store.sqlite import SqliteEventLog
from mediq.actors.users.users import UserStore
from mediq.messages.errors import StorageFull
from mediq.stores.database import migrate, open_database
from tests.fixtures.application import ROOT
from tests.fixtures.stores.backends import NOW, Clock, a_job, a_user, create_job, unfinished
from tests.fixtures.stores.full_disk import until_full

SMALL = 256 * 1024


async def test_a_full_disk_refuses_events_and_loses_none(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "queue.db", max_bytes=SMALL)
    await log.open()
    await log.append(0, [b"first"])
    await log.save_snapshot(1, b"state")
    batch = [b"x" * 1000] * 7
    full = await until_full(lambda n: log.append(1 + n * 7, batch))
    last = 1 + full * 7
    assert full > 10
    assert await log.version() == last
    assert [version for version, _ in await log.read()] == list(range(1, last + 1))
    # An old day is trimmed, and the log goes on behind its last version.
    await log.save_snapshot(last, b"state")
    assert await log.trim(last) == last
    assert await log.append(last, batch) == last + 7
    await log.close()


async def test_a_full_disk_refuses_jobs_and_loses_none(tmp_path: Path, clock: Clock) -> None:
    jobs = SqliteJobStore(tmp_path / "ocr.db", clock=clock, max_bytes=SMALL)
    await jobs.open()
    image = b"image" * 2000
    full = await until_full(lambda n: create_job(jobs, a_job(id=f"{n:06}"), image, key=f"upload-{n}"))
    assert full > 10
    assert await unfinished(jobs) == [f"{n:06}" for n in range(full)]
    assert await jobs.get(f"{full:06}") is None
    assert await jobs.expire(clock.pass_(hours=2)) == full
    late = a_job(expires_at=clock.pass_(hours=1), created_at=NOW)
    clock.pass_(minutes=-30)
    assert await create_job(jobs, late, image, key=f"upload-{full}") == late
    assert await jobs.image(late.id) == image
    await jobs.close()


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """A migrated database that may not grow beyond `SMALL`."""
    engine = open_database(f"sqlite+aiosqlite:///{tmp_path / 'mediq.db'}")

    @event.listens_for(engine.sync_engine, "connect")
    def bound(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA max_page_count = {SMALL // 4096}")
        cursor.close()

    await migrate(engine)
    yield engine
    await engine.dispose()


async def test_a_full_disk_refuses_users_and_loses_none(small: AsyncEngine) -> None:
    users = UserStore(small)
    full = await until_full(lambda n: users.create(a_user(n, id=f"{n}", alamat="J" * 255), key=f"job-{n}"))
    assert full > 10
    for again in (users.create, users.find_or_create):
        with pytest.raises(StorageFull):
            await again(a_user(full, alamat="J" * 255), key=f"job-{full}")
    assert (await users.page(limit=1))[1] == full
    assert await users.by_nik(a_user(full).nik or "") is None
    for n in range(full // 2):
        await users.delete(f"{n}")
    _, created = await users.find_or_create(a_user(full, alamat="J" * 255), key=f"job-{full}")
    assert created


def namespace() -> list[str]:
    """The command that gives a program mounts of its own, which end with it; empty where that is not allowed."""
    command = ["unshare", "--mount", *(["--map-root-user"] if hasattr(os, "geteuid") and os.geteuid() else [])]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], capture_output=True).returncode:
        return []
    return command


def test_every_store_survives_a_file_system_without_room(tmp_path: Path) -> None:
    if not (command := namespace()):
        pytest.skip("this machine does not let us mount a small disk")
    script = 'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" -m tests.fixtures.stores.full_disk "$1"'
    walked = subprocess.run(
        [*command, "sh", "-c", script, "sh", str(tmp_path), sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert walked.returncode == 0, walked.stderr

"""A program that writes to a store and prints a line for every write that was acknowledged, until it is killed.

`python -m tests.contract.stores.crash_writer log|users|jobs FOLDER`. The users and jobs start at number 0 each time,
with the same keys: what an earlier run was already told must come out the same.
"""

import asyncio
import itertools
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from mediq.messages.audit import Entry
from mediq.stores.database import migrate, open_database
from mediq.stores.eventlog import SqliteEventLog
from mediq.stores.jobs import SqliteJobStore
from mediq.stores.users import UserStore
from tests.contract.stores.conftest import a_job, a_user

IMAGE = bytes(range(256)) * 200


def acknowledge(*words: object) -> None:
    print(*words, flush=True)


async def log(folder: Path) -> None:
    events = SqliteEventLog(folder / "queue.db")
    await events.open()
    version = await events.version()
    for size in itertools.cycle((1, 3, 1, 10)):
        batch = [b"%d/%d after %d" % (n, size, version) for n in range(1, size + 1)]
        version = await events.append(version, batch)
        acknowledge(version)


async def users(folder: Path) -> None:
    engine = open_database(f"sqlite+aiosqlite:///{folder / 'mediq.db'}")
    await migrate(engine)
    store = UserStore(engine)

    async def write(number: int) -> None:
        user = a_user(number)
        act = Entry(at=datetime.now(UTC), action="user.create-from-ocr", subject=user.id)
        user, created = await store.find_or_create(user, key=f"job-{number}", act=act)
        acknowledge(number, user.id, created)

    for first in itertools.count(step=4):
        await asyncio.gather(*(write(number) for number in range(first, first + 4)))


async def jobs(folder: Path) -> None:
    store = SqliteJobStore(folder / "ocr.db")
    await store.open()
    expires = datetime.now(UTC) + timedelta(days=1)
    for number in itertools.count():
        job = a_job(digest=f"card-{number}", expires_at=expires)
        job = await store.create(job, IMAGE, key=f"upload-{number}")
        acknowledge(number, job.id, "PENDING")
        if number % 2:
            await store.update(msgspec.structs.replace(job, status="REGISTERED"), delete_image=True)
            acknowledge(number, job.id, "REGISTERED")


if __name__ == "__main__":
    asyncio.run({"log": log, "users": users, "jobs": jobs}[sys.argv[1]](Path(sys.argv[2])))

"""Fill a small disk with each store, see it say so, make room, and see the same store go on.

Run as a program, in a process of its own: `python -m tests.contract.stores.full_disk FOLDER`, with FOLDER on a disk
of a few megabytes that nobody else uses.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from mediq.messages.errors import StorageFull
from mediq.stores.database import migrate, open_database
from mediq.stores.eventlog import SqliteEventLog
from mediq.stores.jobs import SqliteJobStore
from mediq.stores.users import UserStore
from tests.contract.stores.conftest import NOW, a_job, a_user, unfinished

BALLAST = 600_000


async def until_full(write: Callable[[int], Awaitable[object]]) -> int:
    """Write number 0, 1, 2 ... until the disk is full; how many were acknowledged."""
    for number in range(100_000):
        try:
            await write(number)
        except StorageFull:
            return number
    raise AssertionError("the disk never filled")


async def events(folder: Path, make_room: Callable[[], None]) -> None:
    log = SqliteEventLog(folder / "queue.db")
    await log.open()
    batch = [b"x" * 1000] * 5
    full = await until_full(lambda n: log.append(n * 5, batch))
    assert await log.version() == full * 5
    assert len(await log.read(limit=100_000)) == full * 5
    make_room()
    assert await log.append(full * 5, batch) == full * 5 + 5
    await log.close()


async def jobs(folder: Path, make_room: Callable[[], None]) -> None:
    store = SqliteJobStore(folder / "ocr.db", clock=lambda: NOW)
    await store.open()
    image = b"image" * 4000
    full = await until_full(lambda n: store.create(a_job(id=f"{n:06}"), image, key=f"upload-{n}"))
    assert await unfinished(store) == [f"{n:06}" for n in range(full)]
    assert await store.image(f"{full - 1:06}") == image
    make_room()
    # The refused upload comes again with its key, and is no repetition.
    again = await store.create(a_job(id="again"), image, key=f"upload-{full}")
    assert again.id == "again"
    await store.close()


async def users(folder: Path, make_room: Callable[[], None]) -> None:
    engine = open_database(f"sqlite+aiosqlite:///{folder / 'mediq.db'}")
    await migrate(engine)
    store = UserStore(engine)
    long = {"alamat": "J" * 255, "agama": "A" * 255, "pekerjaan": "P" * 255, "nama": "N" * 255}
    full = await until_full(lambda n: store.create(a_user(n, **long), key=f"job-{n}"))
    assert (await store.page(limit=1))[1] == full
    make_room()
    assert (await store.find_or_create(a_user(full, **long), key=f"job-{full}"))[1]
    assert (await store.page(limit=1))[1] == full + 1
    await engine.dispose()


async def walk(folder: Path) -> None:
    for store in (events, jobs, users):
        own = folder / store.__name__
        own.mkdir()
        ballast = own / "ballast"
        ballast.write_bytes(os.urandom(BALLAST))
        await store(own, ballast.unlink)
        for left in own.iterdir():
            left.unlink()


if __name__ == "__main__":
    asyncio.run(walk(Path(sys.argv[1])))

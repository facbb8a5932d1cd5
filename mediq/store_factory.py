"""Which stores a process's roles own, and where: on servers where the settings name them, else in the data folder."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from mediq.actors.cards.job_store.base import JobStore
from mediq.actors.cards.job_store.sqlite import SqliteJobStore
from mediq.actors.queue.event_store.base import EventLog
from mediq.actors.queue.event_store.sqlite import SqliteEventLog
from mediq.config import Settings
from mediq.messages.errors import Unavailable
from mediq.runtime.supervisor import Child
from mediq.startup_errors import reached
from mediq.stores.database import migrate, open_database, ping


def database_url(settings: Settings) -> str:
    """The address of the users' database: the server's, or the file in the data folder."""
    return settings.servers.database_url or f"sqlite+aiosqlite:///{settings.folder / 'users.db'}"


@contextmanager
def accepted(setting: str) -> Iterator[None]:
    """Say which `setting` names the database server that refuses, such as a password; without one, errors pass."""
    try:
        yield
    except DBAPIError as error:
        if not setting or error.orig is None:
            raise
        raise Unavailable(f"The server that {setting} names refuses: {error.orig.args[-1]}") from error


class Stores(Child):
    """The stores of one process, as the first of its children. A store that no role needs is not there."""

    engine: AsyncEngine
    event_log: EventLog
    jobs: JobStore

    def __init__(self, settings: Settings, roles: Collection[str], *, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._roles = roles
        self._stopped = asyncio.Event()
        redis = settings.servers.redis_url
        if "user" in roles:
            self.engine = open_database(database_url(settings))
        if "queue" in roles:
            self.event_log = _event_log_at(redis) if redis else SqliteEventLog(settings.folder / "queue.db")
        self._has_jobs = not {"ocr", "gateway"}.isdisjoint(roles)  # the gateway stores the pictures
        if self._has_jobs:
            self.jobs = _jobs_at(redis, clock) if redis else SqliteJobStore(settings.folder / "cards.db", clock=clock)

    async def start(self) -> None:
        """Open them, and bring the database up to date."""
        try:
            servers = self._settings.servers
            if "user" in self._roles:
                setting = "DATABASE_URL" if servers.database_url else ""
                with reached(setting), accepted(setting):
                    await migrate(self.engine)
            with reached("REDIS_URL" if servers.redis_url else ""):
                if "queue" in self._roles:
                    await self.event_log.open()
                if self._has_jobs:
                    await self.jobs.open()
        except BaseException:
            await self._close()
            raise

    async def run(self) -> None:
        try:
            await self._stopped.wait()
        finally:
            await self._close()

    async def stop(self) -> None:
        self._stopped.set()

    def questions(self) -> dict[str, Callable[[], Awaitable[object]]]:
        """By name, what to await to learn whether a store answers."""
        found: dict[str, Callable[[], Awaitable[object]]] = {}
        if "user" in self._roles:
            found["database"] = partial(ping, self.engine)
        if "queue" in self._roles:
            found["event-log"] = self.event_log.ping
        if self._has_jobs:
            found["jobs"] = self.jobs.ping
        return found

    async def _close(self) -> None:
        if self._has_jobs:
            await self.jobs.close()
        if "queue" in self._roles:
            await self.event_log.close()
        if "user" in self._roles:
            await self.engine.dispose()


def _event_log_at(url: str) -> EventLog:
    """The queue's log on a Redis server, whose client takes a tenth of a start to import: only where one is named."""
    from mediq.actors.queue.event_store.redis import RedisEventLog

    return RedisEventLog(url)


def _jobs_at(url: str, clock: Callable[[], datetime]) -> JobStore:
    """The card jobs on a Redis server; imported as its event log."""
    from mediq.actors.cards.job_store.redis import RedisJobStore

    return RedisJobStore(url, clock=clock)

"""Opens the stores that a process's roles need: on the servers that the settings name, else in the data folder."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncEngine

from mediq.actors.cards.job_store.base import JobStore
from mediq.actors.cards.job_store.sqlite import SqliteJobStore
from mediq.actors.queue.event_store.base import EventLog
from mediq.actors.queue.event_store.sqlite import SqliteEventLog
from mediq.config import Settings
from mediq.runtime.supervisor import Child
from mediq.startup_errors import explain_refused, explain_unavailable
from mediq.stores.database import migrate, open_database, ping


def database_url(settings: Settings) -> str:
    """SQLAlchemy's address of the users' database: the server's, or that of `users.db` in the data folder."""
    return settings.servers.database_url or f"sqlite+aiosqlite:///{settings.folder / 'users.db'}"


class Stores(Child):
    """The stores of one process, as its first supervised child.

    The attribute of a store that no role of the process needs is not set: `engine` belongs to the role `user`,
    `event_log` to `queue`, `jobs` to `ocr` and to `gateway`, which stores the pictures of cards.
    """

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
        """Open the stores, and migrate the database to the present schema.

        Raises:
            Unavailable: a server does not answer or refuses; the message names the setting.
        """
        try:
            servers = self._settings.servers
            if "user" in self._roles:
                setting = "DATABASE_URL" if servers.database_url else ""
                with explain_unavailable(setting), explain_refused(setting):
                    await migrate(self.engine)
            with explain_unavailable("REDIS_URL" if servers.redis_url else ""):
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
        """By store name, a function whose call raises if the store does not answer."""
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
    """The event log on a Redis server. The import is here, since Redis' client takes a tenth of a start."""
    from mediq.actors.queue.event_store.redis import RedisEventLog

    return RedisEventLog(url)


def _jobs_at(url: str, clock: Callable[[], datetime]) -> JobStore:
    """The card jobs on a Redis server; imported here for the same reason."""
    from mediq.actors.cards.job_store.redis import RedisJobStore

    return RedisJobStore(url, clock=clock)

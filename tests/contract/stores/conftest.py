"""The back ends that the store contracts run on. A further one is a further parameter here and nothing else."""

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine

from mediq.domain.user import User
from mediq.stores.audit import AuditTrail
from mediq.stores.credentials import CredentialStore
from mediq.stores.database import migrate, open_database, writing
from mediq.stores.eventlog import EventLog, SqliteEventLog
from mediq.stores.jobs import UNFINISHED, Job, JobStore, SqliteJobStore
from mediq.stores.redis_eventlog import RedisEventLog
from mediq.stores.redis_jobs import RedisJobStore
from mediq.stores.sessions import SessionStore
from mediq.stores.setup import SetupStore
from mediq.stores.tables import metadata
from mediq.stores.users import UserStore
from tests.fixtures import servers

NOW = datetime(2026, 3, 2, 8, 30, 15, 123456, tzinfo=UTC)


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@contextmanager
def cut_off(server: servers.Server) -> Iterator[None]:
    """A server of the test's own that answers nothing and closes nothing while the block takes."""
    server.freeze()
    try:
        for process in server._processes:
            # The signal is on its way when it has been sent; until it has come, the server goes on answering.
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        yield
    finally:
        server.thaw()


# --- the SQL database ---


@pytest.fixture(params=["sqlite", "mysql"])
def sql_server(request: pytest.FixtureRequest) -> str:
    """Which kind of database: `sqlite` or `mysql`."""
    return str(request.param)


@pytest.fixture(scope="session")
def mysql_database(mariadb: servers.MariaDB) -> str:
    """One database for the session: to create its tables takes MariaDB longer than most tests."""
    return mariadb.url()


@pytest.fixture
def database_url(sql_server: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database that is empty when `engine` has opened it."""
    if sql_server == "mysql":
        return str(request.getfixturevalue("mysql_database"))
    return f"sqlite+aiosqlite:///{tmp_path / 'mediq.db'}"


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_database(database_url)
    await migrate(engine)
    async with writing(engine) as connection:
        for table in reversed(metadata.sorted_tables):
            await connection.execute(delete(table))
    yield engine
    await engine.dispose()


@pytest.fixture
async def other_engine(engine: AsyncEngine, database_url: str) -> AsyncIterator[AsyncEngine]:
    """A second engine on the same database, as another process would have."""
    other = open_database(database_url)
    yield other
    await other.dispose()


@pytest.fixture
def users(engine: AsyncEngine, clock: Clock) -> UserStore:
    return UserStore(engine, clock=clock)


@pytest.fixture
def credentials(engine: AsyncEngine, clock: Clock) -> CredentialStore:
    return CredentialStore(engine, clock=clock)


@pytest.fixture
def sessions(engine: AsyncEngine) -> SessionStore:
    return SessionStore(engine)


@pytest.fixture
def setup_store(engine: AsyncEngine) -> SetupStore:
    return SetupStore(engine)


@pytest.fixture
def trail(engine: AsyncEngine) -> AuditTrail:
    return AuditTrail(engine)


def a_user(number: int = 0, **fields: Any) -> User:
    """A patient whose NIK ends in `number`."""
    known: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "nik": f"317301{number:010}",
        "nama": f"PASIEN {number}",
        "role": "PASIEN",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return User(**known | fields)


def an_admin(email: str = "kepala@klinik.example", **fields: Any) -> User:
    known: dict[str, Any] = {"nik": None, "nama": "KEPALA", "email": email, "role": "ADMIN_FASKES"}
    return a_user(**known | fields)


# --- the event log ---

OpenLog = Callable[[], Awaitable[EventLog]]


def log_at(where: str) -> EventLog:
    """The log in a file, or on the Redis server with this address."""
    return RedisEventLog(where) if where.startswith("redis:") else SqliteEventLog(where)


@pytest.fixture(params=["sqlite", "redis"])
def log_place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the test's one log is."""
    if request.param == "redis":
        server: servers.Redis = request.getfixturevalue("redis_server")
        return server.url()
    return str(tmp_path / "queue.db")


@pytest.fixture
async def open_log(log_place: str) -> AsyncIterator[OpenLog]:
    """Open the test's one log, each time as another process would."""
    async with AsyncExitStack() as stack:

        async def opened() -> EventLog:
            log = log_at(log_place)
            await log.open()
            stack.push_async_callback(log.close)
            return log

        yield opened


@pytest.fixture
async def log(open_log: OpenLog) -> EventLog:
    return await open_log()


# --- OCR jobs ---

OpenJobs = Callable[[], Awaitable[JobStore]]


@pytest.fixture(params=["sqlite", "redis"])
def jobs_place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the test's one job store is."""
    if request.param == "redis":
        server: servers.Redis = request.getfixturevalue("redis_server")
        return server.url()
    return str(tmp_path / "ocr.db")


@pytest.fixture
async def open_jobs(jobs_place: str, clock: Clock) -> AsyncIterator[OpenJobs]:
    """Open the test's one job store, each time as another process would."""
    async with AsyncExitStack() as stack:

        async def opened() -> JobStore:
            jobs: JobStore
            if jobs_place.startswith("redis:"):
                jobs = RedisJobStore(jobs_place, clock=clock)
            else:
                jobs = SqliteJobStore(jobs_place, clock=clock)
            await jobs.open()
            stack.push_async_callback(jobs.close)
            return jobs

        yield opened


@pytest.fixture
async def jobs(open_jobs: OpenJobs) -> JobStore:
    return await open_jobs()


def a_job(**fields: Any) -> Job:
    known: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "status": "PENDING",
        "created_at": NOW,
        "updated_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
        "digest": uuid.uuid4().hex,
    }
    return Job(**known | fields)


async def unfinished(jobs: JobStore) -> list[str]:
    """The ids of the jobs that the reader still has to work on, oldest first."""
    return [job.id for job in await jobs.having(*UNFINISHED)]

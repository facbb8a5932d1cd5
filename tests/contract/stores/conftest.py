"""The back ends that the store contracts run on. A further one is a further parameter here and nothing else."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from mediq.domain.user import User
from mediq.stores.audit import AuditTrail
from mediq.stores.database import migrate, open_database
from mediq.stores.eventlog import EventLog, SqliteEventLog
from mediq.stores.jobs import Job, JobStore, SqliteJobStore
from mediq.stores.sessions import SessionStore
from mediq.stores.setup import SetupStore
from mediq.stores.users import UserStore

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


# --- the SQL database ---


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of this test's own."""
    assert request.param == "sqlite"
    return f"sqlite+aiosqlite:///{tmp_path / 'mediq.db'}"


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_database(database_url)
    await migrate(engine)
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


@pytest.fixture(params=["sqlite"])
async def open_log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenLog]:
    """Open the test's one log, each time as another process would."""
    assert request.param == "sqlite"
    async with AsyncExitStack() as stack:

        async def opened() -> EventLog:
            log = SqliteEventLog(tmp_path / "queue.db")
            await log.open()
            stack.push_async_callback(log.close)
            return log

        yield opened


@pytest.fixture
async def log(open_log: OpenLog) -> EventLog:
    return await open_log()


# --- OCR jobs ---

OpenJobs = Callable[[], Awaitable[JobStore]]


@pytest.fixture(params=["sqlite"])
async def open_jobs(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[OpenJobs]:
    """Open the test's one job store, each time as another process would."""
    assert request.param == "sqlite"
    async with AsyncExitStack() as stack:

        async def opened() -> JobStore:
            jobs = SqliteJobStore(tmp_path / "ocr.db", clock=clock)
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

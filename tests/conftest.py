"""What every test may ask for: a running application with people at its desk, and the private servers."""

from collections.abc import AsyncIterator, Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.fixtures.application import Application, latest_log, made_with_admin, running
from tests.fixtures.client import Client, client_at
from tests.fixtures.servers import mariadb, mysql_url, rabbitmq, rabbitmq_url, redis_server, redis_url

__all__ = [
    "admin",
    "application",
    "desk",
    "mariadb",
    "mysql_url",
    "rabbitmq",
    "rabbitmq_url",
    "redis_server",
    "redis_url",
]

# How long an example takes says how busy the machine is, and nothing else; each test has a time limit of its own.
settings.register_profile("busy machines", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machines")


class _Together(LoadScopeScheduling):
    """Shares the tests out among processes by file; those of a folder that share an application stay together, in order."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        folder = next((folder for folder in ("tests/browser/", "tests/http/") if file.startswith(folder)), None)
        return folder or file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Together:
    return _Together(config, log)


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """An application with an administrator, shared by the whole session: bring your own patients and tickets."""
    base = tmp_path_factory.mktemp("application")
    made_with_admin(base)
    with running(base) as application:
        yield application
        assert application.stop() == 0, application.log


@pytest.fixture
async def client(application: Application) -> AsyncIterator[Client]:
    """Someone who has not signed in."""
    async with client_at(application) as client:
        await client.ready()
        yield client


@pytest.fixture
async def admin(client: Client) -> Client:
    """The shared application's administrator, signed in anew."""
    return await client.sign_in()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the applications last said when a test fails."""
    report = yield
    if report.failed and (log := latest_log()):
        report.sections.append(("the applications' last log lines", log))
    return report

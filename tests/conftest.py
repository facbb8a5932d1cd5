"""What every test may ask for: a running house with people at its desk, and the private servers."""

from collections.abc import AsyncIterator, Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.fixtures.desk import Desk, desk_at
from tests.fixtures.house import House, latest_log, made_with_admin, running
from tests.fixtures.servers import mariadb, mysql_url, rabbitmq, rabbitmq_url, redis_server, redis_url

__all__ = ["admin", "desk", "house", "mariadb", "mysql_url", "rabbitmq", "rabbitmq_url", "redis_server", "redis_url"]

# How long an example takes says how busy the machine is, and nothing else; each test has a time limit of its own.
settings.register_profile("busy machines", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machines")


class _Together(LoadScopeScheduling):
    """Shares the tests out among processes by file; those of a folder that share a house stay together, in order."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        folder = next((folder for folder in ("tests/browser/", "tests/http/") if file.startswith(folder)), None)
        return folder or file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Together:
    return _Together(config, log)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with an administrator, shared by the whole session: bring your own patients and tickets."""
    base = tmp_path_factory.mktemp("house")
    made_with_admin(base)
    with running(base) as house:
        yield house
        assert house.stop() == 0, house.log


@pytest.fixture
async def desk(house: House) -> AsyncIterator[Desk]:
    """Someone who has not signed in."""
    async with desk_at(house) as desk:
        await desk.ready()
        yield desk


@pytest.fixture
async def admin(desk: Desk) -> Desk:
    """The shared house's administrator, signed in anew."""
    return await desk.sign_in()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the houses last said when a test fails."""
    report = yield
    if report.failed and (log := latest_log()):
        report.sections.append(("the houses' last log lines", log))
    return report

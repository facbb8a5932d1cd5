"""Load on real processes: a thousand patients at once get different numbers, and twenty counters different patients.

With one process on SQLite, with one on Redis, and with two queue processes that share a log on Redis.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import pytest

from tests.fixtures.application import ADMIN, GENEROUS, Application, made_with_admin, mediq, running
from tests.fixtures.client import Client, client_at
from tests.fixtures.patients import register_all
from tests.fixtures.split import Servers, splitting

PATIENTS = 1000
CALLED = 100
COUNTERS = [str(number) for number in range(11, 31)]
SETTINGS = (
    GENEROUS
    + "[bus]\ntimeout_ms = 60000\n"  # on a busy machine the answers may be slow
    + "".join(f'[[clinic.counters]]\nid = "{counter}"\nname = "Loket {counter}"\n' for counter in COUNTERS)
)

ONE_PROCESS_ON_SQLITE = "one process on SQLite"
ONE_PROCESS_ON_REDIS = "one process on Redis"
TWO_QUEUE_PROCESSES = "two queue processes on Redis"


class Clinic(NamedTuple):
    """An application with an administrator and the counters `COUNTERS`: its gateway and the ids of its patients."""

    gateway: Application
    patients: list[str]


@pytest.fixture(scope="module", params=[ONE_PROCESS_ON_SQLITE, ONE_PROCESS_ON_REDIS, TWO_QUEUE_PROCESSES])
def clinic(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    base = tmp_path_factory.mktemp("load")
    if request.param == TWO_QUEUE_PROCESSES:
        servers = Servers(*(request.getfixturevalue(name) for name in ("mariadb", "redis_server", "rabbitmq")))
        with _two_queue_processes(base, servers) as clinic:
            yield clinic
    else:
        on_redis = request.param == ONE_PROCESS_ON_REDIS
        redis = {"REDIS_URL": request.getfixturevalue("redis_server").url()} if on_redis else {}
        folder = made_with_admin(base)
        patients = asyncio.run(register_all(f"sqlite+aiosqlite:///{folder / 'users.db'}", PATIENTS))
        with running(base, SETTINGS, redis) as application:
            yield Clinic(application, patients)
            assert application.stop() == 0, application.log


@contextmanager
def _two_queue_processes(base: Path, servers: Servers) -> Iterator[Clinic]:
    command = ("admin", "create", ADMIN[0], "--password-stdin")
    made = mediq(*command, folder=base / "data", stdin=ADMIN[1], environ=servers.environ)
    assert made.returncode == 0, made.stderr
    patients = asyncio.run(register_all(servers.database_url, PATIENTS))
    with splitting(base, servers, {"gateway": 1, "user": 1, "queue": 2}, SETTINGS) as split:
        yield Clinic(split.gateways[0], patients)
        for process in split.processes["queue"]:
            with urlopen(f"{process.address}/metrics") as metrics:
                assert 'pattern="queue.add-patient"' in metrics.read().decode(), (
                    "each queue process has handled commands"
                )
        assert set(split.stop().values()) == {0}, split.log


@pytest.fixture
async def staff(clinic: Clinic) -> AsyncIterator[Client]:
    async with client_at(clinic.gateway) as client:
        await client.ready()
        yield await client.sign_in()


async def test_a_thousand_patients_at_once_get_a_thousand_numbers(staff: Client, clinic: Clinic) -> None:
    tickets = await asyncio.gather(*(staff.queue(patient, service="gigi") for patient in clinic.patients))
    numbers = [f"B-{number:03}" for number in range(1, PATIENTS + 1)]
    assert sorted(ticket["number"] for ticket in tickets) == sorted(numbers), "the numbers have no gap and no repeat"
    assert await _listed(staff, service="gigi") == {ticket["id"]: ticket["number"] for ticket in tickets}


async def test_twenty_counters_at_once_call_twenty_different_patients(staff: Client, clinic: Clinic) -> None:
    issued = await asyncio.gather(*(staff.queue(patient, service="umum") for patient in clinic.patients[:CALLED]))
    assert sorted(ticket["number"] for ticket in issued) == [f"A-{number:03}" for number in range(1, CALLED + 1)]
    waiting = {ticket["id"] for ticket in issued}
    while waiting:
        answers = await asyncio.gather(
            *(staff.patch("/queue/call-next", {"counter": counter, "service": "umum"}) for counter in COUNTERS)
        )
        assert {answer.status for answer in answers} == {200}, answers
        assert [answer.body["counter"] for answer in answers] == COUNTERS
        called = {answer.body["id"] for answer in answers}
        assert len(called) == len(COUNTERS), "each counter has a patient of its own"
        assert called <= waiting, "each patient is called once"
        waiting -= called
        done = await asyncio.gather(*(staff.patch(f"/queue/{ticket}/complete") for ticket in called))
        assert {answer.status for answer in done} == {200}, done
    refused = await staff.patch("/queue/call-next", {"counter": COUNTERS[0], "service": "umum"})
    assert (refused.status, refused.problem) == (404, "nobody-waiting")


async def _listed(staff: Client, **filters: Any) -> dict[str, str]:
    """The number of each ticket in the list, from all its pages."""
    found: dict[str, str] = {}
    pages = page = 1
    while page <= pages:
        answer = await staff.get("/queue", params={**filters, "page": page, "limit": 100})
        assert answer.status == 200, answer
        found |= {ticket["id"]: ticket["number"] for ticket in answer.body["data"]}
        page, pages = page + 1, answer.body["pagination"]["pages"]
    return found

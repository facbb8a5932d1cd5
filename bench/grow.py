"""The cost as the work grows: connections, event streams, processes of a role. Events: see bench/queue.py."""

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from bench import boards
from bench.gateway import BARE, GUARDED, RunningApplication, the_application
from bench.measure import Load, serving, show, take_turns, wrk
from bench.work import JSON
from tests.fixtures.application import ADMIN, GENEROUS, mediq
from tests.fixtures.client import client_at
from tests.fixtures.ports import free_port
from tests.fixtures.servers import MariaDB, RabbitMQ, Redis
from tests.fixtures.split import Servers, splitting

CONNECTIONS = (1, 4, 16, 64, 256)
STREAMS = (10, 100, 1000, 5000)
USER_PROCESSES = (1, 2, 3, 4)


def connections(rounds: int = 3, seconds: float = 2) -> None:
    """The path through one process, over a growing number of connections."""
    with ExitStack() as stack:
        bare = stack.enter_context(serving("bench/gateway.py", "--serve", "bare", str(free_port())))
        application, bearer, _ = stack.enter_context(the_application())
        guarded: dict[str, Any] = JSON | {"headers": JSON["headers"] | bearer}
        tails: dict[int, list[float]] = {}

        def rate(url: str, how: dict[str, Any], width: int) -> float:
            load: Load = wrk(url, seconds, connections=width, **how)
            if how is guarded:
                tails.setdefault(width, []).append(load.tail)
            return load.rate

        for width in CONNECTIONS:
            sides: dict[str, Callable[[], float]] = {
                BARE: partial(rate, f"{bare.address}/open", JSON, width),
                GUARDED: partial(rate, f"{application.address}/guarded", guarded, width),
            }
            show(f"HTTP, {width} connections", "requests/s", take_turns(sides, rounds))
            print(f"  of mediq's requests 99 of 100 took at most {max(tails[width]):.1f} ms")


def streams(rounds: int = 5) -> None:
    """One event to a growing number of boards."""
    for count in STREAMS:
        boards.run(count, rounds)


def user_processes(rounds: int = 3, seconds: float = 3) -> None:
    """A patient's own record over RabbitMQ, from one to four user processes on one database."""
    mariadb, redis, rabbitmq = MariaDB(), Redis(), RabbitMQ()
    try:
        for server in (mariadb, redis, rabbitmq):
            server.start()
        found: dict[str, list[float]] = {}
        for count in USER_PROCESSES:
            with tempfile.TemporaryDirectory() as base:
                servers = Servers(mariadb, redis, rabbitmq)
                command = ("admin", "create", ADMIN[0], "--password-stdin")
                mediq(*command, folder=Path(base) / "data", stdin=ADMIN[1], environ=servers.environ).check_returncode()
                with splitting(Path(base), servers, {"gateway": 1, "user": count}, GENEROUS) as split:
                    port = split.gateways[0].port
                    url, headers = f"http://127.0.0.1:{port}/users/profile", asyncio.run(_bearer(port))
                    wrk(url, 1, headers=headers)  # warm
                    name = f"{count} user process{'es' * (count > 1)}"
                    found[name] = [wrk(url, seconds, headers=headers).rate for _ in range(rounds)]
        show("GET /users/profile over RabbitMQ and MariaDB (wrk, 64 connections)", "requests/s", found)
    finally:
        for server in (mariadb, redis, rabbitmq):
            server.close()


async def _bearer(port: int) -> dict[str, str]:
    async with client_at(RunningApplication(port)) as client:
        return (await client.sign_in()).bearer

"""The cost of a request over HTTP: HTTP → actor in the same process → HTTP, JSON in and out.

    python bench/gateway.py [--seconds 4] [--rounds 5] [--connections 64]

The references are a bare aiohttp handler on uvloop, the same handler with a mailbox written by hand behind it (a queue,
a worker, a future), and NestJS where npm can install it. All do the same work (bench/work.py) and take turns. The
application runs with all its roles. `open` includes validation, deadline, request id, metrics and access log; `guarded`
adds a signed-in caller and rate limits. The last lines are routes of the application itself.
"""

import sys
from pathlib import Path

sys.path.pop(0)  # this folder: its queue.py would shadow the standard library's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import msgspec
import uvloop
from aiohttp import web

from bench import nest
from bench.measure import CONNECTIONS, Served, costing, machine, serving, show, take_turns, wrk
from bench.work import JSON, PREFETCH, Ask, View, answer
from tests.fixtures.application import HANG, Application, made_with_admin
from tests.fixtures.client import Client, client_at
from tests.fixtures.patients import register_all
from tests.fixtures.ports import free_port

BARE, BY_HAND = "bare aiohttp handler on uvloop", "with a mailbox by hand"
OPEN, GUARDED = "mediq, open", "mediq, guarded"
GOALS = {OPEN: "≥ 0.5", GUARDED: "≥ 0.35"}

_decode = msgspec.json.Decoder(Ask).decode
_encode = msgspec.json.Encoder().encode


async def bare(request: web.Request) -> web.Response:
    return web.Response(body=_encode(answer(_decode(await request.read()))), content_type="application/json")


class Mailbox:
    """The smallest possible actor: a queue, workers, and a future for each answer."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[tuple[Ask, asyncio.Future[View]]] = asyncio.Queue()

    async def work(self) -> None:
        while True:
            message, reply = await self.waiting.get()
            if not reply.done():
                reply.set_result(answer(message))

    async def ask(self, message: Ask) -> View:
        reply: asyncio.Future[View] = asyncio.get_running_loop().create_future()
        self.waiting.put_nowait((message, reply))
        return await reply


async def serve_by_hand(kind: str, port: int) -> None:
    mailbox = Mailbox()

    async def by_mailbox(request: web.Request) -> web.Response:
        return web.Response(
            body=_encode(await mailbox.ask(_decode(await request.read()))), content_type="application/json"
        )

    app = web.Application()
    app.router.add_post("/open", bare if kind == "bare" else by_mailbox)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    workers = [asyncio.create_task(mailbox.work()) for _ in range(PREFETCH // 2)]
    print(f"ready {port}", flush=True)
    await asyncio.gather(*workers)


class RunningApplication(Application):
    """An application that another process started; the fixtures' client finds it by its port."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"


@contextmanager
def the_application() -> Iterator[tuple[Served, dict[str, str], str]]:
    """A running application, the headers of its administrator, and a waiting patient."""
    with tempfile.TemporaryDirectory() as base:
        folder = made_with_admin(Path(base))
        [patient] = asyncio.run(register_all(f"sqlite+aiosqlite:///{folder / 'users.db'}", 1))
        with serving(
            "bench/application.py", "--port", str(free_port()), env={"MEDIQ_DATA": str(folder)}
        ) as application:
            yield application, *asyncio.run(_signed_in(application, patient))


async def _signed_in(application: Served, patient: str) -> tuple[dict[str, str], str]:
    async with client_at(RunningApplication(int(application.said))) as client:
        await client.ready()
        async with asyncio.timeout(HANG):
            while (await client.get("/health")).body["status"] != "up":
                pass  # the card reader loads its networks
        admin: Client = await client.sign_in()
        await admin.queue(patient, service="umum")
        return admin.bearer, patient


def run(rounds: int = 5, seconds: float = 4, connections: int = CONNECTIONS) -> None:
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(serving("bench/gateway.py", "--serve", kind, str(free_port())))
            for name, kind in ((BARE, "bare"), (BY_HAND, "mailbox"))
        }
        if nest.installed():
            for adapter in nest.ADAPTERS:
                servers[f"NestJS on {adapter}"] = stack.enter_context(nest.alone(adapter))
        application, bearer, patient = stack.enter_context(the_application())
        guarded: dict[str, Any] = JSON | {"headers": JSON["headers"] | bearer}
        add = guarded | {"body": msgspec.json.encode({"user_id": patient, "service": "umum"})}
        asked: dict[str, tuple[str, dict[str, Any]]] = {
            **{name: (f"{served.address}/open", JSON) for name, served in servers.items()},
            OPEN: (f"{application.address}/open", JSON),
            GUARDED: (f"{application.address}/guarded", guarded),
            "— GET /, nobody signed in": (f"{application.address}/", {}),
            "— GET /queue/status, signed in": (f"{application.address}/queue/status/{patient}", {"headers": bearer}),
            "— POST /queue/add, once more": (f"{application.address}/queue/add", add),
        }
        for url, how in asked.values():
            wrk(url, 1, connections=connections, **how)  # warm
        costs: dict[str, list[float]] = {name: [] for name in asked}

        def one(name: str) -> float:
            url, how = asked[name]
            pid = servers[name].pid if name in servers else application.pid
            load, spent = costing(pid, lambda: wrk(url, seconds, connections=connections, **how))
            costs[name].append(1e6 * spent / load.requests)
            return load.rate

        found = take_turns({name: partial(one, name) for name in asked}, rounds)
    title = f"HTTP → actor in the same process → HTTP, JSON in and out (wrk, {connections} connections)"
    show(title, "requests/s", found, goals=GOALS)
    show("The same, as CPU of the process that serves", "µs a request", costs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--serve", nargs=2, metavar=("KIND", "PORT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        kind, port = given.serve
        uvloop.run(serve_by_hand(kind, int(port)))
        return
    print(machine())
    run(given.rounds, given.seconds, given.connections)


if __name__ == "__main__":
    main()

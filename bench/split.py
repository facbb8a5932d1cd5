"""The cost of a request that goes over the broker: HTTP → RabbitMQ → actor → RabbitMQ → HTTP.

    python bench/split.py [--seconds 4] [--rounds 3] [--connections 64]

Each side is two processes, a gateway and a service, on one private broker. Queues are durable quorum queues; publishes
are confirmed and persistent. The application's gateway runs with everything on except authentication. The references
are an aiohttp handler that asks by hand with aio-pika (see bench/broker.py), and NestJS with its RabbitMQ transport
where npm can install it. Gateway, service and broker share the cores, so compare the CPU of a request rather than
requests a second.
"""

import sys
from pathlib import Path

sys.path.pop(0)  # this folder: its queue.py would shadow the standard library's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

import msgspec
import uvloop
from aiohttp import web

from bench import nest
from bench.broker import ByHand
from bench.measure import CONNECTIONS, Load, Served, cpu, machine, serving, show, take_turns, wrk
from bench.work import JSON, Ask
from tests.fixtures.ports import free_port
from tests.fixtures.servers import RabbitMQ, Redis

BY_HAND, OURS = "aio-pika by hand", "mediq"


async def serve_by_hand(port: int, url: str) -> None:
    side = ByHand(url)
    await side.connect()
    decode, encode = msgspec.json.Decoder(Ask).decode, msgspec.json.Encoder().encode

    async def handle(request: web.Request) -> web.Response:
        view = await side.ask(decode(await request.read()))
        return web.Response(body=encode(view), content_type="application/json")

    app = web.Application()
    app.router.add_post("/open", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(f"ready {port}", flush=True)
    await asyncio.Event().wait()


class Side(NamedTuple):
    """A gateway and the answering process behind it."""

    gateway: Served
    service: Served

    def load(self, seconds: float, connections: int) -> Load:
        return wrk(f"{self.gateway.address}/open", seconds, connections=connections, **JSON)


@contextmanager
def sides(broker: RabbitMQ) -> Iterator[dict[str, Side]]:
    """Every gateway with its own answering process."""
    with ExitStack() as stack:
        url = broker.url()
        service = stack.enter_context(serving("bench/broker.py", "--serve", "by-hand", url))
        gateway = stack.enter_context(serving("bench/split.py", "--serve", str(free_port()), url))
        found = {BY_HAND: Side(gateway, service)}
        url = broker.url()
        service = stack.enter_context(serving("bench/broker.py", "--serve", "ours", url))
        redis = Redis()  # a gateway of the split application needs one; the route of the bench does not use it
        stack.callback(redis.close)
        redis.start()
        environ = {
            "RABBITMQ_URL": url,
            "REDIS_URL": redis.url(),
            "JWT_SECRET": secrets.token_urlsafe(48),
            "JWT_REFRESH_SECRET": secrets.token_urlsafe(48),
        }
        command = ("bench/application.py", "--role", "gateway", "--port", str(free_port()))
        found[OURS] = Side(stack.enter_context(serving(*command, env=environ)), service)
        if nest.installed():
            url = broker.url()
            service = stack.enter_context(nest.service(url))
            for adapter in nest.ADAPTERS:
                found[f"NestJS on {adapter}"] = Side(stack.enter_context(nest.gateway(adapter, url)), service)
        yield found


def run(rounds: int = 3, seconds: float = 4, connections: int = CONNECTIONS) -> None:
    broker = RabbitMQ()
    try:
        broker.start()
        broker_pid = int((broker.folder / "pid").read_text())
        with sides(broker) as found:
            for side in found.values():
                side.load(1, connections)  # warm
            own: dict[str, list[float]] = {name: [] for name in found}
            brokers: dict[str, list[float]] = {name: [] for name in found}

            def rate(name: str) -> float:
                gateway, service = found[name]
                pids = (gateway.pid, service.pid, broker_pid)
                before = [cpu(pid) for pid in pids]
                load = found[name].load(seconds, connections)
                spent = [1e6 * (cpu(pid) - was) / load.requests for pid, was in zip(pids, before, strict=True)]
                own[name].append(sum(spent[:2]))
                brokers[name].append(spent[2])
                return load.rate

            many: dict[str, Callable[[], float]] = {name: partial(rate, name) for name in found}
            alone: dict[str, Callable[[], float]] = {
                name: partial(_half, side, seconds) for name, side in found.items()
            }
            title = f"HTTP → RabbitMQ → actor → HTTP, durable and confirmed (wrk, {connections} connections)"
            show(title, "requests/s", take_turns(many, rounds), goals={OURS: "≥ 5"})
            show("The same, as CPU of gateway and service", "µs a request", own, goals={OURS: "≤ 0.2"})
            show("The same, as CPU of the broker", "µs a request", brokers)
            show("The same, one request at a time", "p50, ms", take_turns(alone, rounds), goals={OURS: "≤ 1.3"})
    finally:
        broker.close()


def _half(side: Side, seconds: float) -> float:
    return side.load(seconds, connections=1).half


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--serve", nargs=2, metavar=("PORT", "URL"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        port, url = given.serve
        uvloop.run(serve_by_hand(int(port), url))
        return
    print(machine())
    run(given.rounds, given.seconds, given.connections)


if __name__ == "__main__":
    main()

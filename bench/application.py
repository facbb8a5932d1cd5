"""An application for benches: the real one, plus one actor with two routes to it.

`POST /guarded` is served like every route of the table; `POST /open` needs no sign-in and has no rate limit.
"""

import sys
from pathlib import Path

sys.path.pop(0)  # this folder: its queue.py would shadow the standard library's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import asyncio
import copy
import tempfile
from contextlib import suppress
from typing import Any

import uvloop
from aiohttp import web

from bench.work import MAILBOXES, Ask, BenchActor
from mediq import config
from mediq.app import Application
from mediq.config import Settings
from mediq.http.gateway import Gateway
from mediq.http.rate_limits import RateLimiter
from mediq.http.routes import STAFF, Body, Route
from mediq.observability import logging
from mediq.process_roles import parse_roles
from mediq.runtime import garbage_collection as collector
from mediq.runtime.cell import ActorCell
from mediq.runtime.context import headers_now
from mediq.runtime.supervisor import Child, ChildSpec, Supervisor
from tests.fixtures.application import CLINIC, GENEROUS


class Uncounted(RateLimiter):
    async def count(self, *_: Any) -> None:
        """Nothing is counted: any number of calls passes."""


class BenchApplication(Application):
    """The application with the bench's routes; `actor` says whether the bench's actor runs in this process too."""

    def __init__(self, settings: Settings, roles: frozenset[str], *, actor: bool) -> None:
        super().__init__(settings, roles)
        self._mailboxes |= MAILBOXES
        self._with_actor = actor

    def _make_actors(self) -> Child:
        specs = [ChildSpec(name="real", factory=super()._make_actors)]
        if self._with_actor:
            mailbox = MAILBOXES["bench"]
            specs.append(
                ChildSpec(name="bench", factory=lambda: ActorCell(BenchActor(self._bus), self._transport, mailbox))
            )
        return Supervisor("actors-and-bench", specs)

    def _make_gateway(self) -> Gateway:
        gateway = super()._make_gateway()
        real = gateway.application

        def application() -> web.Application:
            app = real()
            counted = gateway._dispatcher
            uncounted = copy.copy(counted)
            uncounted._limiter = Uncounted(self._settings.http.limits)
            for dispatcher, path, who in ((counted, "/guarded", STAFF), (uncounted, "/open", None)):
                route = Route(method="POST", path=path, message=Ask, who=who, body=Body.JSON)
                app.router.add_route(route.method, route.path, dispatcher.handler(route))
            return app

        gateway.application = application  # type: ignore[method-assign]
        return gateway


async def serve(settings: Settings, roles: frozenset[str], *, actor: bool) -> None:
    supervisor = BenchApplication(settings, roles, actor=actor).supervisor()
    await supervisor.start()
    collector.settle()
    print(f"ready {settings.http.port}", flush=True)
    await supervisor.run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--role", default="all")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(f'{CLINIC}\n[http]\nhost = "127.0.0.1"\nport = {given.port}\n{GENEROUS}streams = 20000\n')
        file.flush()
        settings = config.load(Path(file.name))
    logging.configure_logging(settings.log.format, settings.log.level, headers_now)
    roles = parse_roles(given.role)
    with suppress(asyncio.CancelledError, KeyboardInterrupt):
        uvloop.run(serve(settings, roles, actor=given.role == "all"))


if __name__ == "__main__":
    main()

"""The HTTP server as a supervised child: it listens, serves a site, and drains in order."""

import asyncio
import errno
from abc import ABC, abstractmethod
from typing import Final

from aiohttp import web

from mediq.config import ConfigError
from mediq.observability import logging
from mediq.runtime.supervisor import Child

_log = logging.logger("http")
_KEEP_ALIVE: Final = 75.0
"""Seconds for which an idle connection stays open; phones that have left must not hold theirs for long."""


class PortTaken(ConfigError):
    """Another program listens on the port already."""


class Site(ABC):
    """What an :class:`HttpServer` serves: an aiohttp application with its start, its background work and its drain."""

    @abstractmethod
    def application(self) -> web.Application:
        """The aiohttp application: routes and middlewares."""

    async def start(self) -> None:  # noqa: B027 - optional
        """Prepare before the port opens."""

    async def run(self) -> None:
        """Work in the background until cancelled."""
        await asyncio.Event().wait()

    @abstractmethod
    def drain(self) -> None:
        """Stop being ready, and end requests that would not end by themselves; other requests go on."""


class HttpServer(Child):
    """Listens on `host` and `port` and serves `site`; at a stop, requests in flight have `grace` seconds to finish.

    server = HttpServer(HealthEndpoints(report), "127.0.0.1", 3000, grace=10.0)
    """

    def __init__(self, site: Site, host: str, port: int, grace: float) -> None:
        self._site = site
        self._host = host
        self._port = port
        self._grace = grace
        self._runner: web.AppRunner | None = None
        self._stopped = asyncio.Event()

    async def start(self) -> None:
        """Open the port.

        Raises:
            PortTaken: another program listens on it already.
        """
        runner = web.AppRunner(
            self._site.application(),
            access_log=None,
            shutdown_timeout=self._grace,
            keepalive_timeout=_KEEP_ALIVE,
            handler_cancellation=True,  # no work for a client that has left
        )
        await runner.setup()
        try:
            await self._site.start()
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await runner.cleanup()
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise PortTaken(
                    f"Port {self._port} cannot be used ({error.strerror}); "
                    "stop the other program or choose another port with PORT or --port."
                ) from error
            raise
        self._runner = runner
        _log.info("listening", address=f"http://{self._host}:{runner.addresses[0][1]}")

    async def run(self) -> None:
        work = asyncio.create_task(self._site.run())
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            await self._close()
            for task in (work, stopped):
                task.cancel()
            await asyncio.wait([work, stopped])

    async def stop(self) -> None:
        """Stop being ready, end streams, refuse connections, finish requests in flight; then let `run` return."""
        self._stopped.set()

    async def _close(self) -> None:
        self._site.drain()
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

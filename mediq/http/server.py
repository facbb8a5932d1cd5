"""What listens on a port, as a supervised child: it serves, and drains in order."""

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
"""Seconds for which an idle connection is kept; phones that have gone away hold theirs no longer."""


class PortTaken(ConfigError):
    """Another program listens on the port already."""


class Site(ABC):
    """What a server serves."""

    @abstractmethod
    def application(self) -> web.Application:
        """The routes, behind their middlewares."""

    async def start(self) -> None:  # noqa: B027 - most sites need nothing
        """Make ready, before the port opens."""

    async def run(self) -> None:
        """What goes on beside the requests, until cancelled."""
        await asyncio.Event().wait()

    @abstractmethod
    def drain(self) -> None:
        """Stop being ready, and end what would never end by itself; requests in flight go on."""


class HttpServer(Child):
    """Listens on `host` and `port` for a site; requests in flight get `grace` seconds to finish at a stop."""

    def __init__(self, site: Site, host: str, port: int, grace: float) -> None:
        self._site = site
        self._host = host
        self._port = port
        self._grace = grace
        self._runner: web.AppRunner | None = None
        self._stopped = asyncio.Event()

    async def start(self) -> None:
        """Listen.

        Raises:
            PortTaken: somebody else does already.
        """
        runner = web.AppRunner(
            self._site.application(),
            access_log=None,
            shutdown_timeout=self._grace,
            keepalive_timeout=_KEEP_ALIVE,
            handler_cancellation=True,  # what nobody waits for any more is not worked on
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
        """Readiness off, streams ended, no more connections, requests in flight finished; `run` then returns."""
        self._stopped.set()

    async def _close(self) -> None:
        self._site.drain()
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

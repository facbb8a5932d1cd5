"""The gateway as a supervised child: it listens, serves, and drains in order."""

import asyncio
import errno

from aiohttp import web

from mediq import observe
from mediq.config import ConfigError
from mediq.kernel.supervisor import Child

from .app import Gateway

_log = observe.logger("http")


class PortTaken(ConfigError):
    """Another program listens on the port already."""


class HttpServer(Child):
    """Listens on `host` and `port` for a gateway; requests in flight get `grace` seconds to finish at a stop."""

    def __init__(self, gateway: Gateway, host: str, port: int, grace: float) -> None:
        self._gateway = gateway
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
        runner = web.AppRunner(self._gateway.application(), access_log=None, shutdown_timeout=self._grace)
        await runner.setup()
        try:
            await self._gateway.start()
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
        boards = asyncio.create_task(self._gateway.run())
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait([boards, stopped], return_when=asyncio.FIRST_COMPLETED)
            if boards.done():
                boards.result()
        finally:
            await self._close()
            for task in (boards, stopped):
                task.cancel()
            await asyncio.wait([boards, stopped])

    async def stop(self) -> None:
        """Readiness off, streams ended, no more connections, requests in flight finished; `run` then returns."""
        self._stopped.set()

    async def _close(self) -> None:
        self._gateway.drain()
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

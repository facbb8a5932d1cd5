"""One Redis server and this process's connections to it, for the stores of a split deployment.

Cancelling a call does not interrupt it: the call finishes in the background, and the next call of this process waits
for it. So no connection is left with half an answer, and calls keep their order.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mediq.messages.errors import Fault, StorageFull, Unavailable
from mediq.observability import logging

CONNECTIONS: Final = 16
"""The most connections of a process."""
ANSWER_SECONDS: Final = 3.0
"""Seconds that a call may take, including the wait for a connection and connecting."""

Argument = str | bytes | int
"""An argument of a command."""

_Client = Any  # the client's methods are untyped, or return one of two types
_Call = Callable[[_Client], Awaitable[Any]]

_FULL: Final = re.compile(r"\b(OOM|MISCONF)\b")
_AWAY: Final = re.compile(r"\b(READONLY|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|LOADING|BUSY)\b")

_log = logging.logger("redis")


def fault_of(error: BaseException) -> Fault | None:
    """The fault for `error` of the Redis client; None for any other error."""
    if isinstance(error, (exceptions.ConnectionError, exceptions.TimeoutError, OSError)):
        return Unavailable()
    if isinstance(error, exceptions.ResponseError):
        if isinstance(error, exceptions.OutOfMemoryError) or _FULL.search(str(error)):
            return StorageFull()
        if isinstance(error, exceptions.ReadOnlyError) or _AWAY.search(str(error)):
            return Unavailable()
    return None


class Script:
    """A Lua script, which the server caches by its hash and runs as a whole or not at all."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.hash = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


class RedisServer:
    """The server at `url`. Several stores may share it; it is connected while any of them is open.

    Example::

        server = RedisServer("redis://127.0.0.1:6379/0")
        await server.open()
        await server.call("SET", "name", b"value")
        await server.close()
    """

    def __init__(self, url: str, *, connections: int = CONNECTIONS, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._url = url
        self._connections = connections
        self._answer_seconds = answer_seconds
        self._stores = 0
        self._client: _Client = None
        self._pending: set[asyncio.Task[Any]] = set()
        self._abandoned: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Connect, and warn of settings under which the server loses acknowledged writes.

        Raises:
            Unavailable: the server does not answer.
        """
        self._stores += 1
        if self._client is None:
            self._client = self._connect()
            try:
                await self._warn_of_settings()
            except BaseException as error:
                if isinstance(error.__cause__, exceptions.AuthenticationError):
                    _log.error(
                        "Redis refuses the user or the password. Set REDIS_URL to redis://USER:PASSWORD@HOST:PORT."
                    )
                await self.close()
                raise

    async def close(self) -> None:
        """Close for one store; the last store waits for pending calls and disconnects."""
        self._stores -= 1
        if self._stores == 0 and self._client is not None:
            client, self._client = self._client, None
            if self._pending:
                await asyncio.wait(self._pending)
            await client.aclose()

    async def call(self, *command: Argument) -> Any:
        """The answer to a command.

        Raises:
            Unavailable: no answer in time. Whether a write was carried out is then unknown.
            StorageFull: the server's memory or disk is full; nothing was written.
        """
        return await self._run(lambda client: client.execute_command(*command))

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """The answer of a script; raises as :meth:`call`."""

        async def evaluate(client: _Client) -> Any:
            operands = (len(keys), *keys, *arguments)
            try:
                return await client.execute_command("EVALSHA", script.hash, *operands)
            except exceptions.NoScriptError:
                return await client.execute_command("EVAL", script.source, *operands)

        return await self._run(evaluate)

    async def _run(self, call: _Call) -> Any:
        while self._abandoned:
            await asyncio.wait(self._abandoned)
        if self._client is None:
            raise Unavailable("Redis: not open")
        task = asyncio.create_task(self._finish(call, self._client))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                self._abandoned.add(task)
                task.add_done_callback(self._abandoned.discard)
            raise

    async def _finish(self, call: _Call, client: _Client) -> Any:
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await call(client)
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            raise fault from error

    def _connect(self) -> _Client:
        pool = BlockingConnectionPool.from_url(
            self._url,
            max_connections=self._connections,
            timeout=self._answer_seconds,
            socket_connect_timeout=self._answer_seconds,
            socket_timeout=self._answer_seconds,
            socket_keepalive=True,
            protocol=2,
            # With retries the client would repeat an append whose answer was lost, and conflict with itself.
            retry=Retry(NoBackoff(), 0),
        )
        return Redis.from_pool(pool)

    async def _warn_of_settings(self) -> None:
        try:
            found = {name: await self._setting(name) for name in ("appendonly", "appendfsync", "maxmemory-policy")}
        except exceptions.ResponseError:
            persistence = await self._run(lambda client: client.info("persistence"))
            found = {"appendonly": "yes" if persistence["aof_enabled"] else "no"}
        for warning in warnings_about(found):
            _log.warning(warning)

    async def _setting(self, name: str) -> str:
        answer = await self._run(lambda client: client.config_get(name))
        return str(answer.get(name, ""))


def warnings_about(settings: dict[str, str]) -> list[str]:
    """Warnings about settings under which the server loses acknowledged writes; empty if there are none."""
    warnings = []
    if settings.get("appendonly") != "yes":
        warnings.append(
            "Redis keeps nothing when it stops: acknowledged tickets would be lost. "
            "Set `appendonly yes` and `appendfsync always` in redis.conf."
        )
    elif "appendfsync" not in settings:
        warnings.append(
            "Redis does not tell whether it syncs every write to the disk. See to it that `appendfsync always` is set."
        )
    elif settings["appendfsync"] != "always":
        warnings.append(
            f"Redis has `appendfsync {settings['appendfsync']}`: a power cut may lose acknowledged tickets. "
            "Set `appendfsync always` in redis.conf."
        )
    if settings.get("maxmemory-policy", "noeviction") != "noeviction":
        warnings.append(
            f"Redis has `maxmemory-policy {settings['maxmemory-policy']}`: it may throw the queue away when memory "
            "runs short. Set `maxmemory-policy noeviction` in redis.conf."
        )
    return warnings


class RedisStore:
    """Base class of the stores on Redis: a server, which may be shared, and whether the store is open."""

    def __init__(self, server: RedisServer | str) -> None:
        self._server = RedisServer(server) if isinstance(server, str) else server
        self._open = False

    async def open(self) -> None:
        if not self._open:
            self._open = True
            try:
                await self._server.open()
            except BaseException:
                self._open = False
                raise

    async def close(self) -> None:
        if self._open:
            self._open = False
            await self._server.close()

    async def ping(self) -> None:
        await self._call("PING")

    async def _call(self, *command: Argument) -> Any:
        self._required()
        return await self._server.call(*command)

    async def _run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        self._required()
        return await self._server.run(script, keys, arguments)

    def _required(self) -> None:
        if not self._open:
            raise Unavailable("Redis: not open")

"""One Redis server and this process's connections to it, for the stores that a split house shares.

A call that was sent is never torn off its connection: who stops waiting for it leaves it to finish, and the next
call of this process waits for that. So no connection is left with half an answer in it, and calls keep their order.
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
"""The most connections that a process keeps."""
ANSWER_SECONDS: Final = 3.0
"""How long a call may take in all, waiting for a connection and connecting included."""

Argument = str | bytes | int
"""An argument of a command."""

_Client = Any  # half of the client's methods are untyped, and the other half answer in two ways
_Call = Callable[[_Client], Awaitable[Any]]

_FULL: Final = re.compile(r"\b(OOM|MISCONF)\b")
_AWAY: Final = re.compile(r"\b(READONLY|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|LOADING|BUSY)\b")

_log = logging.logger("redis")


def fault_of(error: BaseException) -> Fault | None:
    """The fault that `error`, raised by the Redis client, stands for; None if it is not one."""
    if isinstance(error, (exceptions.ConnectionError, exceptions.TimeoutError, OSError)):
        return Unavailable()
    if isinstance(error, exceptions.ResponseError):
        if isinstance(error, exceptions.OutOfMemoryError) or _FULL.search(str(error)):
            return StorageFull()
        if isinstance(error, exceptions.ReadOnlyError) or _AWAY.search(str(error)):
            return Unavailable()
    return None


class Script:
    """A Lua script, known to the server by its hash; all of it happens or nothing."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.hash = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


class RedisServer:
    """The server at `url`. Several stores may share one; it is connected while any of them is open."""

    def __init__(self, url: str, *, connections: int = CONNECTIONS, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._url = url
        self._connections = connections
        self._answer_seconds = answer_seconds
        self._users = 0
        self._client: _Client = None
        self._under_way: set[asyncio.Task[Any]] = set()
        self._abandoned: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Connect, and warn of settings under which the server forgets what it has acknowledged.

        Raises:
            Unavailable: nobody answers there.
        """
        self._users += 1
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
        """Let go; the last of the users waits for what is under way and disconnects."""
        self._users -= 1
        if self._users == 0 and self._client is not None:
            client, self._client = self._client, None
            if self._under_way:
                await asyncio.wait(self._under_way)
            await client.aclose()

    async def call(self, *command: Argument) -> Any:
        """The answer to a command.

        Raises:
            Unavailable: no answer in time. Whether a command that writes was carried out is then not known.
            StorageFull: memory or disk of the server are full; nothing was written.
        """
        return await self._run(lambda client: client.execute_command(*command))

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """The answer of a script; raises as `call` does."""

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
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
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
            # The client would repeat an append whose answer was lost, and report it as beaten by itself.
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
    """What to set on a server with these settings so that it keeps what it acknowledges; empty if it does."""
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
    """What the stores on Redis have in common: a server, which may be shared, and being open or closed."""

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

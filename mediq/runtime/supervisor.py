"""Supervision as in Erlang/OTP: children start in order, failed children are restarted, too many failures escalate.

Source: the OTP design principles, chapter "Supervisor Behaviour".
"""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum

import msgspec

from mediq.observability import logging, metrics

_log = logging.logger("supervisor")


class Child(ABC):
    """A part of the process that a supervisor starts, watches and stops."""

    @abstractmethod
    async def start(self) -> None:
        """Acquire resources. When this returns, the next child may start."""

    @abstractmethod
    async def run(self) -> None:
        """Work until stopped, in a separate task. An exception is a failure of the child."""

    @abstractmethod
    async def stop(self) -> None:
        """Make `run` finish its work in progress and return. Called at most once, and only after `start`."""


class Restart(StrEnum):
    PERMANENT = "permanent"
    """Restart the child whenever it ends."""
    TRANSIENT = "transient"
    """Restart the child only if it failed."""
    TEMPORARY = "temporary"
    """Never restart the child."""


class Strategy(StrEnum):
    ONE_FOR_ONE = "one-for-one"
    """Restart only the failed child."""
    REST_FOR_ONE = "rest-for-one"
    """Restart the failed child and all children that started after it."""


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How to make a child, when to restart it, and how many seconds it has to stop.

    `name` is the label of the child in logs and in the metric `mediq_restarts_total`; it must be unique among all
    supervised children of the process.

    Example::

        ChildSpec(name="queue", factory=lambda: ActorCell(actor, transport, "queue"), restart=Restart.PERMANENT)
    """

    name: str
    factory: Callable[[], Child]
    restart: Restart = Restart.PERMANENT
    shutdown: float = 10.0


class Intensity(msgspec.Struct, frozen=True, kw_only=True):
    """A supervisor fails when it needs more than `restarts` restarts within `period` seconds."""

    restarts: int = 3
    period: float = 30.0


class Escalated(Exception):
    """A child failed more often than the supervisor's intensity allows."""


def jittered(restart: int) -> float:
    """Return the seconds to wait before the n-th restart in a period: 0.1, 0.2, 0.4 ..., plus up to 50 % at random."""
    return 0.1 * 2.0 ** (restart - 1) * random.uniform(1.0, 1.5)  # noqa: S311 - jitter, no secret


class _Running:
    def __init__(self, spec: ChildSpec, child: Child) -> None:
        self.spec = spec
        self.child = child
        self.task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        await self.child.start()
        self.task = asyncio.create_task(self.child.run(), name=self.spec.name)

    async def end(self) -> None:
        """Stop the child; cancel it if it does not finish within its shutdown time."""
        if self.task is None:
            return
        try:
            if not self.task.done():
                async with asyncio.timeout(self.spec.shutdown):
                    await self.child.stop()
                    await asyncio.wait([self.task])
        except TimeoutError:
            _log.warning("child did not finish in time", child=self.spec.name, seconds=self.spec.shutdown)
        except Exception:
            _log.exception("child failed to stop", child=self.spec.name)
        finally:  # also if the supervisor itself is cancelled meanwhile: no child may outlive it
            self.task.cancel()
            await asyncio.wait([self.task])
        if not self.task.cancelled() and (error := self.task.exception()) is not None:
            _log.error("child failed while stopping", child=self.spec.name, error=repr(error))


class Supervisor(Child):
    """Starts its children in order, restarts those that fail, stops them in the opposite order.

    Raises ValueError if two children have the same name.

    Example::

        supervisor = Supervisor(
            "mediq",
            [ChildSpec(name="transport", factory=make_transport), ChildSpec(name="bus", factory=make_bus)],
            Strategy.REST_FOR_ONE,
        )
        await supervisor.start()
        await supervisor.run()  # until supervisor.stop() is called
    """

    def __init__(
        self,
        name: str,
        specs: Sequence[ChildSpec],
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        *,
        intensity: Intensity | None = None,
        backoff: Callable[[int], float] = jittered,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        names = [spec.name for spec in specs]
        if len(set(names)) < len(names):
            raise ValueError(f"supervisor {name}: two children have the same name: {', '.join(names)}")
        self.name = name
        self.specs = tuple(specs)
        self._strategy = strategy
        self._intensity = intensity or Intensity()
        self._backoff = backoff
        self._sleep = sleep
        self._clock = clock
        self._restarts: deque[float] = deque()
        self._running: list[_Running] = []
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Start every child in order. If one cannot start, stop those before it and raise its error."""
        try:
            for spec in self.specs:
                await self._begin(len(self._running), spec)
        except BaseException:
            await self._end_from(0)
            raise

    async def run(self) -> None:
        """Watch the children until stopped.

        Raises:
            Escalated: a child failed too often; all children are stopped.
        """
        stop = asyncio.create_task(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                tasks = {r.task: i for i, r in enumerate(self._running) if r.task is not None}
                await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
                if self._stopping.is_set():
                    break
                for task, index in tasks.items():
                    if task.done():
                        await self._ended(index, asyncio.CancelledError() if task.cancelled() else task.exception())
                        break
        except BaseException:
            await self._end_from(0)
            raise
        finally:
            stop.cancel()
        await self._end_from(0)

    async def stop(self) -> None:
        self._stopping.set()

    async def _ended(self, index: int, error: BaseException | None) -> None:
        running = self._running[index]
        spec = running.spec
        if error is None:
            _log.info("child ended", child=spec.name)
        else:
            _log.error("child failed", child=spec.name, error=repr(error), exc_info=error)
        running.task = None
        if spec.restart is Restart.TEMPORARY or (spec.restart is Restart.TRANSIENT and error is None):
            return
        specs = [spec]
        if self._strategy is Strategy.REST_FOR_ONE:
            specs = [spec, *(r.spec for r in self._running[index + 1 :] if r.spec.restart is not Restart.TEMPORARY)]
            await self._end_from(index)
        while not self._stopping.is_set():
            await self._pause(spec.name, error)
            if self._stopping.is_set():
                return
            try:
                for offset, each in enumerate(specs):
                    await self._begin(index + offset, each)
            except Exception as again:
                _log.error("child failed to start", child=spec.name, error=repr(again), exc_info=again)
                error = again
                if self._strategy is Strategy.REST_FOR_ONE:
                    await self._end_from(index)
            else:
                return

    async def _pause(self, name: str, error: BaseException | None) -> None:
        """Count one restart and wait before it. Raises Escalated."""
        now = self._clock()
        self._restarts.append(now)
        while self._restarts[0] < now - self._intensity.period:
            self._restarts.popleft()
        if len(self._restarts) > self._intensity.restarts:
            raise Escalated(f"{name} failed {len(self._restarts)} times within {self._intensity.period:g} s") from error
        metrics.restarts.labels(name).inc()
        await self._sleep(self._backoff(len(self._restarts)))

    async def _begin(self, index: int, spec: ChildSpec) -> None:
        running = _Running(spec, spec.factory())
        await running.begin()
        self._running[index : index + 1] = [running]

    async def _end_from(self, index: int) -> None:
        """Stop the children from `index` on, last first; a cancellation is raised after all of them have ended."""
        cancelled: asyncio.CancelledError | None = None
        while len(self._running) > index:
            try:
                await self._running.pop().end()
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

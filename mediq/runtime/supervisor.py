"""Supervision in the manner of Erlang/OTP: children in order, restarts within an intensity, failure upwards.

See the OTP design principles, chapter "Supervisor Behaviour".
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
    """Something that a supervisor runs."""

    @abstractmethod
    async def start(self) -> None:
        """Take what is needed; ready for the next child when this returns."""

    @abstractmethod
    async def run(self) -> None:
        """Work until stopped, in a task of its own; an exception is a failure."""

    @abstractmethod
    async def stop(self) -> None:
        """Make `run` finish what is in flight and return. Called at most once, only after `start`."""


class Restart(StrEnum):
    PERMANENT = "permanent"
    """Restart it however it ended."""
    TRANSIENT = "transient"
    """Restart it only if it failed."""
    TEMPORARY = "temporary"
    """Never restart it."""


class Strategy(StrEnum):
    ONE_FOR_ONE = "one-for-one"
    """A failed child is restarted alone."""
    REST_FOR_ONE = "rest-for-one"
    """A failed child is restarted together with those that were started after it."""


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How to make a child, when to restart it, and how many seconds it gets to finish."""

    name: str
    factory: Callable[[], Child]
    restart: Restart = Restart.PERMANENT
    shutdown: float = 10.0


class Intensity(msgspec.Struct, frozen=True, kw_only=True):
    """More than `restarts` within `period` seconds is a failure of the supervisor itself."""

    restarts: int = 3
    period: float = 30.0


class Escalated(Exception):
    """A child failed more often than the supervisor's intensity allows."""


def jittered(restart: int) -> float:
    """Seconds before the n-th restart in a period: 0.1, 0.2, 0.4 ... up to half as much again."""
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
        """Let it finish within its time, then cancel it."""
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
        finally:  # also when the supervisor itself is cancelled meanwhile: no child may outlive it
            self.task.cancel()
            await asyncio.wait([self.task])
        if not self.task.cancelled() and (error := self.task.exception()) is not None:
            _log.error("child failed while stopping", child=self.spec.name, error=repr(error))


class Supervisor(Child):
    """Starts its children in order, keeps them running, stops them in the opposite order."""

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
        self.name = name
        self._specs = list(specs)
        self._strategy = strategy
        self._intensity = intensity or Intensity()
        self._backoff = backoff
        self._sleep = sleep
        self._clock = clock
        self._restarts: deque[float] = deque()
        self._running: list[_Running] = []
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Start every child in order. If one cannot start, those before it are stopped and its error is raised."""
        try:
            for spec in self._specs:
                await self._begin(len(self._running), spec)
        except BaseException:
            await self._end_from(0)
            raise

    async def run(self) -> None:
        """Watch the children until stopped.

        Raises:
            Escalated: a child failed too often; every child has been stopped.
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

    def child(self, name: str) -> Child:
        """The present instance of a child; KeyError if it does not run."""
        for running in self._running:
            if running.spec.name == name:
                return running.child
        raise KeyError(name)

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
        """Count one restart and wait before it."""
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
        """End the children from `index` on, last first; a cancellation is kept until all of them have ended."""
        cancelled: asyncio.CancelledError | None = None
        while len(self._running) > index:
            try:
                await self._running.pop().end()
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

"""The command processor: decides commands, appends their events to the log and answers when they are durable.

Commands that wait together are decided as one batch and appended in one write (group commit). Of two processes that
append at once, the loser reads the events that it missed and decides again.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Final, NamedTuple

import msgspec

from mediq.actors.queue.event_store.base import EventLog, Trimmed, VersionConflict
from mediq.actors.queue.history import last_before
from mediq.actors.queue.rules import queue
from mediq.actors.queue.rules.commands import Command, Given
from mediq.actors.queue.rules.events import Recorded
from mediq.actors.queue.rules.queue import Decision, Queue
from mediq.domain.clinic import Clinic
from mediq.messages.errors import Expired, Fault, StorageFull, Unavailable
from mediq.observability import logging
from mediq.transport.deadlines import Deadlines

_BATCH: Final = 512
_ATTEMPTS: Final = 100
_DOUBTS: Final = 16
_PAGE: Final = 1000
_SNAPSHOT_EVERY: Final = 10_000
"""The number of events after which a snapshot is saved before the day is over."""

_log = logging.logger("queue")
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Recorded).decode

Outcome = tuple[Queue, Decision]
"""The queue right after a command, and the decision on it."""


class _Submitted(NamedTuple):
    """A command, the future of its answer, and its deadline by the monotonic clock."""

    command: Command
    given: Given
    answered: asyncio.Future[Outcome]
    until: float


class CommandProcessor:
    """Carries out commands on a queue whose log may be shared with other processes.

    `state` is the queue as far as this process has read the log; where the log is `shared`, queries use `fresh()`.
    `on_recorded` is awaited with each batch of new events, in order, when they are durable and before their commands
    are answered. It must handle its own errors.
    """

    def __init__(
        self,
        log: EventLog,
        clinic: Clinic,
        *,
        on_recorded: Callable[[Sequence[Recorded]], Awaitable[None]],
        shared: bool = False,
    ) -> None:
        self.state: Queue = queue.EMPTY
        self._log = log
        self._clinic = clinic
        self._on_recorded = on_recorded
        self._shared = shared
        self._waiting: list[_Submitted] = []
        self._under_way: list[_Submitted] = []
        self._deadlines = Deadlines(self._expire)
        self._work = asyncio.Event()
        self._together = _BATCH
        self._snapshot_version = 0
        self._compacted_at: datetime | None = None
        self._in_doubt: deque[list[Recorded]] = deque(maxlen=_DOUBTS)
        self._catching_up = asyncio.Lock()
        self._look: asyncio.Task[None] | None = None
        self._next_look: asyncio.Task[None] | None = None

    async def restore(self) -> None:
        """Fold the log into memory: the snapshot, then the events after it."""
        async with self._catching_up:
            self.state = await self._kept()
        await self._catch_up()

    async def fresh(self) -> Queue:
        """The queue with every event that was in the log when this was called, from any process.

        A log of this process alone costs nothing; the version of a shared log is asked once for all callers who wait.

        Raises:
            Unavailable: the log does not answer.
        """
        if self._shared:
            if self._next_look is None:
                self._next_look = asyncio.create_task(self._look_again(after=self._look))
            await asyncio.shield(self._next_look)
        return self.state

    async def _look_again(self, after: "asyncio.Task[None] | None") -> None:
        failed = False
        if after is not None and not after.done():
            await asyncio.wait([after])
            failed = after.exception() is not None
        # Callers from here on wait for the next look: the answer to this one may already be on its way.
        self._look, self._next_look = self._next_look, None
        if failed:
            raise Unavailable  # there is no time to wait for a second failure
        known = self.state.version
        version = await self._log.version()
        if version < known:
            await self._start_over()
        elif version > self.state.version or self._in_doubt:
            await self._catch_up()

    async def ping(self) -> None:
        """Raises Unavailable if the log does not answer."""
        await self._log.ping()

    async def submit(self, command: Command, given: Given, *, deadline: float | None = None) -> Outcome:
        """Carry out a command; returns when its events are durable.

        A command that still waits at its `deadline`, in seconds since the epoch, is not carried out.

        Raises:
            DomainError: the rules refuse it.
            Fault: the log could not be written; Expired where it could not be in time.
        """
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        until = math.inf
        if deadline is not None:
            left = deadline - time.time()
            if left <= 0:
                raise Expired
            until = time.monotonic() + left
        self._waiting.append(_Submitted(command, given, answered, until))
        self._work.set()
        self._deadlines.add(until)
        return await answered

    def _expire(self, now: float) -> float:
        nearest = math.inf
        for _, _, answered, until in chain(self._under_way, self._waiting):
            if answered.done():
                continue
            if until <= now:
                answered.set_exception(Expired())
            else:
                nearest = min(nearest, until)
        return nearest

    async def run(self) -> None:
        """Commit batch after batch until cancelled; commands then still waiting fail."""
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                while self._waiting:
                    batch, self._waiting = self._waiting[: self._together], self._waiting[self._together :]
                    self._under_way = batch
                    try:
                        await self._commit(batch)
                    except Fault as fault:
                        _fail(batch, fault)
                    except BaseException:
                        _fail(batch, Unavailable())
                        raise
        finally:
            _fail(self._waiting, Unavailable())

    async def _commit(self, batch: list[_Submitted]) -> None:
        for _ in range(_ATTEMPTS):
            if self._in_doubt:
                await self._catch_up()
            before = state = self.state
            recorded: list[Recorded] = []
            answers: list[tuple[asyncio.Future[Outcome], Outcome | Exception]] = []
            for command, given, answered, _ in batch:
                if answered.done():
                    continue  # the caller has gone
                try:
                    decision = queue.decide(state, command, given, self._clinic)
                    after, added = state, decision.recorded(state.version)
                    for each in added:
                        after = queue.evolve(after, each)
                except Exception as error:  # a refusal or a defect: either way of this command alone
                    answers.append((answered, error))
                    continue
                state = after
                recorded += added
                answers.append((answered, (state, decision)))
            # A refusal too must hold for the queue as it is now: an empty append to a shared log checks that.
            if recorded or self._shared:
                try:
                    await self._log.append(before.version, [_encode(each) for each in recorded])
                except VersionConflict as moved:
                    if moved.actual < before.version:
                        await self._start_over()
                    else:
                        await self._catch_up()
                    # A smaller batch is decided sooner. Otherwise a process that lost once would go on losing.
                    self._together = (len(batch) + 1) // 2
                    self._waiting[:0] = batch[self._together :]
                    del batch[self._together :]
                    continue
                except StorageFull:
                    raise
                except BaseException:
                    if recorded:
                        self._in_doubt.append(recorded)
                    raise
                self._advance(state)
                self._together = min(_BATCH, 4 * self._together)
                if recorded:
                    await self._on_recorded(recorded)
            for answered, answer in answers:
                if answered.done():
                    continue  # the caller has gone
                if isinstance(answer, Exception):
                    answered.set_exception(answer)
                else:
                    answered.set_result(answer)
            return
        raise Unavailable("Antrean terlalu sibuk; coba lagi.", retry_after=1)

    async def events(self, after_version: int, limit: int = _PAGE) -> list[Recorded]:
        """Events from the log, in order.

        Raises:
            Trimmed: the first of them is no longer kept.
        """
        return [_decode(blob) for _, blob in await self._log.read(after_version, limit)]

    async def _kept(self) -> Queue:
        kept = await self._log.snapshot()
        if kept is None:
            return queue.EMPTY
        try:
            state = queue.load(kept[1])
        except queue.UnreadableSnapshot:
            _log.warning("snapshot not understood, the whole log is read instead", version=kept[0])
            return queue.EMPTY
        self._snapshot_version = kept[0]
        return state

    def _advance(self, state: Queue) -> None:
        """Move to a newer state. A reader may have moved further while an append was running."""
        if state.version > self.state.version:
            self.state = state

    async def _catch_up(self) -> None:
        """Read the events of other processes, and report an append that was in doubt and turns out to be written."""
        async with self._catching_up:
            while True:
                state = self.state
                try:
                    missed = await self.events(state.version)
                except Trimmed:
                    kept = await self._kept()
                    if kept.version <= state.version:
                        raise
                    self._advance(kept)
                    continue
                for each in missed:
                    state = queue.evolve(state, each)
                self._advance(state)
                if len(missed) < _PAGE:
                    break
            written = [batch for batch in list(self._in_doubt) if await self._settled(batch)]
        for batch in written:
            await self._on_recorded(batch)

    async def _settled(self, batch: list[Recorded]) -> bool:
        """Whether an append in doubt was written. It stays in doubt until its versions in the log are taken."""
        try:
            found = await self.events(batch[0].version - 1, len(batch))
        except Trimmed:
            found = []
        if found or batch[0].version <= self.state.version:
            self._in_doubt.remove(batch)
        return found == batch

    async def _start_over(self) -> None:
        """Fold the log again from its start: it has lost events that were durable."""
        known = self.state.version
        self._in_doubt.clear()
        await self.restore()
        _log.error("the log has lost events that were safe", known=known, left=self.state.version)

    async def compact(self, now: datetime) -> None:
        """Save a snapshot once a day, then remove the events before it that are older than the retention.

        A compaction that a crash interrupts is done after the next start.
        """
        behind = self.state.version - self._snapshot_version
        due = self._compacted_at is None or now - self._compacted_at >= timedelta(days=1)
        if not due and behind < _SNAPSHOT_EVERY:
            return
        if behind:
            state = self.state
            snapshot = await asyncio.to_thread(queue.dump, state)
            if self.state.version < state.version:
                return  # the log has lost events meanwhile; a snapshot must not bring them back
            await self._log.save_snapshot(state.version, snapshot)
            self._snapshot_version = state.version
        await self._trim(now - timedelta(days=self._clinic.policy.retention_days))
        self._compacted_at = now

    async def _trim(self, before: datetime) -> None:
        """Remove the events behind the snapshot that are older than `before`."""
        if last := await last_before(self._log, before, self._snapshot_version):
            await self._log.trim(last)


def _fail(batch: list[_Submitted], error: Fault) -> None:
    for _, _, answered, _ in batch:
        if not answered.done():
            answered.set_exception(error)
            answered.exception()  # counts as seen: the caller may be cancelled in this very turn

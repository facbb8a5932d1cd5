"""The queue over its event log: commands in, events that are safe out.

Commands that wait together are decided as one batch and appended in one write (group commit). Of two processes that
append at once, the loser reads what it missed and decides again.
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

from mediq.actors.queue.event_store.sqlite import EventLog, Trimmed, VersionConflict
from mediq.actors.queue.history import last_before
from mediq.actors.queue.rules import queue
from mediq.actors.queue.rules.commands import Command
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
"""Events after which the daily snapshot is not waited for."""

_log = logging.logger("ledger")
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Recorded).decode

Outcome = tuple[Queue, Decision]
"""The queue right after a command, and what the command decided."""


class _Submitted(NamedTuple):
    """A command, whoever waits for what comes of it, and until when by the clock that nobody sets."""

    command: Command
    answered: asyncio.Future[Outcome]
    until: float


class Ledger:
    """Carries commands out on a queue whose log may be shared with other processes.

    `state` is what is safely in the log, as far as this process has read it; who answers from a log that is `shared`
    asks `fresh()` instead. `on_recorded` is awaited with each batch of new events, in order, after they are safe and
    before their commands are answered; what it raises is its own affair and must be handled there.
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
        self._tidied_at: datetime | None = None
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
        """The queue with everything that was in the log when this was called, whoever appended it.

        A log of this process alone costs nothing; of a shared one the version is asked, once for all who wait.

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
        # Who comes from here on waits for the next look: the answer to this one may already be on its way.
        self._look, self._next_look = self._next_look, None
        if failed:
            raise Unavailable  # nobody has time to wait for a second failure
        known = self.state.version
        version = await self._log.version()
        if version < known:
            await self._start_over()
        elif version > self.state.version or self._in_doubt:
            await self._catch_up()

    async def ping(self) -> None:
        """Raises Unavailable if the log does not answer."""
        await self._log.ping()

    async def submit(self, command: Command, *, deadline: float | None = None) -> Outcome:
        """Carry out a command; returns when its events are safe.

        A command that still waits at its `deadline`, in seconds since the epoch, is not carried out any more.

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
        self._waiting.append(_Submitted(command, answered, until))
        self._work.set()
        self._deadlines.add(until)
        return await answered

    def _expire(self, now: float) -> float:
        nearest = math.inf
        for _, answered, until in chain(self._under_way, self._waiting):
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
            for command, answered, _ in batch:
                if answered.done():
                    continue  # whoever asked has gone
                try:
                    decision = queue.decide(state, command, self._clinic)
                    after, added = state, decision.recorded(state.version, command)
                    for each in added:
                        after = queue.evolve(after, each)
                except Exception as error:  # a refusal, or a fault of ours: this command's alone either way
                    answers.append((answered, error))
                    continue
                state = after
                recorded += added
                answers.append((answered, (state, decision)))
            # A refusal too must be of the queue as it is: to append nothing to a shared log asks whether it still is.
            if recorded or self._shared:
                try:
                    await self._log.append(before.version, [_encode(each) for each in recorded])
                except VersionConflict as moved:
                    if moved.actual < before.version:
                        await self._start_over()
                    else:
                        await self._catch_up()
                    # Less is decided sooner. Else whoever is ahead once stays ahead, with more and more to catch up.
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
                    continue  # whoever asked has gone
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
        """Never back: a reader may have caught up with others while an append was under way."""
        if state.version > self.state.version:
            self.state = state

    async def _catch_up(self) -> None:
        """Read what others appended, and tell of an append that was in doubt and is there."""
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
        """Whether an append in doubt is found written. It stays in doubt until its place in the log is taken."""
        try:
            found = await self.events(batch[0].version - 1, len(batch))
        except Trimmed:
            found = []
        if found or batch[0].version <= self.state.version:
            self._in_doubt.remove(batch)
        return found == batch

    async def _start_over(self) -> None:
        """Fold the log anew: it has lost what was safely in it, and what it holds is the truth."""
        known = self.state.version
        self._in_doubt.clear()
        await self.restore()
        _log.error("the log has lost events that were safe", known=known, left=self.state.version)

    async def tidy(self, now: datetime) -> None:
        """Save a snapshot once a day, and remove events that are older than the retention and behind it.

        Whatever a crash leaves undone of this is done after the next start.
        """
        behind = self.state.version - self._snapshot_version
        due = self._tidied_at is None or now - self._tidied_at >= timedelta(days=1)
        if not due and behind < _SNAPSHOT_EVERY:
            return
        if behind:
            state = self.state
            snapshot = await asyncio.to_thread(queue.dump, state)
            if self.state.version < state.version:
                return  # the log has lost events meanwhile, which a snapshot must not bring back
            await self._log.save_snapshot(state.version, snapshot)
            self._snapshot_version = state.version
        await self._trim(now - timedelta(days=self._clinic.policy.retention_days))
        self._tidied_at = now

    async def _trim(self, before: datetime) -> None:
        """Remove the events behind the snapshot that are older than `before`."""
        if last := await last_before(self._log, before, self._snapshot_version):
            await self._log.trim(last)


def _fail(batch: list[_Submitted], error: Fault) -> None:
    for _, answered, _ in batch:
        if not answered.done():
            answered.set_exception(error)
            answered.exception()  # counts as seen: whoever asked may be cancelled in this very turn

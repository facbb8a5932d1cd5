"""The queue over its event log: commands in, events that are safe out.

Commands that wait together are decided as one batch and appended in one write (group commit). Of two processes that
append at once, the loser reads what it missed and decides again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from mediq import observe
from mediq.domain import queue
from mediq.domain.clinic import Clinic
from mediq.domain.commands import Command
from mediq.domain.events import Recorded
from mediq.domain.queue import Decision, Queue
from mediq.messages.errors import Fault, Unavailable
from mediq.stores.eventlog import EventLog, Trimmed, VersionConflict

_BATCH: Final = 512
_ATTEMPTS: Final = 20
_PAGE: Final = 1000
_SNAPSHOT_EVERY: Final = 10_000
"""Events after which the daily snapshot is not waited for."""

_log = observe.logger("ledger")
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Recorded).decode

Outcome = tuple[Queue, Decision]
"""The queue right after a command, and what the command decided."""


class Ledger:
    """Carries commands out on a queue whose log may be shared with other processes.

    `state` is what is safely in the log. `on_recorded` is awaited with each batch of new events, in order, after they
    are safe and before their commands are answered; what it raises is its own affair and must be handled there.
    """

    def __init__(
        self,
        log: EventLog,
        clinic: Clinic,
        *,
        on_recorded: Callable[[Sequence[Recorded]], Awaitable[None]],
    ) -> None:
        self.state: Queue = queue.EMPTY
        self._log = log
        self._clinic = clinic
        self._on_recorded = on_recorded
        self._waiting: list[tuple[Command, asyncio.Future[Outcome]]] = []
        self._work = asyncio.Event()
        self._snapshot_version = 0
        self._snapshot_at: datetime | None = None
        self._in_doubt = False

    async def restore(self) -> None:
        """Fold the log into memory: the snapshot, then the events after it."""
        self.state = await self._kept()
        await self._catch_up()

    async def ping(self) -> None:
        """Raises Unavailable if the log does not answer."""
        await self._log.ping()

    async def submit(self, command: Command) -> Outcome:
        """Carry out a command; returns when its events are safe.

        Raises:
            DomainError: the rules refuse it.
            Fault: the log could not be written.
        """
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, answered))
        self._work.set()
        return await answered

    async def run(self) -> None:
        """Commit batch after batch until cancelled; commands then still waiting fail."""
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                while self._waiting:
                    batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
                    try:
                        await self._commit(batch)
                    except Fault as fault:
                        _fail(batch, fault)
                    except BaseException:
                        _fail(batch, Unavailable())
                        raise
        finally:
            _fail(self._waiting, Unavailable())

    async def _commit(self, batch: list[tuple[Command, asyncio.Future[Outcome]]]) -> None:
        for _ in range(_ATTEMPTS):
            if self._in_doubt:
                await self._catch_up()
            state = self.state
            recorded: list[Recorded] = []
            answers: list[tuple[asyncio.Future[Outcome], Outcome | Exception]] = []
            for command, answered in batch:
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
            if recorded:
                self._in_doubt = True
                try:
                    await self._log.append(self.state.version, [_encode(each) for each in recorded])
                except VersionConflict:
                    continue
                self._in_doubt = False
                self.state = state
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

    async def _catch_up(self) -> None:
        while True:
            try:
                missed = await self.events(self.state.version)
            except Trimmed:
                kept = await self._kept()
                if kept.version <= self.state.version:
                    raise
                self.state = kept
                continue
            for each in missed:
                self.state = queue.evolve(self.state, each)
            if len(missed) < _PAGE:
                self._in_doubt = False
                return

    async def tidy(self, now: datetime) -> None:
        """Save a snapshot once a day, and remove events that are older than the retention and behind it."""
        behind = self.state.version - self._snapshot_version
        due = self._snapshot_at is None or now - self._snapshot_at >= timedelta(days=1)
        if behind and (due or behind >= _SNAPSHOT_EVERY):
            state = self.state
            await self._log.save_snapshot(state.version, queue.dump(state))
            self._snapshot_version, self._snapshot_at = state.version, now
            await self._trim(now - timedelta(days=self._clinic.policy.retention_days))

    async def _trim(self, before: datetime) -> None:
        """Find the last event older than `before` by bisection, since events come in order of time."""
        low, high = 0, self._snapshot_version
        while low < high:
            middle = (low + high) // 2
            try:
                found = await self.events(middle, 1)
            except Trimmed:
                low = middle + 1
                continue
            if found and found[0].at < before:
                low = middle + 1
            else:
                high = middle
        if low:
            await self._log.trim(low)


def _fail(batch: list[tuple[Command, asyncio.Future[Outcome]]], error: Fault) -> None:
    for _, answered in batch:
        if not answered.done():
            answered.set_exception(error)

"""What waits to be published to one mailbox: in batches, one at a time, so that a busy mailbox costs few confirms."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from mediq.messages.errors import Fault, MailboxFull, Unavailable
from mediq.transport.deadlines import Deadlines
from mediq.transport.envelope import Envelope, encode_frame
from mediq.transport.rabbitmq.connection import Refused

BATCH: Final = 64
"""Envelopes in a frame at most: what the busiest services take at once, so that none must be spread again; the
mailbox's bound counts frames."""
BATCH_BYTES: Final = 65_536
GATHERING: Final = 0.002
"""Seconds for which a letter waits at most while every turn of the loop brings more."""
PAUSES: Final = (0.005, 0.01, 0.02, 0.05, 0.1)
"""Seconds between the attempts to get into a full mailbox."""

Publish = Callable[[bytes, float | None], Awaitable[None]]


class Outbox:
    """Letters for one mailbox, in the order in which they came.

    `publish` sends a frame that expires after so many seconds, raising Refused or a Fault; `on_empty` is called when
    nothing waits any more.
    """

    def __init__(self, publish: Publish, clock: Callable[[], float], on_empty: Callable[[], None]) -> None:
        self._publish = publish
        self._clock = clock
        self._on_empty = on_empty
        self._waiting: deque[_Letter] = deque()
        self._under_way: list[_Letter] = []
        self._full = False
        self._last = 0
        """How many letters the frame before had, none after a refusal or a rest."""
        self._task: asyncio.Task[None] | None = None
        self._deadlines = Deadlines(self._turn_away_late)

    async def put(self, envelope: Envelope, room: float) -> None:
        """Raises what :meth:`mediq.transport.base.Transport.send` raises."""
        now = time.monotonic()  # nobody sets it back while they wait
        left = math.inf if envelope.deadline is None else envelope.deadline - self._clock()
        if left <= 0:
            return  # nobody would be handed it
        letter = _Letter(envelope, now + left, now + min(room, left))
        self._waiting.append(letter)
        self._deadlines.add(letter.patient_until if self._full else letter.deadline)
        if self._task is None:
            self._task = asyncio.create_task(self._work())  # begins when all of this turn of the loop are in
        await letter.sent

    def fail(self) -> None:
        """Turn away whoever waits: there is no connection. What is under way learns it by itself."""
        for letter in self._waiting:
            letter.fail(Unavailable())
        self._waiting.clear()

    def close(self) -> None:
        """Turn away everybody, for good."""
        self.fail()
        if self._task is not None:
            self._task.cancel()

    async def _work(self) -> None:
        refusals = 0
        try:
            while batch := await self._gather():
                self._under_way = batch
                try:
                    await self._publish(encode_frame([each.envelope for each in batch]), self._patience(batch))
                except Refused:
                    self._full = True
                    self._waiting.extendleft(reversed(batch))
                    self._under_way, self._last = [], 0
                    self._deadlines.add(min(letter.patient_until for letter in self._waiting))
                    await asyncio.sleep(PAUSES[min(refusals, len(PAUSES) - 1)])
                    refusals += 1
                except Fault as error:
                    for letter in batch:
                        letter.fail(type(error)())
                else:
                    self._full = False
                    refusals = 0
                    for letter in batch:
                        letter.succeed()
                self._under_way = []
        finally:
            for letter in self._under_way:
                letter.fail(Unavailable())
            self.fail()
            self._deadlines.clear()
            self._task = None
            self._on_empty()

    def _turn_away_late(self, now: float) -> float:
        """Tell those whose time has come that there was no room, or that nobody knows whether it arrived.

        What is under way may be let in yet, however long it has waited for room.
        """
        nearest = math.inf
        for letters, waits in ((self._under_way, False), (self._waiting, self._full)):
            for letter in letters:
                if letter.sent.done():
                    continue
                if letter.deadline <= now:
                    letter.fail(MailboxFull(retry_after=1.0) if self._full else Unavailable())
                elif waits and letter.patient_until <= now:
                    letter.fail(MailboxFull(retry_after=1.0))
                else:
                    nearest = min(nearest, letter.patient_until if waits else letter.deadline)
        return nearest

    async def _gather(self) -> list["_Letter"]:
        """What travels next, as soon as a turn of the loop brings no more or enough is there; whoever has given up is
        left out.

        Who is busy comes by letters turn after turn: the first of them going ahead alone would cost as much as all. All
        of them in one frame would leave either end idle while the other works: two that take turns keep both busy.
        """
        count, until = 0, time.monotonic() + GATHERING
        while count < len(self._waiting) < max(BATCH // 2, self._last) and time.monotonic() < until:
            count = len(self._waiting)
            await asyncio.sleep(0)
        batch: list[_Letter] = []
        size = 0
        most = min(BATCH, max(BATCH // 2, (len(self._waiting) + self._last) // 2))
        while self._waiting and len(batch) < most:
            letter = self._waiting[0]
            size += len(letter.envelope.body)
            if batch and size > BATCH_BYTES:
                break
            self._waiting.popleft()
            if not letter.sent.done():
                batch.append(letter)
        self._last = len(batch)
        return batch

    def _patience(self, batch: list["_Letter"]) -> float | None:
        """Seconds for which anybody still waits for any of them."""
        latest = max(letter.deadline for letter in batch)
        return latest - time.monotonic() if latest < math.inf else None


class _Letter:
    """An envelope on its way: `deadline` is when nobody waits for it any more, `patient_until` when its sender has
    waited long enough for room, both by the clock that nobody sets."""

    __slots__ = ("deadline", "envelope", "patient_until", "sent")

    def __init__(self, envelope: Envelope, deadline: float, patient_until: float) -> None:
        self.envelope = envelope
        self.deadline = deadline
        self.patient_until = patient_until
        self.sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def succeed(self) -> None:
        if not self.sent.done():
            self.sent.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.sent.done():
            self.sent.set_exception(error)
            self.sent.exception()  # counts as seen: who sent it may have given up in this very turn

"""Publishes envelopes to one mailbox in batches, one batch at a time, so that a busy mailbox costs few confirms."""

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
"""Most envelopes in one frame. The busiest services receive as many at once, so a frame need not be split again.
The capacity of a mailbox counts frames."""
BATCH_BYTES: Final = 65_536
"""Most bytes of message bodies in one frame, except for a single larger message."""
GATHERING: Final = 0.002
"""Most seconds that an envelope waits while every turn of the loop brings more."""
PAUSES: Final = (0.005, 0.01, 0.02, 0.05, 0.1)
"""Seconds between attempts to publish to a full mailbox."""

Publish = Callable[[bytes, float | None], Awaitable[None]]


class Publisher:
    """Publishes to one mailbox, in the order of the calls to `put`.

    `publish` sends a frame that expires after the given seconds, and raises Refused or a Fault; `on_empty` is called
    when nothing is left to publish.
    """

    def __init__(self, publish: Publish, clock: Callable[[], float], on_empty: Callable[[], None]) -> None:
        self._publish = publish
        self._clock = clock
        self._on_empty = on_empty
        self._waiting: deque[_PendingPublish] = deque()
        self._under_way: list[_PendingPublish] = []
        self._full = False
        self._last = 0
        """Number of envelopes in the frame before; 0 after a refusal, or when there was nothing to publish."""
        self._task: asyncio.Task[None] | None = None
        self._deadlines = Deadlines(self._fail_late)

    async def put(self, envelope: Envelope, room: float) -> None:
        """Publish an envelope and return when it is confirmed; see :meth:`mediq.transport.base.Transport.send`."""
        now = time.monotonic()  # a clock that is never set back
        left = math.inf if envelope.deadline is None else envelope.deadline - self._clock()
        if left <= 0:
            return  # it would never be delivered
        pending = _PendingPublish(envelope, now + left, now + min(room, left))
        self._waiting.append(pending)
        self._deadlines.add(pending.room_until if self._full else pending.deadline)
        if self._task is None:
            self._task = asyncio.create_task(self._work())  # starts after this turn of the loop, to gather a batch
        await pending.confirmed

    def fail(self) -> None:
        """The connection is lost: raise Unavailable in everything that waits. A frame already sent fails by itself."""
        for pending in self._waiting:
            pending.fail(Unavailable())
        self._waiting.clear()

    def close(self) -> None:
        """Raise Unavailable in everything that waits or is being published, for good."""
        self.fail()
        if self._task is not None:
            self._task.cancel()

    async def _work(self) -> None:
        refusals = 0
        try:
            while batch := await self._gather():
                self._under_way = batch
                try:
                    await self._publish(encode_frame([each.envelope for each in batch]), self._expiration(batch))
                except Refused:
                    self._full = True
                    self._waiting.extendleft(reversed(batch))
                    self._under_way, self._last = [], 0
                    self._deadlines.add(min(pending.room_until for pending in self._waiting))
                    await asyncio.sleep(PAUSES[min(refusals, len(PAUSES) - 1)])
                    refusals += 1
                except Fault as error:
                    for pending in batch:
                        pending.fail(type(error)())
                else:
                    self._full = False
                    refusals = 0
                    for pending in batch:
                        pending.confirm()
                self._under_way = []
        finally:
            for pending in self._under_way:
                pending.fail(Unavailable())
            self.fail()
            self._deadlines.clear()
            self._task = None
            self._on_empty()

    def _fail_late(self, now: float) -> float:
        """Fail what is late: MailboxFull if there was no room, Unavailable if it is unknown whether it arrived.

        A frame already sent may still be accepted, however long it has waited for room.
        """
        nearest = math.inf
        for group, waits in ((self._under_way, False), (self._waiting, self._full)):
            for pending in group:
                if pending.confirmed.done():
                    continue
                if pending.deadline <= now:
                    pending.fail(MailboxFull(retry_after=1.0) if self._full else Unavailable())
                elif waits and pending.room_until <= now:
                    pending.fail(MailboxFull(retry_after=1.0))
                else:
                    nearest = min(nearest, pending.room_until if waits else pending.deadline)
        return nearest

    async def _gather(self) -> list["_PendingPublish"]:
        """Return the next batch, as soon as a turn of the loop brings no more or the batch is large enough.

        A busy sender adds envelopes turn after turn; sending the first one alone would cost as much as sending all. But
        all of them in one frame would leave each side idle while the other works; two frames in turn keep both busy.
        """
        count, until = 0, time.monotonic() + GATHERING
        while count < len(self._waiting) < max(BATCH // 2, self._last) and time.monotonic() < until:
            count = len(self._waiting)
            await asyncio.sleep(0)
        batch: list[_PendingPublish] = []
        size = 0
        most = min(BATCH, max(BATCH // 2, (len(self._waiting) + self._last) // 2))
        while self._waiting and len(batch) < most:
            pending = self._waiting[0]
            size += len(pending.envelope.body)
            if batch and size > BATCH_BYTES:
                break
            self._waiting.popleft()
            if not pending.confirmed.done():
                batch.append(pending)
        self._last = len(batch)
        return batch

    def _expiration(self, batch: list["_PendingPublish"]) -> float | None:
        """Return the seconds until the last deadline of a batch, or None if one has no deadline."""
        latest = max(pending.deadline for pending in batch)
        return latest - time.monotonic() if latest < math.inf else None


class _PendingPublish:
    """An envelope to publish: its deadline, and the time until which its sender waits for room, both monotonic."""

    __slots__ = ("confirmed", "deadline", "envelope", "room_until")

    def __init__(self, envelope: Envelope, deadline: float, room_until: float) -> None:
        self.envelope = envelope
        self.deadline = deadline
        self.room_until = room_until
        self.confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def confirm(self) -> None:
        if not self.confirmed.done():
            self.confirmed.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.confirmed.done():
            self.confirmed.set_exception(error)
            self.confirmed.exception()  # mark as retrieved: the sender may be cancelled in this turn

"""What runs an actor: takes deliveries from its mailbox, hands them to its methods, answers, settles."""

import asyncio
import logging as std_logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from mediq.messages.errors import DomainError, Fault, Internal, Malformed, to_wire
from mediq.observability import logging, metrics
from mediq.runtime.actor import Actor
from mediq.runtime.context import Context, current
from mediq.runtime.retry import RetryPolicy
from mediq.runtime.supervisor import Child
from mediq.transport.base import MAX_ATTEMPTS, Binding, Delivery, Transport
from mediq.transport.envelope import ASK, ERROR, REPLY, Envelope, Kind, new_id

_encode: Final = msgspec.msgpack.Encoder().encode
_Method = Callable[[Any, Context], Awaitable[Any]]
_log = logging.logger("cell")


class _Unreadable(Exception):
    """A message that its actor cannot read: what its sender is told, and under which reason it is kept."""

    def __init__(self, detail: str, reason: str) -> None:
        super().__init__(reason)
        self.detail = detail
        self.reason = reason


class ActorCell(Child):
    """The child that a supervisor starts for one actor.

    `private` makes the mailbox this process's own. Deliveries are taken ahead of the workers, at most twice as many
    as are handled at once.
    """

    def __init__(
        self,
        actor: Actor,
        transport: Transport,
        mailbox: str,
        *,
        private: bool = False,
        retry: RetryPolicy | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.actor = actor
        self.mailbox = mailbox
        self._transport = transport
        self._private = private
        self._retry = retry or RetryPolicy(initial=0.1)
        self._clock = clock
        self._handlers = actor.handlers
        self._waiting: deque[Delivery | None] = deque()
        self._idle: list[asyncio.Future[None]] = []
        self._coming = False
        self._calling = False
        self._verbose = _log.is_enabled_for(std_logging.DEBUG)  # asked once: a logger made late costs 2 µs a call
        self._binding: Binding | None = None

    async def start(self) -> None:
        metrics.mailbox_depth.labels(self.mailbox).set_function(self._waiting.__len__)
        try:
            await self.actor.on_start()
            self._binding = await self._transport.bind(
                self.mailbox, self._take, prefetch=2 * self.actor.concurrency, private=self._private
            )
        except BaseException:
            await self.actor.on_stop()
            raise

    async def run(self) -> None:
        """Handle messages until told to stop; an exception of `actor.run` ends the cell with it."""
        aside = asyncio.create_task(self.actor.run())
        workers = [asyncio.create_task(self._work()) for _ in range(self.actor.concurrency)]
        try:
            await asyncio.wait([aside, *workers], return_when=asyncio.FIRST_COMPLETED)
            if aside.done():
                aside.result()
            await asyncio.gather(*workers)
        finally:
            for task in (aside, *workers):
                task.cancel()
            await asyncio.gather(aside, *workers, return_exceptions=True)
            await self._give_back()
            await self.actor.on_stop()

    async def stop(self) -> None:
        """Take no more, and let the workers finish what was taken; `run` then returns."""
        if self._binding is not None:
            await self._binding.close()
        self._waiting.append(None)
        self._wake(len(self._idle))

    def _take(self, delivery: Delivery) -> None:
        """Wake one worker, and the others only if it leaves something: most handlers wait for nothing, so that one
        worker gets through all that came together."""
        self._waiting.append(delivery)
        if not self._coming:
            self._wake(1)
        elif not self._calling:
            self._calling = True
            asyncio.get_running_loop().call_soon(self._call)  # after the worker that is coming

    def _call(self) -> None:
        self._calling = False
        self._wake(len(self._waiting))

    def _wake(self, workers: int) -> None:
        for _ in range(min(workers, len(self._idle))):
            idle = self._idle.pop()
            if not idle.done():  # cancelled
                idle.set_result(None)
                self._coming = True

    async def _work(self) -> None:
        while True:
            if not self._waiting:
                idle = asyncio.get_running_loop().create_future()
                self._idle.append(idle)
                await idle
                self._coming = False
            elif (delivery := self._waiting[0]) is None:
                return  # and leave it there, for the others
            else:
                self._waiting.popleft()
                try:
                    await self._handle(delivery)
                except BaseException:  # cancelled, or the transport failed: whoever is next begins anew
                    await delivery.requeue()
                    raise

    async def _give_back(self) -> None:
        """Return what no worker began to whoever consumes the mailbox next."""
        if self._binding is not None:
            await self._binding.close()
        while self._waiting:
            if (delivery := self._waiting.popleft()) is not None:
                await delivery.requeue()

    async def _handle(self, delivery: Delivery) -> None:
        envelope = delivery.envelope
        context = Context(
            principal=envelope.principal,
            deadline=envelope.deadline,
            key=envelope.idempotency_key or envelope.id,
            attempt=envelope.attempt,
            headers=envelope.headers,
        )
        current.set(context)  # until the next message: that of a worker's task is its own
        if envelope.deadline is not None and envelope.deadline <= self._clock():
            await delivery.ack()  # nobody waits for it any more
            return
        try:
            method, message = self._open(envelope)
        except _Unreadable as why:
            await self._fail(delivery, Malformed(f"{envelope.pattern}: {why.detail}"), why.reason)
            return
        began = time.perf_counter()
        outcome = "ok"
        try:
            reply = _encode(await method(message, context))
        except DomainError as error:
            outcome = "refused"
            await self._answer(envelope, ERROR, _encode(to_wire(error)))
            await delivery.ack()
        except Fault as error:
            outcome = "fault"
            await self._fault(delivery, error)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _being_cancelled():
                outcome = "cancelled"
                raise
            outcome = "crash"  # also where the handler awaited something that was cancelled
            await self._crash(delivery, error)
        else:
            await self._answer(envelope, REPLY, reply)
            await delivery.ack()
        finally:
            seconds = time.perf_counter() - began
            metrics.message_seconds.observe((envelope.pattern, outcome), seconds)
            if self._verbose:
                _log.debug("message", pattern=envelope.pattern, outcome=outcome, ms=round(seconds * 1000, 1))

    def _open(self, envelope: Envelope) -> tuple[_Method, Any]:
        """The message in an envelope, and the actor's method for it."""
        found = self._handlers.get(envelope.pattern)
        if found is None:
            raise _Unreadable("pesan tidak dikenal", "unknown pattern")
        spec, method = found
        try:
            return method, spec.decode(envelope.body)
        except (ValueError, RecursionError) as error:  # msgspec's own, bad UTF-8, or nested too deep
            raise _Unreadable(str(error), f"undecodable: {error}") from error

    async def _fault(self, delivery: Delivery, error: Fault) -> None:
        """An asker decides for itself whether to ask again; what was merely told is tried again here."""
        if delivery.envelope.kind is ASK:
            await self._answer(delivery.envelope, ERROR, _encode(to_wire(error)))
            await delivery.ack()
            return
        _log.warning("told message met a fault", pattern=delivery.envelope.pattern, code=error.code)
        await delivery.retry(self._retry.delay(delivery.envelope.attempt))

    async def _crash(self, delivery: Delivery, error: BaseException) -> None:
        """Try again with backoff while the deadline lives, then give the message up.

        What came to a private mailbox counts as settled and cannot come again.
        """
        envelope = delivery.envelope
        _log.exception("handler crashed", pattern=envelope.pattern, attempt=envelope.attempt)
        delay = self._retry.delay(envelope.attempt)
        in_time = envelope.deadline is None or self._clock() + delay < envelope.deadline
        if envelope.attempt < MAX_ATTEMPTS and in_time and not self._private:
            await delivery.retry(delay)
        else:
            await self._fail(delivery, Internal(), f"crash: {type(error).__name__}")

    async def _fail(self, delivery: Delivery, error: DomainError | Fault, reason: str) -> None:
        await self._answer(delivery.envelope, ERROR, _encode(to_wire(error)))
        await delivery.dead(reason)

    async def _answer(self, envelope: Envelope, kind: Kind, body: bytes) -> None:
        if envelope.kind is not ASK or envelope.reply_to is None:
            return
        answer = Envelope(
            id=new_id(),
            pattern=envelope.pattern,
            kind=kind,
            body=body,
            correlation_id=envelope.id,
            deadline=envelope.deadline,
        )
        try:
            if not self._transport.send_nowait(envelope.reply_to, answer):
                await self._transport.send(envelope.reply_to, answer)
        except Fault as error:  # the asker has gone, or waits no longer
            _log.debug("reply dropped", pattern=envelope.pattern, code=error.code)


def _being_cancelled() -> bool:
    """Whether this very task was told to end, and not merely something that it awaits."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

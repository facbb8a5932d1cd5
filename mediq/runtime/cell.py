"""The cell that runs one actor: receives deliveries, calls the actor's methods, replies, settles."""

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
    """A message that its actor cannot decode: `detail` for its sender, `reason` for the dead letter."""

    def __init__(self, detail: str, reason: str) -> None:
        super().__init__(reason)
        self.detail = detail
        self.reason = reason


class ActorCell(Child):
    """Runs one actor under a supervisor.

    The cell starts `actor.concurrency` workers and holds at most twice as many unsettled deliveries.
    """

    def __init__(
        self,
        actor: Actor,
        transport: Transport,
        mailbox: str,
        *,
        retry: RetryPolicy | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.actor = actor
        self.mailbox = mailbox
        self._transport = transport
        self._retry = retry or RetryPolicy(initial=0.1)
        self._clock = clock
        self._handlers = actor.handlers
        # A deque and futures, not asyncio.Queue: with 64 asks in progress a Queue costs 16 % more CPU an ask.
        self._waiting: deque[Delivery | None] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._verbose = _log.is_enabled_for(std_logging.DEBUG)  # checked once: each check costs 2 µs
        self._binding: Binding | None = None

    async def start(self) -> None:
        metrics.mailbox_depth.labels(self.mailbox).set_function(self._waiting.__len__)
        try:
            await self.actor.on_start()
            self._binding = await self._transport.bind(self.mailbox, self._enqueue, prefetch=2 * self.actor.concurrency)
        except BaseException:
            await self.actor.on_stop()
            raise

    async def run(self) -> None:
        """Handle messages until stopped. An exception of `actor.run` ends the cell and is raised."""
        background = asyncio.create_task(self.actor.run())
        workers = [asyncio.create_task(self._work()) for _ in range(self.actor.concurrency)]
        try:
            await asyncio.wait([background, *workers], return_when=asyncio.FIRST_COMPLETED)
            if background.done():
                background.result()
            await asyncio.gather(*workers)
        finally:
            for task in (background, *workers):
                task.cancel()
            await asyncio.gather(background, *workers, return_exceptions=True)
            await self._requeue_waiting()
            await self.actor.on_stop()

    async def stop(self) -> None:
        """Receive no more; the workers finish what was received before, then `run` returns."""
        if self._binding is not None:
            await self._binding.close()
        for _ in range(self.actor.concurrency):
            self._enqueue(None)

    def _enqueue(self, delivery: Delivery | None) -> None:
        """Queue a delivery and wake one idle worker; None ends a worker."""
        self._waiting.append(delivery)
        if self._idle and not (idle := self._idle.popleft()).done():
            idle.set_result(None)

    async def _work(self) -> None:
        while True:
            while not self._waiting:
                idle = asyncio.get_running_loop().create_future()
                self._idle.append(idle)
                await idle
            if (delivery := self._waiting.popleft()) is None:
                return
            try:
                await self._handle(delivery)
            except BaseException:  # cancelled, or the transport failed: another consumer will handle it
                await delivery.requeue()
                raise

    async def _requeue_waiting(self) -> None:
        """Return the deliveries that no worker has begun to the mailbox."""
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
        current.set(context)  # until the next message; each worker's task has its own context
        if envelope.deadline is not None and envelope.deadline <= self._clock():
            await delivery.ack()  # its asker no longer waits
            return
        try:
            method, message = self._decode(envelope)
        except _Unreadable as error:
            await self._fail(delivery, Malformed(f"{envelope.pattern}: {error.detail}"), error.reason)
            return
        began = time.perf_counter()
        outcome = "ok"
        try:
            reply = _encode(await method(message, context))
        except DomainError as error:
            outcome = "refused"
            await self._reply(envelope, ERROR, _encode(to_wire(error)))
            await delivery.ack()
        except Fault as error:
            outcome = "fault"
            await self._fault(delivery, error)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_being_cancelled():
                outcome = "cancelled"
                raise
            outcome = "crash"  # also if the handler awaited a task that was cancelled
            await self._crash(delivery, error)
        else:
            await self._reply(envelope, REPLY, reply)
            await delivery.ack()
        finally:
            seconds = time.perf_counter() - began
            metrics.message_seconds_for(envelope.pattern, outcome).observe(seconds)
            if self._verbose:
                _log.debug("message", pattern=envelope.pattern, outcome=outcome, ms=round(seconds * 1000, 1))

    def _decode(self, envelope: Envelope) -> tuple[_Method, Any]:
        """Return the actor's method for an envelope, and the message for it. Raises _Unreadable."""
        found = self._handlers.get(envelope.pattern)
        if found is None:
            raise _Unreadable("pesan tidak dikenal", "unknown pattern")
        spec, method = found
        try:
            return method, spec.decode(envelope.body)
        except (ValueError, RecursionError) as error:  # msgspec's errors, bad UTF-8, or nested too deep
            raise _Unreadable(str(error), f"undecodable: {error}") from error

    async def _fault(self, delivery: Delivery, error: Fault) -> None:
        """Reply to an ask, so that its asker decides about a retry; retry a told message here."""
        if delivery.envelope.kind is ASK:
            await self._reply(delivery.envelope, ERROR, _encode(to_wire(error)))
            await delivery.ack()
            return
        _log.warning("told message met a fault", pattern=delivery.envelope.pattern, code=error.code)
        await delivery.retry(self._retry.delay(delivery.envelope.attempt))

    async def _crash(self, delivery: Delivery, error: BaseException) -> None:
        """Retry with backoff until attempts or deadline are used up, then make the message a dead letter."""
        envelope = delivery.envelope
        _log.exception("handler crashed", pattern=envelope.pattern, attempt=envelope.attempt)
        delay = self._retry.delay(envelope.attempt)
        in_time = envelope.deadline is None or self._clock() + delay < envelope.deadline
        if envelope.attempt < MAX_ATTEMPTS and in_time:
            await delivery.retry(delay)
        else:
            await self._fail(delivery, Internal(), f"crash: {type(error).__name__}")

    async def _fail(self, delivery: Delivery, error: DomainError | Fault, reason: str) -> None:
        await self._reply(delivery.envelope, ERROR, _encode(to_wire(error)))
        await delivery.dead_letter(reason)

    async def _reply(self, envelope: Envelope, kind: Kind, body: bytes) -> None:
        if envelope.kind is not ASK or envelope.reply_to is None:
            return
        reply = Envelope(
            id=new_id(),
            pattern=envelope.pattern,
            kind=kind,
            body=body,
            correlation_id=envelope.id,
            deadline=envelope.deadline,
        )
        try:
            if not self._transport.send_nowait(envelope.reply_to, reply):
                await self._transport.send(envelope.reply_to, reply)
        except Fault as error:  # the asker has stopped, or no longer waits
            _log.debug("reply dropped", pattern=envelope.pattern, code=error.code)


def _is_being_cancelled() -> bool:
    """Whether this task itself is being cancelled, not only something that it awaits."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

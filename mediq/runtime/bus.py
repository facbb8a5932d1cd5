"""The bus: ask, tell and publish, the same whether the other actor runs in this process or in another.

`ask` is built above the transport: replies arrive in a private mailbox of this process, and their correlation id finds
the future that waits for each.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

import msgspec

from mediq.messages.errors import Fault, Internal, MailboxFull, Unavailable, WireError, from_wire
from mediq.messages.principal import Principal
from mediq.messages.registry import Request, Spec, spec_named, spec_of
from mediq.observability import logging
from mediq.runtime.circuit_breaker import BreakerPolicy, CircuitBreaker
from mediq.runtime.context import current, following
from mediq.runtime.pending_replies import PendingReplies
from mediq.runtime.retry import RetryPolicy
from mediq.runtime.supervisor import Child
from mediq.transport.base import Binding, Transport
from mediq.transport.envelope import ASK, ERROR, EVENT, TELL, Envelope, new_id

R = TypeVar("R")

_encode = msgspec.msgpack.Encoder().encode
_decode_error = msgspec.msgpack.Decoder(WireError).decode
_log = logging.logger("bus")
_ROOM_SECONDS: Final = 1.0
"""Seconds that an ask waits for room in a full mailbox. Behind a full mailbox, a reply would hardly come in time."""
_FAIR_SHARE: Final = 0.5
"""Part of the bus's timeout that an attempt must have had for its expiry to count against the service."""


class Bus(Child):
    """Connects this process to every service.

    `mailboxes` gives the mailbox of each service by its name; `timeout` is the default time for an ask in seconds.

    Example::

        bus = Bus(transport, {"queue": "patient_queue_service_queue"})
        await bus.start()
        ticket = await bus.ask(AddPatient(...), timeout=2.0, key="job-7:add-patient")
        await bus.publish(TicketCalled(...))
        subscription = await bus.subscribe("queue.*", on_event)
    """

    def __init__(
        self,
        transport: Transport,
        mailboxes: Mapping[str, str],
        *,
        timeout: float = 5.0,
        retry: RetryPolicy | None = None,
        breaker: BreakerPolicy | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.transport = transport
        self.mailboxes = mailboxes
        self.timeout = timeout
        self.clock = clock
        self.breakers = {service: CircuitBreaker(service, breaker) for service in mailboxes}
        self._retry = retry or RetryPolicy()
        self._reply_to = f"replies.{new_id()}"
        self._replies = PendingReplies()
        self._stopped = asyncio.Event()

    async def start(self) -> None:
        self._stopped.clear()
        await self.transport.bind(self._reply_to, self._replies.receive, prefetch=0, private=True)

    async def run(self) -> None:
        await self._stopped.wait()

    async def stop(self) -> None:
        """Fail every pending ask with Unavailable: its reply can no longer arrive."""
        self._stopped.set()
        self._replies.fail(Unavailable)

    def ask(
        self,
        message: Request[R],
        *,
        timeout: float | None = None,
        key: str | None = None,
        principal: Principal | None = None,
    ) -> Coroutine[Any, Any, R]:
        """Send a request to its service and wait for the reply.

        The time limit is `timeout` seconds (by default the bus's), or the time left in the current context if that is
        less. A request that is idempotent by its type, or has an idempotency `key`, is repeated after a temporary
        fault. The principal is that of the current context unless given.

        Raises:
            DomainError: the service refused the request.
            Fault: the service could not reply.
        """
        spec: Spec[R] = spec_of(type(message))
        context = current.get()
        deadline = self.clock() + (self.timeout if timeout is None else timeout)
        if context.deadline is not None:
            deadline = min(deadline, context.deadline)
        envelope = Envelope(
            id=new_id(),
            pattern=spec.pattern,
            kind=ASK,
            body=_encode(message),
            reply_to=self._reply_to,
            deadline=deadline,
            idempotency_key=key,
            principal=principal or context.principal,
            headers=context.headers,
        )
        return self._exchange(spec, envelope, deadline, repeatable=spec.idempotent or key is not None)

    async def tell(self, message: Request[Any], *, key: str | None = None) -> None:
        """Put a request into its service's mailbox and return when it is there. No reply is sent.

        The handler runs without a principal, as the application itself, whatever the current context.

        Raises:
            MailboxFull: the mailbox had no room within the bus's timeout.
        """
        spec = spec_of(type(message))
        envelope = Envelope(
            id=new_id(),
            pattern=spec.pattern,
            kind=TELL,
            body=_encode(message),
            idempotency_key=key,
            headers=current.get().headers,
        )
        mailbox = self.mailboxes[spec.service]
        if not self.transport.send_nowait(mailbox, envelope):
            try:
                async with asyncio.timeout(self.timeout):  # the envelope has no deadline of its own
                    await self.transport.send(mailbox, envelope)
            except TimeoutError:
                raise MailboxFull(retry_after=1.0) from None

    async def publish(self, event: msgspec.Struct, *, topic: str | None = None) -> None:
        """Send an event to all subscribers. `topic` is needed for an event class that has several patterns."""
        topic = topic or spec_of(type(event)).pattern
        await self.transport.publish(
            topic,
            Envelope(
                id=new_id(),
                pattern=topic,
                kind=EVENT,
                body=_encode(event),
                headers=current.get().headers,
            ),
        )

    async def subscribe(self, pattern: str, on_event: Callable[[Any], None]) -> Binding:
        """Call `on_event` with every event whose topic matches `pattern`; see :meth:`Transport.subscribe`.

        An event that cannot be decoded, and an exception of `on_event`, are logged and skipped.
        """

        def decode(envelope: Envelope) -> None:
            spec = spec_named(envelope.pattern)
            if spec is None:
                return
            try:
                event = spec.decode(envelope.body)
            except (ValueError, RecursionError):
                _log.warning("event not understood", pattern=envelope.pattern)
                return
            with following(envelope.headers):
                try:
                    on_event(event)
                except Exception:
                    _log.exception("event not handled", pattern=envelope.pattern)

        return await self.transport.subscribe(pattern, decode)

    async def _exchange(self, spec: Spec[R], envelope: Envelope, deadline: float, *, repeatable: bool) -> R:
        """Send an ask and wait for its reply; repeat it as the retry policy allows."""
        service = spec.service
        mailbox, breaker = self.mailboxes[service], self.breakers[service]
        made = 0
        while True:
            left = deadline - self.clock()
            probe = breaker.enter()
            reply = self._replies.expect(envelope.id, left)
            try:
                if not self.transport.send_nowait(mailbox, envelope):
                    await self.transport.send(mailbox, envelope, room=_ROOM_SECONDS)
                result = _read(spec, await reply)
            except BaseException as error:
                breaker.raised(error, probe, patient=left >= _FAIR_SHARE * self.timeout)
                if not isinstance(error, Fault):
                    raise
                error.service = error.service or service
                made += 1
                pause = self._retry.pause(error, made=made, left=deadline - self.clock()) if repeatable else None
                if pause is None:
                    raise
            else:
                breaker.succeeded(probe)
                return result
            finally:
                self._replies.forget(envelope.id)
            await asyncio.sleep(pause)


def _read(spec: Spec[R], reply: Envelope) -> R:
    """Decode a reply. Raises the DomainError or Fault that the reply carries."""
    assert spec.decode_reply is not None
    try:
        if reply.kind is ERROR:
            raise from_wire(_decode_error(reply.body))
        result: R = spec.decode_reply(reply.body)
    except (ValueError, RecursionError) as error:  # msgspec's errors, bad UTF-8, or nested too deep
        raise Internal(f"{spec.pattern}: jawaban tidak dapat dibaca") from error
    return result

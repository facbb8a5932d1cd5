"""Ask, tell, publish: how the parts of the house talk, wherever they run.

`ask` is built once, above the transport: replies come to an ordinary mailbox of this process and meet the future that
waits for them by correlation id.
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
from mediq.runtime.circuit_breaker import Breaker, BreakerPolicy
from mediq.runtime.context import current, following
from mediq.runtime.pending_replies import Replies
from mediq.runtime.retry import RetryPolicy
from mediq.runtime.supervisor import Child
from mediq.transport.base import Binding, Transport
from mediq.transport.envelope import ASK, ERROR, EVENT, TELL, Envelope, new_id

R = TypeVar("R")

_encode = msgspec.msgpack.Encoder().encode
_decode_error = msgspec.msgpack.Decoder(WireError).decode
_log = logging.logger("bus")
_ROOM_SECONDS: Final = 1.0
"""How long an ask waits for room in a mailbox: behind so many that wait already it would hardly be answered in time."""
_PATIENCE: Final = 0.5
"""Part of the bus's timeout that an attempt must have for its running out to count against the service."""


class Bus(Child):
    """One process's way to every service.

    `mailboxes` gives the mailbox of each service by name.
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
        self.breakers = {service: Breaker(service, breaker) for service in mailboxes}
        self._retry = retry or RetryPolicy()
        self._reply_to = f"replies.{new_id()}"
        self._replies = Replies()
        self._stopped = asyncio.Event()

    async def start(self) -> None:
        self._stopped.clear()
        await self.transport.bind(self._reply_to, self._replies.take, prefetch=0, private=True)

    async def run(self) -> None:
        await self._stopped.wait()

    async def stop(self) -> None:
        """Fail whoever still waits: their answers can no longer come."""
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

        It has `timeout` seconds (the bus's own unless given), or what the present context has left if that is less. A
        request that is idempotent, or made so by a `key`, is repeated after a passing fault. The principal is the
        context's unless given.

        Raises:
            DomainError: the service refused.
            Fault: the service could not answer.
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
        """Put a request into its service's mailbox; returns when it is there. Nobody waits for what comes of it.

        What is told runs in the name of the house, not of whoever the present context speaks for.

        Raises:
            MailboxFull: there was no room within the bus's timeout.
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
                async with asyncio.timeout(self.timeout):  # it has no deadline that would end the wait
                    await self.transport.send(mailbox, envelope)
            except TimeoutError:
                raise MailboxFull(retry_after=1.0) from None

    async def publish(self, event: msgspec.Struct, *, topic: str | None = None) -> None:
        """Tell whoever listens what has happened. `topic` is needed where one class goes under several patterns."""
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
        """Call `on_event` with every event whose topic matches `pattern`; see :meth:`Transport.subscribe`."""

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
        """Send an ask and wait for what is replied to it, several times if it must be."""
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
                breaker.raised(error, probe, patient=left >= _PATIENCE * self.timeout)
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


def _read(spec: Spec[R], answer: Envelope) -> R:
    """What an answer says. Raises whatever error it carries."""
    assert spec.decode_reply is not None
    try:
        if answer.kind is ERROR:
            raise from_wire(_decode_error(answer.body))
        result: R = spec.decode_reply(answer.body)
    except (ValueError, RecursionError) as error:  # msgspec's own, bad UTF-8, or nested too deep
        raise Internal(f"{spec.pattern}: jawaban tidak dapat dibaca") from error
    return result

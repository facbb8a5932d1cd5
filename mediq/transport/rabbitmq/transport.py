"""The transport between processes, over RabbitMQ: durable mailboxes, confirmed messages, a connection that comes back.

Every message that was taken is at the broker's disk, and stays there until it is settled. What is between two states
when a process or the broker dies comes again rather than not at all: handlers see some messages twice.
"""

import asyncio
import itertools
import math
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from mediq.messages.errors import Unavailable
from mediq.observability import logging
from mediq.transport.base import Binding, OnDelivery, OnEvent, Transport
from mediq.transport.envelope import Envelope, encode_frame, new_id
from mediq.transport.rabbitmq.binding import Attachment, PrivateConsumer, Subscription
from mediq.transport.rabbitmq.connection import STALL, Link, Refused
from mediq.transport.rabbitmq.consumer import Consumer
from mediq.transport.rabbitmq.publisher import Outbox
from mediq.transport.rabbitmq.topology import EVENTS, declare_events

_log: Final = logging.logger("rabbitmq")


def jittered(attempt: int) -> float:
    """Seconds before the n-th attempt to connect again: 0.1, 0.2, 0.4 ... 2, up to half as much again."""
    return min(2.0, 0.1 * 2.0 ** (attempt - 1)) * random.uniform(1.0, 1.5)  # noqa: S311 - jitter, no secret


class RabbitTransport(Transport):
    """A process's end of a broker. `capacity` bounds each mailbox, `event_capacity` each subscription."""

    def __init__(
        self,
        url: str,
        *,
        capacity: int = 1000,
        event_capacity: int = 10_000,
        clock: Callable[[], float] = time.time,
        backoff: Callable[[int], float] = jittered,
    ) -> None:
        self.bindings: list[Attachment] = []
        self._url = url
        self.capacity = capacity
        self.event_capacity = event_capacity
        self._clock = clock
        self._backoff = backoff
        self._link: Link | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._outboxes: dict[str, Outbox] = {}

    async def start(self) -> None:
        self._link = await self._connect()
        self._keeping = asyncio.create_task(self._keep(self._link))

    async def stop(self) -> None:
        """Whoever waits is turned away, then what is not settled is given back, then the connection ends."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
            self._keeping = None
        link, self._link = self._link, None
        for outbox in list(self._outboxes.values()):
            outbox.close()
        bindings, self.bindings = self.bindings, []
        await asyncio.gather(*(binding.close() for binding in bindings))
        if link is not None:
            if not link.lost.is_set():
                await asyncio.gather(*(binding.end() for binding in bindings))
            await link.close()

    async def ping(self) -> None:
        """Send word and have it confirmed, through no queue."""
        link = self._connected()
        try:
            async with asyncio.timeout(STALL):
                await link.publish("mediq.ping", b"", durable=False)
        except TimeoutError:
            raise Unavailable from None

    async def bind(self, mailbox: str, on_delivery: OnDelivery, prefetch: int, *, private: bool = False) -> Binding:
        if private:
            return await self._attach(PrivateConsumer(mailbox, on_delivery, self.capacity, self._clock))
        return await self._attach(Consumer(mailbox, on_delivery, prefetch, self.capacity, self._clock))

    async def send(self, mailbox: str, envelope: Envelope, *, room: float = math.inf) -> None:
        self._connected()
        outbox = self._outboxes.get(mailbox)
        if outbox is None:
            outbox = self._outboxes[mailbox] = Outbox(
                partial(self._publish, mailbox), self._clock, partial(self._forget, mailbox)
            )
        await outbox.put(envelope, room)

    async def publish(self, topic: str, envelope: Envelope) -> None:
        link = self._connected()
        try:
            async with asyncio.timeout(STALL):
                await link.publish(topic, encode_frame([envelope]), exchange=EVENTS, durable=False)
        except (TimeoutError, Refused):
            raise Unavailable from None

    async def subscribe(self, pattern: str, on_event: OnEvent) -> Binding:
        return await self._attach(Subscription(f"events.{new_id()}", pattern, on_event, self.event_capacity))

    def _connected(self) -> Link:
        if self._link is None or self._link.lost.is_set() or self._link.stalled:
            raise Unavailable
        return self._link

    async def _publish(self, mailbox: str, frame: bytes, expiration: float | None) -> None:
        if self._link is None:
            raise Unavailable
        await self._link.publish(mailbox, frame, expiration=expiration)

    def _forget(self, mailbox: str) -> None:
        self._outboxes.pop(mailbox, None)

    async def _attach(self, binding: Attachment) -> Attachment:
        link = self._connected()
        self.bindings = [each for each in self.bindings if each.open or each.owing]
        self.bindings.append(binding)  # first, so that a link that comes meanwhile finds it
        try:
            await binding.attach(link)
        except BaseException:
            binding.open = False
            raise
        return binding

    async def _keep(self, link: Link) -> None:
        """Connect again whenever the connection is lost, and give every binding its new one."""
        while True:
            await link.lost.wait()
            self._link = None
            _log.warning("broker lost")
            for outbox in list(self._outboxes.values()):
                outbox.fail()
            await link.close()
            for attempt in itertools.count(1):
                await asyncio.sleep(self._backoff(attempt))
                try:
                    link = await self._connect()
                except Exception as error:  # whatever it is: to give up would leave the process deaf
                    _log.warning("broker not reached", attempt=attempt, error=repr(error.__cause__ or error))
                else:
                    break
            self._link = link
            _log.info("broker reached again")

    async def _connect(self) -> Link:
        """A new link with all that is bound."""
        link = Link()
        try:
            await link.open(self._url)
            async with link.topology() as channel:
                await declare_events(channel)
            for binding in list(self.bindings):
                await binding.attach(link)
        except BaseException:
            await link.close()
            raise
        return link

"""The transport between processes, over RabbitMQ: durable mailboxes, publisher confirms, reconnection.

Every message that was accepted is on the broker's disk until it is settled. If a process or the broker dies in between
two states of a message, the message is delivered again: handlers see some messages twice.
"""

import asyncio
import random
import time
from collections.abc import Callable
from functools import partial

from mediq.messages.errors import Unavailable
from mediq.transport.base import Binding, OnDelivery, OnEvent, Transport
from mediq.transport.envelope import Envelope, encode_frame, new_id
from mediq.transport.rabbitmq.binding import PrivateConsumer, ReconnectingBinding, Subscription
from mediq.transport.rabbitmq.connection import STALL, Connection, Refused
from mediq.transport.rabbitmq.consumer import Consumer
from mediq.transport.rabbitmq.publisher import Publisher


class RabbitTransport(Transport):
    """A transport over one RabbitMQ virtual host.

    `capacity` limits each mailbox and `event_capacity` each subscription, both in messages of the broker. After a lost
    connection, `reconnect_interval` is the time in seconds between the first two attempts, and doubles up to eight
    times as much; by default it differs from process to process, so that they do not all reconnect at once.
    """

    def __init__(
        self,
        url: str,
        *,
        capacity: int = 1000,
        event_capacity: int = 10_000,
        clock: Callable[[], float] = time.time,
        reconnect_interval: float | None = None,
    ) -> None:
        self.bindings: list[ReconnectingBinding] = []
        self.capacity = capacity
        self.event_capacity = event_capacity
        self._url = url
        self._clock = clock
        self._reconnect_interval = reconnect_interval or random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        self._connection: Connection | None = None
        self._publishers: dict[str, Publisher] = {}

    async def start(self) -> None:
        connection = Connection(self._url, self._reconnect_interval, on_lost=self._fail_publishers)
        try:
            await connection.open()
        except BaseException:
            await connection.close()
            raise
        self._connection = connection

    async def stop(self) -> None:
        """Fail pending sends, then return unsettled deliveries, then disconnect."""
        connection, self._connection = self._connection, None
        for publisher in list(self._publishers.values()):
            publisher.close()
        bindings, self.bindings = self.bindings, []
        await asyncio.gather(*(binding.close() for binding in bindings))
        await asyncio.gather(*(binding.end() for binding in bindings))
        if connection is not None:
            await connection.close()

    async def ping(self) -> None:
        connection = self._connected()
        try:
            async with asyncio.timeout(STALL):
                await connection.ping()
        except TimeoutError:
            raise Unavailable from None

    async def bind(self, mailbox: str, on_delivery: OnDelivery, prefetch: int, *, private: bool = False) -> Binding:
        connection = self._connected()
        if private:
            return await self._attach(PrivateConsumer(mailbox, on_delivery, self.capacity, self._clock))
        return await self._attach(Consumer(mailbox, on_delivery, prefetch, self.capacity, self._clock, connection))

    async def send(self, mailbox: str, envelope: Envelope, *, room: float = float("inf")) -> None:
        self._connected()
        publisher = self._publishers.get(mailbox)
        if publisher is None:
            publisher = self._publishers[mailbox] = Publisher(
                partial(self._publish, mailbox), self._clock, partial(self._forget, mailbox)
            )
        await publisher.put(envelope, room)

    async def publish(self, topic: str, envelope: Envelope) -> None:
        connection = self._connected()
        try:
            async with asyncio.timeout(STALL):
                await connection.publish_event(topic, encode_frame([envelope]))
        except (TimeoutError, Refused):
            raise Unavailable from None

    async def subscribe(self, pattern: str, on_event: OnEvent) -> Binding:
        return await self._attach(Subscription(f"events.{new_id()}", pattern, on_event, self.event_capacity))

    def _connected(self) -> Connection:
        if self._connection is None or not self._connection.up or self._connection.stalled:
            raise Unavailable
        return self._connection

    async def _publish(self, mailbox: str, frame: bytes, expiration: float | None) -> None:
        if self._connection is None:
            raise Unavailable
        await self._connection.publish(mailbox, frame, expiration=expiration)

    def _forget(self, mailbox: str) -> None:
        self._publishers.pop(mailbox, None)

    def _fail_publishers(self) -> None:
        for publisher in list(self._publishers.values()):
            publisher.fail()

    async def _attach(self, binding: ReconnectingBinding) -> ReconnectingBinding:
        connection = self._connected()
        self.bindings = [each for each in self.bindings if each.open or each.unsettled]
        await binding.attach(connection.consuming)
        self.bindings.append(binding)
        return binding

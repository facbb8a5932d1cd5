"""RabbitMQ as a back end of the transport contract suite."""

import asyncio
import time

import aiormq
from aiormq.abc import AbstractConnection, DeliveredMessage
from aiormq.exceptions import ChannelNotFoundEntity

from mediq.transport.base import Binding, DeadLetter, OnDelivery
from mediq.transport.envelope import Undecodable, decode_frame
from mediq.transport.rabbitmq import RabbitTransport
from mediq.transport.rabbitmq_topology import REASON, STEPS_MS, again_name, dead_name, retry_name
from tests.contract.transport.harness import Backend


class RabbitBackend(Backend):
    """One virtual host. Its mailboxes are deleted at the end, since the next case uses the same names."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.mailboxes: set[str] = set()
        self.capacity = 1000
        self.event_capacity = 10_000
        self._connection: AbstractConnection | None = None

    def make(self) -> "RecordedTransport":
        return RecordedTransport(self)

    async def inject(self, mailbox: str, raw: bytes) -> None:
        channel = await (await self._admin()).channel()
        await channel.basic_publish(raw, routing_key=mailbox, mandatory=True)
        await channel.close()

    async def dead_letters(self, mailbox: str) -> list[DeadLetter]:
        channel = await (await self._admin()).channel()
        letters = []
        try:
            while (message := await channel.basic_get(dead_name(mailbox))).delivery_tag is not None:
                letters.append(_dead_letter(mailbox, message))
        except ChannelNotFoundEntity:
            return []
        await channel.close()  # puts them back
        return letters

    async def shrink(self, *, capacity: int | None = None, event_capacity: int | None = None) -> None:
        self.capacity = capacity or self.capacity
        self.event_capacity = event_capacity or self.event_capacity
        for transport in self.transports:
            assert isinstance(transport, RabbitTransport)
            transport.capacity = self.capacity
            transport.event_capacity = self.event_capacity

    async def quiet(self) -> None:
        """What was confirmed is on its way to its consumer; nothing overtakes it there, so a question to the broker
        over the consumer's channel is answered after it. What a settlement sets free may come one round later."""
        for _ in range(3):
            for transport in self.transports:
                assert isinstance(transport, RabbitTransport)
                for binding in transport.bindings:
                    if binding.open:
                        await binding._channel.basic_qos(prefetch_count=1)  # for consumers to come: there are none
            channel = await (await self._admin()).channel()
            for mailbox in self.mailboxes:
                await channel.queue_declare(mailbox, passive=True)
            await channel.close()

    def now(self) -> float:
        return time.time()

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)  # the broker's clock is not ours to set

    async def close(self) -> None:
        await super().close()
        channel = await (await self._admin()).channel()
        for mailbox in self.mailboxes:
            for name in (
                mailbox,
                again_name(mailbox),
                dead_name(mailbox),
                *(retry_name(mailbox, step) for step in STEPS_MS),
            ):
                await channel.queue_delete(name)
        await (await self._admin()).close()

    async def depth(self, mailbox: str) -> int:
        """How many messages are in a mailbox and not out."""
        channel = await (await self._admin()).channel()
        count = (await channel.queue_declare(mailbox, passive=True)).message_count
        await channel.close()
        return count or 0

    async def wear_out(self, mailbox: str) -> None:
        """Take a message and give it back until the broker has had enough."""
        channel = await (await self._admin()).channel()
        while (message := await channel.basic_get(mailbox)).delivery_tag is not None:
            await channel.basic_nack(message.delivery_tag)
        await channel.close()

    async def delete(self, mailbox: str) -> None:
        channel = await (await self._admin()).channel()
        await channel.queue_delete(mailbox)
        await channel.close()

    async def _admin(self) -> AbstractConnection:
        if self._connection is None or self._connection.is_closed:
            self._connection = await aiormq.connect(self.url)
        return self._connection


class RecordedTransport(RabbitTransport):
    """Tells the back end which mailboxes it made."""

    def __init__(self, backend: RabbitBackend) -> None:
        super().__init__(
            backend.url,
            capacity=backend.capacity,
            event_capacity=backend.event_capacity,
            backoff=lambda attempt: 0.05,
        )
        self._backend = backend

    async def bind(self, mailbox: str, on_delivery: OnDelivery, prefetch: int, *, private: bool = False) -> Binding:
        binding = await super().bind(mailbox, on_delivery, prefetch, private=private)
        if not private:
            self._backend.mailboxes.add(mailbox)
        return binding


def _dead_letter(mailbox: str, message: DeliveredMessage) -> DeadLetter:
    """What lies in the dead letters of a mailbox."""
    try:
        (envelope,) = decode_frame(message.body)
    except (Undecodable, ValueError):
        envelope = None
    reason = str((message.header.properties.headers or {}).get(REASON, "deliveries"))
    return DeadLetter(mailbox=mailbox, reason=reason, envelope=envelope, raw=message.body)

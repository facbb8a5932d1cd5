"""Consumes a shared mailbox at RabbitMQ."""

import asyncio
from typing import Any

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from mediq.transport.base import OnDelivery
from mediq.transport.rabbitmq.binding import Clock, ReconnectingBinding
from mediq.transport.rabbitmq.connection import Connection
from mediq.transport.rabbitmq.delivery_tracker import DeliveryTracker
from mediq.transport.rabbitmq.redelivery import Redelivery
from mediq.transport.rabbitmq.relay import Relay
from mediq.transport.rabbitmq.topology import declare_mailbox


class Consumer(ReconnectingBinding):
    """A binding to a shared mailbox. Each channel has a tracker of its own for the deliveries that came over it."""

    def __init__(
        self,
        mailbox: str,
        on_delivery: OnDelivery,
        prefetch: int,
        capacity: int,
        clock: Clock,
        connection: Connection,
    ) -> None:
        super().__init__()
        self._mailbox = mailbox
        self._on_delivery = on_delivery
        self._prefetch = prefetch
        self._capacity = capacity
        self._clock = clock
        self._redelivery = Redelivery(mailbox, connection)
        self._relay = Relay(mailbox, connection)
        self._tracker: DeliveryTracker
        self._closing: asyncio.Task[None] | None = None

    @property
    def unsettled(self) -> bool:
        return self._tracker.unsettled

    async def end(self) -> None:
        await self._tracker.return_unsettled()

    async def _begin(self) -> None:
        self.channel = await self.connection.channel()
        self._tracker = self._make_tracker()
        self.channel.close_callbacks.add(self._replace_tracker)
        self._queue = await declare_mailbox(self.channel, self._mailbox, self._capacity)
        await self._relay.start()  # publishes to the mailbox, so that must exist
        await self.channel.set_qos(self._prefetch)
        await self._consume()

    async def _receive(self, message: DeliveredMessage) -> None:
        await self._tracker.receive(message)

    async def _cancel(self) -> None:
        assert self.channel is not None
        channel = await self.channel.get_underlay_channel()
        assert isinstance(channel, Channel)
        for tag in list(channel.consumers):
            await channel.basic_cancel(tag)

    async def _finish(self) -> None:
        """Return what was not handed out, and stop the relay.

        Both may publish, which takes long while the broker stalls; the handed-out deliveries can be settled meanwhile.
        """
        await asyncio.gather(self._tracker.close(), self._relay.stop())
        self._closing = asyncio.create_task(self._close_when_settled())

    async def _close_when_settled(self) -> None:
        await self._tracker.settled.wait()
        await self._release()

    async def _release(self) -> None:
        await self._relay.release()
        await super()._release()

    def _replace_tracker(self, *_: Any) -> None:
        """The channel is lost: forget its deliveries, and track those of the next."""
        self._tracker.lose()
        self._tracker = self._make_tracker()

    def _make_tracker(self) -> DeliveryTracker:
        tracker = DeliveryTracker(
            self._mailbox, self._on_delivery, self._prefetch, self._clock, self.connection, self._redelivery
        )
        tracker.open = self.open
        return tracker

"""A process that takes messages from the mailbox `box`, prints their bodies, acknowledges `done` and keeps the rest."""

import asyncio
import sys

from mediq.transport.base import Delivery
from mediq.transport.rabbitmq import RabbitTransport


async def main(url: str) -> None:
    transport = RabbitTransport(url)
    await transport.start()
    taken: asyncio.Queue[Delivery] = asyncio.Queue()
    await transport.bind("box", taken.put_nowait, 100)
    while True:
        delivery = await taken.get()
        if delivery.envelope.body == b"done":
            await delivery.ack()
        print(delivery.envelope.body.decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

"""What a question through the broker costs: gateway process → RabbitMQ → actor process → back.

    python bench/broker.py [--seconds 4] [--rounds 3] [--outstanding 64]

Beside MediQ's bus runs a request/reply written by hand with aio-pika, with the same guarantees: a durable quorum queue
that refuses when full, confirmed, persistent and mandatory requests that expire, acknowledged when they are answered,
confirmed and mandatory replies to a queue of the asker's own. The two take turns on one private broker, so that the
ratios hold although the machine is shared. Latencies are in milliseconds, costs in microseconds of CPU an ask.
"""

import sys
from pathlib import Path

sys.path.pop(0)  # the folder of this file, whose queue.py would stand before the library's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import asyncio
import resource
import statistics
import time
from abc import ABC, abstractmethod
from uuid import uuid4

import aio_pika
import msgspec
import uvloop
from aio_pika.abc import AbstractIncomingMessage

from bench.measure import quiet
from bench.work import MAILBOXES, PREFETCH, Ask, BenchActor, View, answer
from mediq.runtime.bus import Bus
from mediq.runtime.cell import ActorCell
from mediq.transport.rabbitmq.transport import RabbitTransport
from tests.fixtures.servers import RabbitMQ

OURS, BY_HAND = "mediq", "by hand"
TIMEOUT = 5.0
CAPACITY = 1000
BY_HAND_QUEUE = "by_hand_queue"


async def serve_ours(url: str) -> None:
    transport = RabbitTransport(url, capacity=CAPACITY)
    await transport.start()
    cell = ActorCell(BenchActor(Bus(transport, MAILBOXES)), transport, MAILBOXES["bench"])
    await cell.start()
    print("ready", flush=True)
    await cell.run()


async def serve_by_hand(url: str) -> None:
    connection = await aio_pika.connect(url)
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    await channel.set_qos(prefetch_count=PREFETCH)
    queue = await channel.declare_queue(
        BY_HAND_QUEUE,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-max-length": CAPACITY,
            "x-overflow": "reject-publish",
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": f"{BY_HAND_QUEUE}.dead",
            "x-delivery-limit": 20,
        },
    )
    decode = msgspec.msgpack.Decoder(Ask).decode
    encode = msgspec.msgpack.Encoder().encode

    async def on_message(message: AbstractIncomingMessage) -> None:
        reply = aio_pika.Message(
            encode(answer(decode(message.body))), correlation_id=message.correlation_id, expiration=TIMEOUT
        )
        await channel.default_exchange.publish(reply, message.reply_to or "", mandatory=True, timeout=TIMEOUT)
        await message.ack()

    await queue.consume(on_message)
    print("ready", flush=True)
    await asyncio.Future()


class Side(ABC):
    """One way to ask, with its own process that answers."""

    word: str

    def __init__(self, url: str) -> None:
        self.url = url
        self.rates: list[float] = []
        self.halves: list[float] = []
        self.tails: list[float] = []
        self.costs: list[float] = []

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--serve", self.word, self.url, stdout=asyncio.subprocess.PIPE
        )
        assert self.process.stdout is not None
        assert await self.process.stdout.readline() == b"ready\n"
        await self.connect()

    @abstractmethod
    async def connect(self) -> None: ...

    @abstractmethod
    async def ask(self, message: Ask) -> View: ...

    @abstractmethod
    async def disconnect(self) -> None: ...

    async def round(self, outstanding: int, seconds: float) -> None:
        """Keep so many asks under way for so long, and note what it gave."""
        took: list[float] = []
        until = time.perf_counter() + seconds

        async def keep_asking(number: int) -> None:
            message = Ask(user_id=f"user-{number}", service="poli-umum")
            while (begun := time.perf_counter()) < until:
                view = await self.ask(message)
                assert view.id == message.user_id
                took.append(time.perf_counter() - begun)

        begun, cpu = time.perf_counter(), self._cpu()
        await asyncio.gather(*(keep_asking(number) for number in range(outstanding)))
        elapsed, spent = time.perf_counter() - begun, self._cpu() - cpu
        cuts = statistics.quantiles(took, n=100)
        self.rates.append(len(took) / elapsed)
        self.halves.append(1000 * cuts[49])
        self.tails.append(1000 * cuts[98])
        self.costs.append(1e6 * spent / len(took))

    def _cpu(self) -> float:
        """Seconds of CPU of this process and the one that answers."""
        here = resource.getrusage(resource.RUSAGE_SELF)
        ticks = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return here.ru_utime + here.ru_stime + (int(ticks[11]) + int(ticks[12])) / 100

    async def stop(self) -> None:
        await self.disconnect()
        self.process.terminate()
        await self.process.wait()


class Ours(Side):
    word = "ours"

    async def connect(self) -> None:
        self.transport = RabbitTransport(self.url, capacity=CAPACITY)
        await self.transport.start()
        self.bus = Bus(self.transport, MAILBOXES, timeout=TIMEOUT)
        await self.bus.start()

    async def ask(self, message: Ask) -> View:
        return await self.bus.ask(message)

    async def disconnect(self) -> None:
        await self.bus.stop()
        await self.transport.stop()


class ByHand(Side):
    word = "by-hand"

    async def connect(self) -> None:
        self.connection = await aio_pika.connect(self.url)
        self.channel = await self.connection.channel(publisher_confirms=True, on_return_raises=True)
        self.replies = await self.channel.declare_queue(exclusive=True)
        self.pending: dict[str, asyncio.Future[bytes]] = {}
        self.encode = msgspec.msgpack.Encoder().encode
        self.decode = msgspec.msgpack.Decoder(View).decode
        await self.replies.consume(self.on_reply, no_ack=True)

    async def on_reply(self, message: AbstractIncomingMessage) -> None:
        future = self.pending.get(message.correlation_id or "")
        if future is not None and not future.done():
            future.set_result(message.body)

    async def ask(self, message: Ask) -> View:
        number = uuid4().hex
        future = self.pending[number] = asyncio.get_running_loop().create_future()
        asked = aio_pika.Message(
            self.encode(message),
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            correlation_id=number,
            reply_to=self.replies.name,
            expiration=TIMEOUT,
        )
        try:
            async with asyncio.timeout(TIMEOUT):
                await self.channel.default_exchange.publish(asked, BY_HAND_QUEUE, mandatory=True)
                return self.decode(await future)
        finally:
            del self.pending[number]

    async def disconnect(self) -> None:
        await self.connection.close()


async def compare(url: str, rounds: int, seconds: float, outstanding: int) -> None:
    print(f"{'':24} {'asks/s':>8} {'p50':>7} {'p99':>7} {'µs CPU':>7}   the median of {rounds} rounds")
    for width in (1, outstanding):
        sides: dict[str, Side] = {OURS: Ours(url), BY_HAND: ByHand(url)}
        for side in sides.values():
            await side.start()
            await side.round(width, 1.0)  # warm
            for column in (side.rates, side.halves, side.tails, side.costs):
                column.clear()
        for _ in range(rounds):
            for side in sides.values():
                await side.round(width, seconds)
        table = {}
        for name, side in sides.items():
            row = table[name] = [statistics.median(c) for c in (side.rates, side.halves, side.tails, side.costs)]
            print(f"{name + f', {width} under way':24} {row[0]:8.0f} {row[1]:7.2f} {row[2]:7.2f} {row[3]:7.0f}")
        ratios = [ours / theirs for ours, theirs in zip(table[OURS], table[BY_HAND], strict=True)]
        print(f"{'ratio':24} {ratios[0]:8.2f} {ratios[1]:7.2f} {ratios[2]:7.2f} {ratios[3]:7.2f}", flush=True)
        for side in sides.values():
            await side.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--outstanding", type=int, default=64, help="asks under way at once")
    parser.add_argument("--serve", nargs=2, metavar=("SIDE", "URL"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    quiet()
    if given.serve:
        side, url = given.serve
        uvloop.run(serve_ours(url) if side == Ours.word else serve_by_hand(url))
        return
    server = RabbitMQ()
    try:
        server.start()
        uvloop.run(compare(server.url(), given.rounds, given.seconds, given.outstanding))
    finally:
        server.close()


if __name__ == "__main__":
    main()

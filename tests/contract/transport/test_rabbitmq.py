"""The transport over RabbitMQ, beyond the contract of all transports: batches, topology, faults of the broker."""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aio_pika import RobustConnection
from aio_pika.exceptions import ChannelClosed
from structlog.testing import capture_logs
from structlog.typing import EventDict

from mediq.messages.errors import MailboxFull, Unavailable, Unroutable
from mediq.transport.base import Delivery, Transport
from mediq.transport.envelope import encode_frame
from mediq.transport.rabbitmq.connection import LONGEST
from mediq.transport.rabbitmq.topology import DELIVERIES, again_name
from mediq.transport.rabbitmq.transport import RabbitTransport
from tests.fixtures.servers import RabbitMQ
from tests.fixtures.transport.harness import PATIENCE, consume, listen, make_envelope, named, send_all
from tests.fixtures.transport.rabbit_harness import RabbitBackend, RecordedTransport

RECOVERY = 40.0
"""Seconds within which everything must work again after a fault."""


@pytest.fixture
async def backend(rabbitmq_url: str) -> AsyncIterator[RabbitBackend]:
    made = RabbitBackend(rabbitmq_url)
    yield made
    await made.close()


@pytest.fixture
async def transport(backend: RabbitBackend) -> RecordedTransport:
    made = await backend.transport()
    assert isinstance(made, RecordedTransport)
    return made


# Batches


async def test_messages_sent_in_one_turn_share_a_frame_in_order(backend: RabbitBackend, transport: Transport) -> None:
    inbox = await consume(transport, "box")
    await inbox.binding.close()
    await asyncio.gather(*(transport.send("box", make_envelope(body)) for body in named(64)))
    assert await backend.depth("box") < 10
    assert await (await consume(transport, "box")).bodies(64) == named(64)


async def test_an_envelope_without_a_deadline_keeps_its_batch_from_expiring(
    backend: RabbitBackend, transport: Transport
) -> None:
    inbox = await consume(transport, "box")
    await inbox.binding.close()
    await asyncio.gather(
        transport.send("box", make_envelope("short", deadline=backend.now() + 0.2)),
        transport.send("box", make_envelope("ever")),
    )
    await backend.pass_time(0.3)
    assert await (await consume(transport, "box")).bodies(1) == [b"ever"]


async def test_each_envelope_of_a_batch_is_settled_separately(backend: RabbitBackend, transport: Transport) -> None:
    inbox = await consume(transport, "box")
    await backend.inject("box", encode_frame([make_envelope(body) for body in ("ack", "retry", "dead", "requeue")]))
    ack, retry, dead, requeue = await inbox.take(4)
    await ack.ack()
    await retry.retry(0.0)
    await dead.dead_letter("no")
    await requeue.requeue()
    got = await inbox.take(2)
    assert [(d.envelope.body, d.envelope.attempt) for d in got] == [(b"retry", 2), (b"requeue", 1)]
    for delivery in got:
        await delivery.ack()
    assert [each.reason for each in await backend.dead_letters("box")] == ["no"]
    await transport.stop()
    assert await backend.depth("box") == 0


async def test_a_stop_returns_only_the_unsettled_envelopes_of_a_batch(
    backend: RabbitBackend, transport: Transport
) -> None:
    dying = await backend.transport()
    inbox = await consume(dying, "box")
    await backend.inject("box", encode_frame([make_envelope(body) for body in named(5)]))
    for delivery in (await inbox.take(5))[1:3]:
        await delivery.ack()
    await dying.stop()
    later = await consume(transport, "box")
    assert await later.bodies(3) == [b"0", b"3", b"4"]
    await backend.quiet()
    assert later.size == 0


async def test_a_closed_binding_returns_the_envelopes_that_it_did_not_hand_out(
    backend: RabbitBackend, transport: Transport
) -> None:
    inbox = await consume(transport, "box", prefetch=3)
    await backend.inject("box", encode_frame([make_envelope(body) for body in named(2)]))
    await backend.inject("box", encode_frame([make_envelope(body) for body in named(3, start=2)]))
    held = await inbox.take(3)
    await inbox.binding.close()
    for delivery in held:
        await delivery.ack()
    later = await consume(await backend.transport(), "box")
    assert sorted(await later.bodies(2)) == [b"3", b"4"]
    await backend.quiet()
    assert (inbox.size, later.size) == (0, 0)


async def test_a_batch_larger_than_prefetch_is_split_among_consumers(
    backend: RabbitBackend, transport: Transport
) -> None:
    slow = await consume(transport, "box", prefetch=1)
    await backend.inject("box", encode_frame([make_envelope(body) for body in named(6)]))
    kept = await slow.next()
    free = await consume(await backend.transport(), "box", prefetch=1)
    assert sorted([kept.envelope.body, *await free.bodies(5)]) == named(6)
    assert slow.size == 0


async def test_a_returned_batch_is_split(backend: RabbitBackend, transport: Transport) -> None:
    dying = await backend.transport()
    inbox = await consume(dying, "box")
    await backend.inject("box", encode_frame([make_envelope(body) for body in named(3)]))
    await inbox.take(3)
    await dying.stop()
    later = await consume(transport, "box", prefetch=10)
    await (await later.take(3))[1].ack()
    await transport.stop()
    assert await backend.depth("box") == 2


async def test_a_message_that_keeps_killing_its_consumers_becomes_a_dead_letter(
    backend: RabbitBackend, transport: Transport
) -> None:
    inbox = await consume(transport, "box")
    await transport.send("box", make_envelope("poison"))
    for _ in range(DELIVERIES):
        await (await inbox.next()).requeue()
    await transport.send("box", make_envelope("good"))
    assert await inbox.bodies(1) == [b"good"]
    (dead,) = await backend.dead_letters("box")
    assert dead.reason == "deliveries"
    assert dead.envelope is not None
    assert dead.envelope.body == b"poison"


async def test_the_broker_keeps_a_dead_letter_that_no_consumer_lived_to_see(
    backend: RabbitBackend, transport: Transport
) -> None:
    await (await consume(transport, "box")).binding.close()
    for body in ("plain", "retried"):
        inbox = await consume(transport, "box")
        await transport.send("box", make_envelope(body))
        delivery = await inbox.next()
        if body == "retried":
            await delivery.retry(0.01)
            delivery = await inbox.next()
        await inbox.binding.close()
        await delivery.requeue()
        await backend.wear_out("box")
    assert [dead.reason for dead in await backend.dead_letters("box")] == ["deliveries", "deliveries"]


# Topology


async def test_an_existing_queue_with_other_arguments_is_refused_with_an_explanation(
    backend: RabbitBackend, transport: RecordedTransport
) -> None:
    await consume(transport, "box")
    transport.capacity = 7
    with pytest.raises(Unavailable, match="box exists at the broker with other settings"):
        await consume(transport, "box")
    await transport.ping()


async def test_a_start_without_a_broker_fails() -> None:
    with pytest.raises(Unavailable):
        await RabbitTransport("amqp://guest:guest@127.0.0.1:1/").start()


async def test_a_start_with_a_wrong_password_fails(rabbitmq_url: str) -> None:
    with pytest.raises(Unavailable):
        await RabbitTransport(rabbitmq_url.replace("guest:guest", "guest:wrong")).start()


# Faults


async def test_every_binding_is_restored_after_a_lost_connection(
    backend: RabbitBackend, transport: RecordedTransport, rabbitmq: RabbitMQ
) -> None:
    inbox = await consume(transport, "box")
    private = await consume(transport, "mine", private=True)
    events = await listen(transport, "a.*")
    await send_all(transport, "box", named(3))
    first, *others = await inbox.take(3)
    await first.ack()
    host = backend.url.rpartition("/")[2]
    await asyncio.to_thread(rabbitmq.ctl, "close_all_connections", "--vhost", host, "a test")
    for late in others:
        await late.ack()  # no effect: the channel is lost
    await until(transport.ping)
    assert await inbox.bodies(2) == [b"1", b"2"]
    other = await backend.transport()
    await other.send("mine", make_envelope("reply"))
    await other.publish("a.b", make_envelope("event"))
    assert (await private.next()).envelope.body == b"reply"
    assert await events.bodies(1) == [b"event"]


async def test_a_retried_message_waits_while_only_the_publishing_connection_is_down(
    backend: RabbitBackend, transport: RecordedTransport
) -> None:
    inbox = await consume(transport, "box")
    await transport.send("box", make_envelope("again"))
    await (await inbox.next()).retry(0.2)
    async with publishing_down(transport) as outage:
        await outage.attempts(6)
        assert inbox.size == 0
    assert (await inbox.next()).envelope.attempt == 2
    assert await backend.dead_letters("box") == []


async def test_a_batch_waits_to_be_split_while_only_the_publishing_connection_is_down(
    backend: RabbitBackend, transport: RecordedTransport
) -> None:
    inbox = await consume(transport, "box", prefetch=1)
    async with publishing_down(transport) as outage:
        await backend.inject("box", encode_frame([make_envelope(body) for body in named(6)]))
        await outage.attempts(6)
        assert (inbox.size, await backend.depth("box")) == (0, 1)
    assert sorted(await inbox.bodies(6)) == named(6)
    assert await backend.dead_letters("box") == []


async def test_a_handler_is_not_run_in_a_loop_while_only_the_publishing_connection_is_down(
    transport: RecordedTransport,
) -> None:
    inbox = await consume(transport, "box", prefetch=1)
    await transport.send("box", make_envelope("x"))
    delivery = await inbox.next()
    async with publishing_down(transport) as outage:
        await delivery.retry(1.0)
        await outage.attempts(6)
        assert inbox.size == 0
    delivery = await inbox.next()
    assert delivery.envelope.attempt == 1  # it came back as it was
    await delivery.retry(0.01)
    assert (await inbox.next()).envelope.attempt == 2


async def test_failed_attempts_to_reconnect_are_logged_and_grow_rarer(transport: RecordedTransport) -> None:
    async with publishing_down(transport) as outage:
        await outage.attempts(6)
        assert [each["attempt"] for each in outage.failures()] == list(range(1, len(outage.failures()) + 1))
        assert all("ConnectionError" in each["error"] or "refused" in each["error"] for each in outage.failures())
        assert outage.interval == pytest.approx(0.05 * LONGEST)
    await until(transport.ping)


async def test_what_is_settled_before_all_bindings_are_restored_is_settled(
    backend: RabbitBackend, transport: RecordedTransport, rabbitmq: RabbitMQ
) -> None:
    taken: list[Delivery] = []
    acks: list[asyncio.Future[None]] = []

    def take(delivery: Delivery) -> None:
        taken.append(delivery)
        if len(taken) > 5:
            acks.append(asyncio.ensure_future(delivery.ack()))

    await transport.bind("box", take, 5)
    for number in range(20):
        await listen(transport, f"a.{number}")
    await send_all(transport, "box", named(5))
    host = backend.url.rpartition("/")[2]
    await asyncio.to_thread(rabbitmq.ctl, "close_all_connections", "--vhost", host, "a test")
    await until(transport.ping)
    await until_true(lambda: len(acks) >= 5)
    await asyncio.gather(*acks)
    await backend.quiet()
    await transport.stop()
    assert await backend.depth("box") == 0


async def test_a_binding_that_cannot_be_restored_keeps_trying_and_tells_why(
    backend: RabbitBackend, transport: RecordedTransport
) -> None:
    inbox = await consume(transport, "box")
    with capture_logs() as lines:
        async with publishing_down(transport) as outage:
            await outage.attempts(1)
            await backend.replace("box", capacity=7)
        await until_true(lambda: any("x-max-length" in str(line) and line.get("attempt") == 2 for line in lines))
        await backend.delete("box")
        await until(lambda: transport.send("box", make_envelope("x")))
    assert await inbox.bodies(1) == [b"x"]


async def test_a_channel_that_cannot_be_reopened_gives_up_its_connection(
    backend: RabbitBackend, transport: RecordedTransport
) -> None:
    events = await listen(transport, "a.*")
    with capture_logs() as lines:
        await backend.replace_events("fanout")
        await close_publishing_channel(transport)
        await until_true(lambda: any(line["event"] == "channel not reopened" for line in lines))
        await until_true(lambda: any("fanout" in str(line) and line.get("attempt") == 2 for line in lines))
        await backend.replace_events("topic")
        await until(transport.ping)
    await transport.publish("a.b", make_envelope("event"))
    assert await events.bodies(1) == [b"event"]


async def test_deliveries_can_be_settled_after_a_close_while_nothing_can_be_published(
    backend: RabbitBackend, transport: RecordedTransport, rabbitmq: RabbitMQ
) -> None:
    await backend.shrink(capacity=2)
    inbox = await consume(transport, "box", prefetch=1)
    await transport.send("box", make_envelope("kept"))
    kept = await inbox.next()
    await send_all(transport, "box", named(2))
    await backend.inject(again_name("box"), encode_frame([make_envelope("moved")]))  # and the mailbox is full
    other = await backend.transport()
    await asyncio.to_thread(rabbitmq.ctl, "set_vm_memory_high_watermark", "0.0000001")
    try:
        await until_true(lambda: stalled(transport))
        await inbox.binding.close()
        await kept.ack()
    finally:
        await asyncio.to_thread(rabbitmq.ctl, "set_vm_memory_high_watermark", "0.4")
    await until(transport.ping)
    later = await consume(other, "box")
    assert await later.bodies(3) == [b"0", b"1", b"moved"]
    await backend.quiet()
    assert set(await later.bodies(later.size)) <= {b"moved"}  # its confirm came too late


async def test_a_message_to_be_delivered_again_waits_until_the_mailbox_is_declared(
    backend: RabbitBackend, transport: Transport
) -> None:
    inbox = await consume(transport, "box")
    await inbox.binding.close()
    await backend.delete("box")
    await backend.inject(again_name("box"), encode_frame([make_envelope("again")]))
    assert await (await consume(transport, "box")).bodies(1) == [b"again"]
    assert await backend.dead_letters("box") == []


async def test_a_deleted_queue_is_declared_again(backend: RabbitBackend, transport: Transport) -> None:
    inbox = await consume(transport, "box")
    await backend.delete("box")

    async def arrives() -> None:
        await transport.send("box", make_envelope("x"))

    await until(arrives)
    assert await inbox.bodies(1) == [b"x"]


async def test_a_binding_closed_during_an_outage_is_not_restored(
    backend: RabbitBackend, transport: RecordedTransport, rabbitmq: RabbitMQ
) -> None:
    closed = await consume(transport, "box")
    events = await listen(transport, "a.*")
    restart = asyncio.create_task(asyncio.to_thread(rabbitmq.restart))
    async with asyncio.timeout(RECOVERY):
        while True:
            try:
                await transport.ping()
            except Unavailable:
                break
            await asyncio.sleep(0.01)
    await closed.binding.close()
    await events.binding.close()
    await restart
    await until(transport.ping)
    open_one = await consume(await backend.transport(), "box")
    await send_all(transport, "box", named(5))
    await transport.publish("a.b", make_envelope("event"))
    assert await open_one.bodies(5) == named(5)
    assert (closed.size, events.size) == (0, 0)


async def test_a_restart_of_the_broker_loses_no_confirmed_message(
    backend: RabbitBackend, transport: Transport, rabbitmq: RabbitMQ
) -> None:
    acks: list[asyncio.Future[None]] = []
    seen: set[bytes] = set()
    confirmed: set[bytes] = set()
    half = asyncio.Event()
    restarted = asyncio.Event()

    def take(delivery: Delivery) -> None:
        seen.add(delivery.envelope.body)
        acks.append(asyncio.ensure_future(delivery.ack()))

    async def send(body: bytes) -> None:
        async def once() -> None:
            await transport.send("box", make_envelope(body, deadline=time.time() + 60.0))

        await until(once)
        confirmed.add(body)
        if len(confirmed) == 100:
            half.set()

    async def stream(part: list[bytes]) -> None:
        for body in part:
            await send(body)
        await restarted.wait()
        await send(part[0] + b"!")

    await (await backend.transport()).bind("box", take, 20)
    streams = [asyncio.create_task(stream(named(100, start=100 * number))) for number in range(8)]
    await half.wait()
    await asyncio.to_thread(rabbitmq.restart)
    restarted.set()
    await asyncio.gather(*streams)
    assert len(confirmed) == 808

    async def all_seen() -> None:
        if not confirmed <= seen:
            raise Unavailable

    await until(all_seen)
    await asyncio.gather(*acks)


async def test_a_broker_that_hangs_is_noticed_and_so_is_its_return(
    backend: RabbitBackend, transport: Transport, rabbitmq: RabbitMQ
) -> None:
    inbox = await consume(await backend.transport(), "box")
    await transport.send("box", make_envelope("before"))
    rabbitmq.freeze()
    try:
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            await transport.send("box", make_envelope("cut off", deadline=backend.now() + 3.0))
        assert time.monotonic() - begun < 3.5
        begun = time.monotonic()
        for _ in range(10):
            with pytest.raises(Unavailable):
                await transport.send("box", make_envelope("refused", deadline=backend.now() + 3.0))
            with pytest.raises(Unavailable):
                await transport.publish("a.b", make_envelope("refused"))
        with pytest.raises(Unavailable):
            await transport.ping()
        assert time.monotonic() - begun < 0.5  # it does not wait again for a broker that does not answer
    finally:
        rabbitmq.thaw()
    await until(transport.ping)
    await transport.send("box", make_envelope("after", deadline=backend.now() + PATIENCE))
    got = await inbox.bodies(2)
    if got[-1] == b"cut off":  # its sender could not know whether it arrived
        got[-1:] = await inbox.bodies(1)
    assert got == [b"before", b"after"]


async def test_a_transport_stops_although_the_broker_hangs(
    backend: RabbitBackend, rabbitmq: RabbitMQ, rabbitmq_url: str
) -> None:
    transport = RabbitTransport(rabbitmq_url)
    await transport.start()
    await transport.bind("mine", lambda delivery: None, 0, private=True)
    await transport.subscribe("#", lambda envelope: None)
    rabbitmq.freeze()
    try:
        async with asyncio.timeout(15.0):
            await transport.stop()
    finally:
        rabbitmq.thaw()


async def test_another_process_receives_the_messages_of_a_killed_one(
    backend: RabbitBackend, transport: Transport, rabbitmq_url: str
) -> None:
    inbox = await consume(transport, "box")
    await inbox.binding.close()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.fixtures.transport.rabbit_consumer", rabbitmq_url),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await send_all(transport, "box", [*named(10), b"done"])
        assert process.stdout is not None
        async with asyncio.timeout(RECOVERY):
            taken = [(await process.stdout.readline()).strip() for _ in range(11)]
        assert taken == [*named(10), b"done"]
    finally:
        process.kill()
        await process.wait()
    later = await consume(transport, "box")
    assert await later.bodies(10) == named(10)
    await backend.quiet()
    # Killed right after its last acknowledgement, it may not have sent it.
    assert set(await later.bodies(later.size)) <= {b"done"}


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_is_lost_whatever_consumers_and_connections_do(
    backend: RabbitBackend, transport: RecordedTransport, rabbitmq: RabbitMQ, seed: int
) -> None:
    """Bursts of messages; consumers that settle at random, close, stop and return; connections that are cut."""
    chance = random.Random(seed)
    acknowledged: set[bytes] = set()
    confirmed: set[bytes] = set()
    settling: set[asyncio.Future[None]] = set()

    def take(delivery: Delivery) -> None:
        task = asyncio.ensure_future(settle(delivery))
        settling.add(task)
        task.add_done_callback(settling.discard)

    async def settle(delivery: Delivery) -> None:
        await asyncio.sleep(chance.choice((0.0, 0.0, 0.001, 0.02)))
        match chance.choice("aaaaaaaarrqqd"):
            case "a":
                acknowledged.add(delivery.envelope.body)
                await delivery.ack()
            case "r":
                await delivery.retry(chance.choice((0.0, 0.01)))
            case "q":
                await delivery.requeue()
            case "d":
                await delivery.dead_letter("chance")

    async def come_and_go(cuts: int) -> None:
        for _ in range(cuts):
            consumer = await backend.transport()
            bindings = [await consumer.bind("box", take, chance.choice((1, 3, 40))) for _ in range(2)]
            await asyncio.sleep(chance.uniform(0.05, 0.3))
            await bindings[0].close()
            await consumer.stop()

    async def send(body: bytes) -> None:
        await until(lambda: transport.send("box", make_envelope(body)))
        confirmed.add(body)

    await transport.bind("box", take, 5)
    going = [asyncio.create_task(come_and_go(6)) for _ in range(2)]
    host = backend.url.rpartition("/")[2]
    for burst in range(12):
        await asyncio.gather(*(send(body) for body in named(50, start=50 * burst)))
        if burst in (4, 8):
            await asyncio.to_thread(rabbitmq.ctl, "close_all_connections", "--vhost", host, "a test")
    await asyncio.gather(*going, return_exceptions=True)
    assert len(confirmed) == 600

    async def all_accounted_for() -> None:
        dead = {each.envelope.body for each in await backend.dead_letters("box") if each.envelope}
        if not confirmed <= acknowledged | dead:
            raise Unavailable

    await until(all_accounted_for)
    while settling:
        await asyncio.wait(settling)


async def test_a_retry_into_a_full_mailbox_waits_for_room(backend: RabbitBackend, transport: Transport) -> None:
    await backend.shrink(capacity=2)
    inbox = await consume(transport, "box", prefetch=1)
    await transport.send("box", make_envelope("held"))
    held = await inbox.next()
    await send_all(transport, "box", named(2))
    with pytest.raises(MailboxFull):
        await transport.send("box", make_envelope("refused", deadline=backend.now() + 0.2))
    await held.retry(0.0)
    assert sorted(await inbox.bodies(3)) == [b"0", b"1", b"held"]


async def test_the_reply_mailbox_of_a_stopped_process_is_unroutable(
    backend: RabbitBackend, transport: Transport
) -> None:
    other = await backend.transport()
    assert isinstance(other, RabbitTransport)
    await consume(other, "mine", private=True)
    await transport.send("mine", make_envelope())
    await other.stop()
    with pytest.raises(Unroutable):
        await transport.send("mine", make_envelope())


async def close_publishing_channel(transport: RabbitTransport) -> None:
    assert transport._connection is not None
    channel = await transport._connection._channel.get_underlay_channel()
    await channel.close(ChannelClosed(0, "a test"))


def stalled(transport: RabbitTransport) -> bool:
    """Whether a publish has waited for its confirm for long."""
    return transport._connection is not None and transport._connection.stalled


class Outage:
    """The publishing connection of a transport cannot be made."""

    def __init__(self, connection: RobustConnection, lines: list[EventDict]) -> None:
        self._connection = connection
        self._lines = lines

    @property
    def interval(self) -> float:
        """Seconds until the next attempt to reconnect."""
        return float(self._connection.reconnect_interval)

    def failures(self) -> list[EventDict]:
        """What was logged of failed attempts."""
        return [line for line in self._lines if line["event"] == "broker not reached"]

    async def attempts(self, count: int) -> None:
        """Return when reconnecting has failed `count` times."""
        await until_true(lambda: len(self.failures()) >= count)


@asynccontextmanager
async def publishing_down(transport: RabbitTransport) -> AsyncIterator[Outage]:
    """Cut the publishing connection alone, and let no new one be made until the end of the block."""
    assert transport._connection is not None
    connection = transport._connection.publishing._connection
    url = connection.url
    assert connection.transport is not None
    connection.url = url.with_port(1)
    with capture_logs() as lines:
        await connection.transport.connection.close()
        try:
            yield Outage(connection, lines)
        finally:
            connection.url = url


async def until(works: Callable[[], Awaitable[None]]) -> None:
    """Call `works` until it is no longer Unavailable."""
    async with asyncio.timeout(RECOVERY):
        while True:
            try:
                await works()
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                return


async def until_true(condition: Callable[[], bool]) -> None:
    async def check() -> None:
        if not condition():
            raise Unavailable

    await until(check)

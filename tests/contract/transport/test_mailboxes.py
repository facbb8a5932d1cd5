"""Mailboxes of every transport: order, limits, sharing, refusals, expiry."""

import asyncio

import pytest

from mediq.domain.roles import Role
from mediq.messages.errors import MailboxFull, Unavailable, Unroutable
from mediq.messages.principal import Principal
from mediq.transport.base import Transport
from mediq.transport.envelope import Envelope, Kind
from tests.fixtures.transport.harness import PATIENCE, Backend, consume, make_envelope, named, send_all


async def test_messages_arrive_in_the_order_of_their_sends(transport: Transport) -> None:
    inbox = await consume(transport, "box")
    await send_all(transport, "box", named(50))
    assert await inbox.bodies(50) == named(50)


async def test_messages_sent_without_a_consumer_are_kept_in_order(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "box")
    await inbox.binding.close()
    await send_all(transport, "box", named(5))
    later = await consume(await backend.transport(), "box")
    assert await later.bodies(5) == named(5)
    assert inbox.size == 0


async def test_every_field_of_an_envelope_arrives_unchanged(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "box")
    sent = Envelope(
        id="id-1",
        pattern="queue.add-patient",
        kind=Kind.ASK,
        body=bytes(range(256)),
        reply_to="replies.x",
        correlation_id="id-0",
        deadline=backend.now() + 60.5,
        attempt=2,
        idempotency_key="job-7:add-patient",
        principal=Principal("user-1", Role.OPERATOR, "session-1"),
        headers={"request_id": "r-1", "traceparent": "00-ab-cd-01", "kata": "antréan ✓"},
    )
    await transport.send("box", sent)
    assert (await inbox.next()).envelope == sent


async def test_an_envelope_without_extras_arrives_without_extras(transport: Transport) -> None:
    inbox = await consume(transport, "box")
    sent = make_envelope(b"x")
    await transport.send("box", sent)
    got = (await inbox.next()).envelope
    assert got == sent
    assert (got.principal, got.deadline, got.idempotency_key, got.headers) == (None, None, None, {})


async def test_no_more_than_prefetch_deliveries_are_unsettled(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "box", prefetch=2)
    await send_all(transport, "box", named(5))
    first, second = await inbox.take(2)
    await backend.quiet()
    assert inbox.size == 0
    await second.ack()
    third = await inbox.next()
    assert third.envelope.body == b"2"
    await backend.quiet()
    assert inbox.size == 0
    await first.ack()
    await third.ack()
    assert await inbox.bodies(2) == [b"3", b"4"]


async def test_every_kind_of_settlement_makes_room_for_the_next(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "box", prefetch=1)
    await send_all(transport, "box", named(4))
    await (await inbox.next()).ack()
    await (await inbox.next()).dead_letter("given up")
    await (await inbox.next()).retry(60.0)
    assert await inbox.bodies(1) == [b"3"]


async def test_two_consumers_share_a_mailbox(backend: Backend, transport: Transport) -> None:
    one = await consume(transport, "box", prefetch=10)
    two = await consume(await backend.transport(), "box", prefetch=10)
    await send_all(transport, "box", named(20))
    halves = [[d.envelope.body for d in await inbox.take(10)] for inbox in (one, two)]
    assert sorted(halves[0] + halves[1]) == sorted(named(20))
    await backend.quiet()
    assert (one.size, two.size) == (0, 0)


async def test_a_busy_consumer_does_not_delay_a_free_one(backend: Backend, transport: Transport) -> None:
    busy = await consume(transport, "box", prefetch=1)
    await transport.send("box", make_envelope(b"long"))
    await busy.next()
    free = await consume(await backend.transport(), "box", prefetch=1)
    await send_all(transport, "box", named(5))
    assert await free.bodies(5) == named(5)


async def test_mailboxes_do_not_mix(transport: Transport) -> None:
    left = await consume(transport, "left")
    right = await consume(transport, "right")
    await transport.send("right", make_envelope("R"))
    await transport.send("left", make_envelope("L"))
    assert await left.bodies(1) == [b"L"]
    assert await right.bodies(1) == [b"R"]


async def test_a_missing_mailbox_is_unroutable(transport: Transport) -> None:
    with pytest.raises(Unroutable):
        await transport.send("nowhere", make_envelope())


async def test_a_full_mailbox_refuses_by_the_deadline(backend: Backend, transport: Transport) -> None:
    await backend.shrink(capacity=3)
    inbox = await consume(transport, "box")
    await inbox.binding.close()
    await send_all(transport, "box", named(3))
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(MailboxFull) as refusal:
            await transport.send("box", make_envelope("late", deadline=backend.now() + 0.02))
    assert refusal.value.retry_after is not None
    later = await consume(transport, "box")
    assert await later.bodies(3) == named(3)
    await backend.quiet()
    assert later.size == 0


async def test_send_and_send_nowait_keep_their_common_order(transport: Transport) -> None:
    inbox = await consume(transport, "box")
    for number, body in enumerate(named(20)):
        if number % 3 == 0 or not transport.send_nowait("box", make_envelope(body)):
            await transport.send("box", make_envelope(body))
    assert await inbox.bodies(20) == named(20)


async def test_send_nowait_to_a_full_mailbox_sends_nothing(backend: Backend, transport: Transport) -> None:
    await backend.shrink(capacity=3)
    inbox = await consume(transport, "box")
    await inbox.binding.close()
    await send_all(transport, "box", named(3))
    assert not transport.send_nowait("box", make_envelope("more"))
    later = await consume(transport, "box")
    assert await later.bodies(3) == named(3)
    await backend.quiet()
    assert later.size == 0


async def test_a_waiting_send_succeeds_when_there_is_room(backend: Backend, transport: Transport) -> None:
    await backend.shrink(capacity=3)
    inbox = await consume(transport, "box")
    await inbox.binding.close()
    await send_all(transport, "box", named(3))
    waiting = asyncio.create_task(transport.send("box", make_envelope("3", deadline=backend.now() + PATIENCE)))
    await backend.quiet()
    assert not waiting.done()
    later = await consume(transport, "box")
    await waiting
    assert await later.bodies(4) == named(4)


async def test_an_unsettled_message_can_be_requeued_into_a_full_mailbox(backend: Backend, transport: Transport) -> None:
    await backend.shrink(capacity=2)
    inbox = await consume(transport, "box", prefetch=1)
    await transport.send("box", make_envelope("0"))
    held = await inbox.next()
    await send_all(transport, "box", named(2, start=1))
    await inbox.binding.close()
    await held.requeue()
    later = await consume(transport, "box")
    assert await later.bodies(3) == named(3)


async def test_an_envelope_past_its_deadline_is_not_delivered(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "box")
    await transport.send("box", make_envelope("late", deadline=backend.now() - 1.0))
    await transport.send("box", make_envelope("good", deadline=backend.now() + 60.0))
    assert await inbox.bodies(1) == [b"good"]
    await backend.quiet()
    assert inbox.size == 0
    assert await backend.dead_letters("box") == []


async def test_an_envelope_that_expires_while_it_waits_is_not_delivered(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "box")
    await inbox.binding.close()
    await transport.send("box", make_envelope("short", deadline=backend.now() + 0.1))
    await transport.send("box", make_envelope("long", deadline=backend.now() + 60.0))
    await transport.send("box", make_envelope("ever"))
    await backend.pass_time(0.2)
    later = await consume(transport, "box")
    assert await later.bodies(2) == [b"long", b"ever"]
    assert await backend.dead_letters("box") == []


async def test_expired_envelopes_take_no_prefetch(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "box", prefetch=1)
    await send_all(transport, "box", named(5), deadline=backend.now() - 1.0)
    await transport.send("box", make_envelope("good"))
    assert await inbox.bodies(1) == [b"good"]


async def test_a_private_mailbox_needs_no_settlement_and_has_no_prefetch(transport: Transport) -> None:
    inbox = await consume(transport, "mine", prefetch=0, private=True)
    await send_all(transport, "mine", named(10))
    assert [d.envelope.body for d in await inbox.take(10)] == named(10)


async def test_a_private_mailbox_can_be_reached_from_another_transport(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "mine", prefetch=0, private=True)
    await (await backend.transport()).send("mine", make_envelope("hello"))
    assert (await inbox.next()).envelope.body == b"hello"


async def test_settling_a_private_delivery_does_nothing(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "mine", prefetch=0, private=True)
    await send_all(transport, "mine", named(4))
    ack, retry, dead, requeue = await inbox.take(4)
    await ack.ack()
    await retry.retry(0.0)
    await dead.dead_letter("no")
    await requeue.requeue()
    await backend.quiet()
    assert inbox.size == 0
    assert await backend.dead_letters("mine") == []


async def test_a_private_mailbox_is_deleted_with_its_transport(backend: Backend, transport: Transport) -> None:
    other = await backend.transport()
    await consume(other, "mine", prefetch=0, private=True)
    await transport.send("mine", make_envelope())
    await other.stop()
    with pytest.raises(Unroutable):
        await transport.send("mine", make_envelope())


async def test_a_mailbox_survives_its_consumers(backend: Backend, transport: Transport) -> None:
    other = await backend.transport()
    await consume(other, "box")
    await other.stop()
    await transport.send("box", make_envelope("kept"))
    assert await (await consume(transport, "box")).bodies(1) == [b"kept"]


async def test_before_it_starts_a_transport_refuses(backend: Backend) -> None:
    transport = backend.make()
    with pytest.raises(Unavailable):
        await transport.ping()
    with pytest.raises(Unavailable):
        await transport.send("box", make_envelope())


async def test_after_it_stopped_a_transport_refuses(backend: Backend, transport: Transport) -> None:
    await transport.ping()
    await consume(transport, "box")
    await transport.stop()
    with pytest.raises(Unavailable):
        await transport.ping()
    with pytest.raises(Unavailable):
        await transport.send("box", make_envelope())
    with pytest.raises(Unavailable):
        await transport.publish("a.b", make_envelope())
    with pytest.raises(Unavailable):
        await consume(transport, "box")
    with pytest.raises(Unavailable):
        await transport.subscribe("a.b", lambda envelope: None)


async def test_a_transport_can_be_stopped_twice(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "box")
    await transport.send("box", make_envelope("once"))
    await inbox.next()
    await transport.stop()
    await transport.stop()
    third = await consume(await backend.transport(), "box")
    assert await third.bodies(1) == [b"once"]
    await backend.quiet()
    assert third.size == 0


async def test_a_stop_fails_the_sends_that_wait_for_room(backend: Backend, transport: Transport) -> None:
    await backend.shrink(capacity=1)
    inbox = await consume(await backend.transport(), "box")
    await inbox.binding.close()
    await transport.send("box", make_envelope())
    waiting = asyncio.create_task(transport.send("box", make_envelope()))
    await backend.quiet()
    await transport.stop()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Unavailable):
            await waiting

"""Deliveries of every transport: at least once, attempts, dead letters, requeueing."""

import asyncio

import pytest

from mediq.transport.base import MAX_ATTEMPTS, Delivery, Transport
from mediq.transport.envelope import encode_frame
from tests.fixtures.transport.harness import Backend, consume, make_envelope, named, send_all


async def test_an_acknowledged_message_is_not_delivered_again(backend: Backend, transport: Transport) -> None:
    other = await backend.transport()
    inbox = await consume(other, "box")
    await send_all(transport, "box", named(3))
    await inbox.bodies(3)
    await other.stop()
    later = await consume(transport, "box")
    await transport.send("box", make_envelope("next"))
    assert await later.bodies(1) == [b"next"]
    assert await backend.dead_letters("box") == []


async def test_another_consumer_receives_what_a_dead_one_had_not_settled(
    backend: Backend, transport: Transport
) -> None:
    dying = await backend.transport()
    inbox = await consume(dying, "box")
    await send_all(transport, "box", named(4))
    first, *_ = await inbox.take(4)
    await first.ack()
    other = await consume(transport, "box", prefetch=10)
    await dying.stop()
    again = await other.take(3)
    assert [d.envelope.body for d in again] == [b"1", b"2", b"3"]
    assert [d.envelope.attempt for d in again] == [1, 1, 1]


async def test_a_requeued_message_is_delivered_before_later_ones(backend: Backend, transport: Transport) -> None:
    dying = await backend.transport()
    inbox = await consume(dying, "box", prefetch=3)
    await send_all(transport, "box", named(6))
    await inbox.take(3)
    await dying.stop()
    assert await (await consume(transport, "box")).bodies(6) == named(6)


async def test_a_settlement_after_the_stop_has_no_effect(backend: Backend, transport: Transport) -> None:
    dying = await backend.transport()
    inbox = await consume(dying, "box")
    await send_all(transport, "box", named(4))
    ack, retry, dead, requeue = await inbox.take(4)
    await dying.stop()
    await ack.ack()
    await retry.retry(0.0)
    await dead.dead_letter("too late")
    await requeue.requeue()
    later = await consume(transport, "box")
    assert await later.bodies(4) == named(4)
    await backend.quiet()
    assert later.size == 0
    assert await backend.dead_letters("box") == []


@pytest.mark.parametrize("first", ["ack", "retry", "dead", "requeue"])
@pytest.mark.parametrize("second", ["ack", "retry", "dead", "requeue"])
async def test_only_the_first_settlement_counts(
    backend: Backend, transport: Transport, first: str, second: str
) -> None:
    inbox = await consume(transport, "box")
    await transport.send("box", make_envelope("x"))
    delivery = await inbox.next()
    await inbox.binding.close()
    for how in (first, second):
        await settle(delivery, how)
    later = await consume(transport, "box")
    comes_back = first in ("retry", "requeue")
    if comes_back:
        assert (await later.next()).envelope.attempt == (2 if first == "retry" else 1)
    await backend.quiet()
    assert later.size == 0
    assert len(await backend.dead_letters("box")) == (1 if first == "dead" else 0)


async def test_a_retry_raises_the_attempt_and_nothing_else(transport: Transport) -> None:
    inbox = await consume(transport, "box")
    sent = make_envelope("x", idempotency_key="k", headers={"request_id": "r"})
    await transport.send("box", sent)
    await (await inbox.next()).retry(0.0)
    assert (await inbox.next()).envelope == sent.again()


async def test_after_the_last_attempt_a_retry_makes_a_dead_letter(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "box")
    await transport.send("box", make_envelope("x"))
    for attempt in range(1, MAX_ATTEMPTS + 1):
        delivery = await inbox.next()
        assert delivery.envelope.attempt == attempt
        await delivery.retry(0.0)
    await backend.quiet()
    assert inbox.size == 0
    (dead,) = await backend.dead_letters("box")
    assert dead.reason == "attempts"
    assert dead.envelope == delivery.envelope


async def test_a_retry_waits_its_delay(transport: Transport) -> None:
    inbox = await consume(transport, "box")
    await transport.send("box", make_envelope("slow"))
    loop = asyncio.get_running_loop()
    asked = loop.time()
    await (await inbox.next()).retry(0.05)
    await transport.send("box", make_envelope("quick"))
    assert await inbox.bodies(2) == [b"quick", b"slow"]
    assert loop.time() - asked >= 0.05


async def test_a_retry_is_delivered_after_its_consumer_stopped(backend: Backend, transport: Transport) -> None:
    dying = await backend.transport()
    inbox = await consume(dying, "box")
    await transport.send("box", make_envelope("x"))
    await (await inbox.next()).retry(0.01)
    await dying.stop()
    delivery = await (await consume(transport, "box")).next()
    assert (delivery.envelope.body, delivery.envelope.attempt) == (b"x", 2)


async def test_a_dead_letter_keeps_envelope_bytes_and_reason(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "box")
    sent = make_envelope("x", headers={"request_id": "r"})
    await transport.send("box", sent)
    await (await inbox.next()).dead_letter("crash: ValueError")
    (dead,) = await backend.dead_letters("box")
    assert (dead.mailbox, dead.reason, dead.envelope, dead.raw) == (
        "box",
        "crash: ValueError",
        sent,
        encode_frame([sent]),
    )


@pytest.mark.parametrize("raw", [b"", b"\x00", b"not a frame", b"\xc1", b"\x91\x01", b"\x91" * 2000, b"\xff" * 64])
async def test_an_undecodable_message_becomes_a_dead_letter_and_delays_nothing(
    backend: Backend, transport: Transport, raw: bytes
) -> None:
    inbox = await consume(transport, "box", prefetch=1)
    await backend.inject("box", raw)
    await transport.send("box", make_envelope("good"))
    assert await inbox.bodies(1) == [b"good"]
    (dead,) = await backend.dead_letters("box")
    assert (dead.envelope, dead.raw) == (None, raw)
    assert dead.reason.startswith("undecodable")


async def test_a_frame_may_hold_several_envelopes_or_none(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "box")
    await backend.inject("box", encode_frame([]))
    await backend.inject("box", encode_frame([make_envelope("0"), make_envelope("1")]))
    await transport.send("box", make_envelope("2"))
    assert await inbox.bodies(3) == named(3)


async def test_a_requeue_keeps_the_attempt(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "box")
    await transport.send("box", make_envelope("x", attempt=2))
    for _ in range(MAX_ATTEMPTS + 2):
        delivery = await inbox.next()
        assert delivery.envelope.attempt == 2
        await delivery.requeue()
    assert await backend.dead_letters("box") == []


async def test_requeued_messages_keep_their_order(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "box", prefetch=4)
    await send_all(transport, "box", named(6))
    held = await inbox.take(4)
    await inbox.binding.close()
    for delivery in held:
        await delivery.requeue()
    assert await (await consume(transport, "box")).bodies(6) == named(6)


async def test_a_closed_binding_receives_nothing_more_but_may_settle(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "box", prefetch=10)
    await send_all(transport, "box", named(4))
    ack, retry, dead, requeue = await inbox.take(4)
    await inbox.binding.close()
    await transport.send("box", make_envelope("new"))
    await backend.quiet()
    assert inbox.size == 0
    await ack.ack()
    await retry.retry(0.0)
    await dead.dead_letter("no")
    await requeue.requeue()
    other = await consume(await backend.transport(), "box")
    got = await other.take(3)
    assert sorted((d.envelope.body, d.envelope.attempt) for d in got) == [(b"1", 2), (b"3", 1), (b"new", 1)]
    await backend.quiet()
    assert (inbox.size, other.size) == (0, 0)
    assert len(await backend.dead_letters("box")) == 1


async def test_unsettled_deliveries_of_a_closed_binding_return_at_the_stop(
    backend: Backend, transport: Transport
) -> None:
    dying = await backend.transport()
    inbox = await consume(dying, "box")
    await transport.send("box", make_envelope("x"))
    await inbox.next()
    await inbox.binding.close()
    await dying.stop()
    assert await (await consume(transport, "box")).bodies(1) == [b"x"]


async def test_a_binding_can_be_closed_twice(backend: Backend, transport: Transport) -> None:
    inbox = await consume(transport, "box")
    await inbox.binding.close()
    await inbox.binding.close()
    other = await consume(transport, "box")
    await transport.send("box", make_envelope("x"))
    assert await other.bodies(1) == [b"x"]


async def settle(delivery: Delivery, how: str) -> None:
    match how:
        case "ack":
            await delivery.ack()
        case "retry":
            await delivery.retry(0.0)
        case "dead":
            await delivery.dead_letter("given up")
        case "requeue":
            await delivery.requeue()

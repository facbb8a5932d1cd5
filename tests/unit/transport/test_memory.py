"""The in-memory transport, beyond the contract of all transports."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediq.messages.errors import MailboxFull, Unavailable, Unroutable
from mediq.transport.base import DeadLetter, Delivery
from mediq.transport.envelope import Envelope, Kind, new_id
from mediq.transport.memory import MemoryBroker, MemoryTransport
from mediq.transport.memory.subscription import Subscription


def envelope(body: bytes, deadline: float | None = None) -> Envelope:
    return Envelope(id=new_id(), pattern="p", kind=Kind.TELL, body=body, deadline=deadline)


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def full(capacity: int) -> tuple[MemoryBroker, MemoryTransport]:
    """A mailbox `box` without a consumer, full of the messages 0, 1, ..."""
    broker = MemoryBroker(capacity=capacity, clock=lambda: 0.0)
    transport = MemoryTransport(broker)
    await transport.start()
    await (await transport.bind("box", print, 1)).close()
    for number in range(capacity):
        await transport.send("box", envelope(b"%d" % number))
    return broker, transport


async def consume(transport: MemoryTransport, prefetch: int) -> list[bytes]:
    """The bodies of the messages that `box` delivers, now and later; none is settled."""
    got: list[bytes] = []
    await transport.bind("box", lambda delivery: got.append(delivery.envelope.body), prefetch)
    return got


async def drain(transport: MemoryTransport) -> list[bytes]:
    got = await consume(transport, prefetch=10_000)
    await turns()
    return got


async def test_waiting_senders_get_in_in_the_order_of_their_sends() -> None:
    _, transport = await full(1)
    async with asyncio.TaskGroup() as senders:
        for number in range(1, 5):
            senders.create_task(transport.send("box", envelope(b"%d" % number)))
        await turns()
        draining = senders.create_task(drain(transport))
        senders.create_task(transport.send("box", envelope(b"5")))
    assert draining.result() == [b"0", b"1", b"2", b"3", b"4", b"5"]


async def test_room_for_a_cancelled_sender_goes_to_the_next() -> None:
    _, transport = await full(1)
    first = asyncio.create_task(transport.send("box", envelope(b"first")))
    second = asyncio.create_task(transport.send("box", envelope(b"second")))
    await turns()
    first.cancel()
    await turns()
    assert await drain(transport) == [b"0", b"second"]
    await second
    assert first.cancelled()


@pytest.mark.parametrize("cancelled", ["before it is let in", "after it is let in"])
async def test_a_sender_cancelled_in_the_turn_in_which_room_appears_loses_no_room(cancelled: str) -> None:
    _, transport = await full(1)
    first = asyncio.create_task(transport.send("box", envelope(b"first")))
    second = asyncio.create_task(transport.send("box", envelope(b"second")))
    await turns()
    got: list[bytes] = []

    def receive(delivery: Delivery) -> None:
        got.append(delivery.envelope.body)
        if cancelled == "after it is let in":
            first.cancel()

    await transport.bind("box", receive, 1)  # makes room in the next turn of the loop
    if cancelled == "before it is let in":
        first.cancel()
    await turns()
    assert got == [b"0"]
    rest = await drain(transport)
    await second
    assert first.cancelled()
    assert rest == ([b"second"] if cancelled == "before it is let in" else [b"first", b"second"])


async def test_send_nowait_succeeds_exactly_when_there_is_room() -> None:
    _, transport = await full(2)
    assert not transport.send_nowait("box", envelope(b"2"))
    assert await drain(transport) == [b"0", b"1"]
    assert transport.send_nowait("box", envelope(b"3"))


async def test_send_nowait_raises_the_errors_of_send() -> None:
    transport = MemoryTransport()
    with pytest.raises(Unavailable):
        transport.send_nowait("box", envelope(b"x"))
    await transport.start()
    with pytest.raises(Unroutable):
        transport.send_nowait("box", envelope(b"x"))


async def test_a_refused_send_leaves_nothing_in_the_mailbox() -> None:
    broker, transport = await full(2)
    with pytest.raises(MailboxFull):
        await transport.send("box", envelope(b"x", deadline=0.0))
    assert broker.mailboxes["box"].waiting() == 2
    assert await drain(transport) == [b"0", b"1"]


async def test_a_sender_waiting_for_room_fails_when_the_private_mailbox_ends() -> None:
    broker, sender = await full(1)
    owner = MemoryTransport(broker)
    await owner.start()
    broker.capacity = 0  # no message gets in
    await owner.bind("mine", print, 0, private=True)
    waiting = asyncio.create_task(sender.send("mine", envelope(b"x")))
    await turns()
    await owner.stop()
    with pytest.raises(Unroutable):
        await waiting


async def test_a_slow_subscriber_keeps_exactly_its_capacity() -> None:
    broker = MemoryBroker(event_capacity=3)
    transport = MemoryTransport(broker)
    await transport.start()
    got: list[bytes] = []
    await transport.subscribe("#", lambda event: got.append(event.body))
    for number in range(10):
        await transport.publish("a", envelope(b"%d" % number))
    await turns()
    assert got == [b"7", b"8", b"9"]


async def test_events_published_before_the_end_of_a_subscription_are_not_delivered_after_it() -> None:
    transport = MemoryTransport()
    await transport.start()
    got: list[Envelope] = []
    subscription = await transport.subscribe("#", got.append)
    await transport.publish("a", envelope(b"x"))
    await subscription.close()
    await turns()
    assert got == []


async def test_dead_letters_are_bounded_and_lose_the_oldest() -> None:
    broker = MemoryBroker()
    bound = broker.dead_letters.maxlen
    assert bound is not None
    for number in range(bound + 5):
        broker.add_dead_letter("box", f"reason {number}", None, b"")
    assert len(broker.dead_letters) == bound
    assert broker.dead_letters[0] == DeadLetter(mailbox="box", reason="reason 5", envelope=None, raw=b"")


async def test_transports_of_two_brokers_do_not_reach_each_other() -> None:
    one, two = MemoryTransport(), MemoryTransport()
    await one.start()
    await two.start()
    await one.bind("box", print, 1)
    with pytest.raises(Unroutable):
        await two.send("box", envelope(b"x"))


words = st.sampled_from(["a", "b", "ab", "a+", "*x", "(a|b)", "[ab]", "a?", "^a", "b$", "\\d", "\\"])


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["*", "#"]) | words, min_size=1, max_size=6),
    st.lists(words, min_size=1, max_size=6),
)
def test_topic_patterns_match_as_a_naive_matcher_does(pattern: list[str], topic: list[str]) -> None:
    subscription = Subscription(".".join(pattern), lambda event: None, MemoryBroker())
    assert subscription.matches(".".join(topic)) == naive(pattern, topic)


def naive(pattern: list[str], topic: list[str]) -> bool:
    if not pattern:
        return not topic
    head, *rest = pattern
    if head == "#":
        return any(naive(rest, topic[skipped:]) for skipped in range(len(topic) + 1))
    return bool(topic) and head in ("*", topic[0]) and naive(rest, topic[1:])

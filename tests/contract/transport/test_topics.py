"""Events of every transport: fan-out, patterns, order, a limit for slow subscribers."""

import pytest

from mediq.domain.roles import Role
from mediq.messages.principal import Principal
from mediq.transport.base import Transport
from mediq.transport.envelope import Kind
from tests.fixtures.transport.harness import Backend, listen, make_envelope, named


async def test_publishing_without_a_subscriber_is_no_error(transport: Transport) -> None:
    await transport.publish("queue.ticket-called", make_envelope())


async def test_every_subscriber_gets_a_copy(backend: Backend, transport: Transport) -> None:
    other = await backend.transport()
    inboxes = [await listen(each, "queue.#") for each in (transport, transport, other)]
    sent = make_envelope("x", kind=Kind.EVENT)
    await transport.publish("queue.ticket-called", sent)
    for inbox in inboxes:
        assert await inbox.next() == sent
    await backend.quiet()
    assert [inbox.size for inbox in inboxes] == [0, 0, 0]


async def test_a_subscriber_with_two_patterns_gets_a_copy_for_each(transport: Transport) -> None:
    one = await listen(transport, "queue.*")
    two = await listen(transport, "#")
    await transport.publish("queue.x", make_envelope("x"))
    assert await one.bodies(1) == await two.bodies(1) == [b"x"]


async def test_headers_and_principal_arrive(transport: Transport) -> None:
    inbox = await listen(transport, "#")
    sent = make_envelope(
        "x",
        kind=Kind.EVENT,
        principal=Principal("u", Role.ADMIN_FASKES, "s"),
        idempotency_key="k",
        headers={"request_id": "r", "traceparent": "t"},
    )
    await transport.publish("a", sent)
    assert await inbox.next() == sent


async def test_events_of_one_publisher_arrive_in_order(backend: Backend, transport: Transport) -> None:
    inbox = await listen(await backend.transport(), "a.*")
    for number, body in enumerate(named(50)):
        await transport.publish(f"a.{number % 3}", make_envelope(body))
    assert await inbox.bodies(50) == named(50)


MATCHES = [
    ("a.b", "a.b", True),
    ("a.b", "a.c", False),
    ("a.b", "a.b.c", False),
    ("a.b", "x.a.b", False),
    ("*", "a", True),
    ("*", "a.b", False),
    ("a.*", "a.b", True),
    ("a.*", "a", False),
    ("a.*", "a.b.c", False),
    ("*.b", "a.b", True),
    ("*.b", "b", False),
    ("a.*.c", "a.b.c", True),
    ("a.*.c", "a.c", False),
    ("a.*.c", "a.b.b.c", False),
    ("#", "a", True),
    ("#", "a.b.c", True),
    ("a.#", "a", True),
    ("a.#", "a.b", True),
    ("a.#", "a.b.c", True),
    ("a.#", "ab", False),
    ("a.#", "b.a", False),
    ("#.b", "b", True),
    ("#.b", "a.b", True),
    ("#.b", "a.a.b", True),
    ("#.b", "ab", False),
    ("#.b", "b.a", False),
    ("a.#.c", "a.c", True),
    ("a.#.c", "a.b.c", True),
    ("a.#.c", "a.b.b.c", True),
    ("a.#.c", "ac", False),
    ("a.#.c", "a.bc", False),
    ("*.#", "a", True),
    ("*.#", "a.b.c", True),
    ("#.*", "a", True),
    ("#.a.#", "a", True),
    ("#.a.#", "b.a.b", True),
    ("#.a.#", "b.c", False),
    ("a.#.#.b", "a.b", True),
    # characters that are special in a regular expression are ordinary in a topic
    ("a+.b", "aa.b", False),
    ("a+.b", "a+.b", True),
    ("a?.b", "a.b", False),
    ("[ab].c", "a.c", False),
    ("(a|b).c", "a.c", False),
    ("a.b$", "a.b", False),
    ("a-b.c", "a-b.c", True),
    ("a_b", "a-b", False),
    ("a.b", "aXb", False),
]


@pytest.mark.parametrize(("pattern", "topic", "matches"), MATCHES)
async def test_topic_patterns(backend: Backend, transport: Transport, pattern: str, topic: str, matches: bool) -> None:
    inbox = await listen(transport, pattern)
    everything = await listen(transport, "#")
    await transport.publish(topic, make_envelope("x"))
    assert await everything.bodies(1) == [b"x"]
    await backend.quiet()
    assert inbox.size == (1 if matches else 0)


async def test_a_slow_subscriber_loses_the_oldest_events_and_keeps_the_order(
    backend: Backend, transport: Transport
) -> None:
    await backend.shrink(event_capacity=3)
    inbox = await listen(await backend.transport(), "#")
    for body in named(10):
        await transport.publish("a", make_envelope(body))
    got: list[bytes] = []
    while not got or got[-1] != b"9":
        got += await inbox.bodies(1)
    assert got == sorted(got)
    assert got[-3:] == [b"7", b"8", b"9"]
    await backend.quiet()
    assert inbox.size == 0


async def test_a_slow_subscriber_does_not_delay_another(backend: Backend, transport: Transport) -> None:
    await backend.shrink(event_capacity=3)
    slow = await listen(transport, "flood")
    other = await listen(transport, "calm")
    for body in named(10):
        await transport.publish("flood", make_envelope(body))
    await transport.publish("calm", make_envelope("x"))
    assert await other.bodies(1) == [b"x"]
    while (await slow.next()).body != b"9":  # it lost some events, but not the last
        pass


async def test_a_closed_subscription_gets_nothing_more(backend: Backend, transport: Transport) -> None:
    inbox = await listen(transport, "#")
    other = await listen(transport, "#")
    await inbox.binding.close()
    await inbox.binding.close()
    await transport.publish("a", make_envelope("x"))
    assert await other.bodies(1) == [b"x"]
    await backend.quiet()
    assert inbox.size == 0


async def test_subscriptions_end_with_their_transport(backend: Backend, transport: Transport) -> None:
    dying = await backend.transport()
    inbox = await listen(dying, "#")
    other = await listen(transport, "#")
    await dying.stop()
    await transport.publish("a", make_envelope("x"))
    assert await other.bodies(1) == [b"x"]
    await backend.quiet()
    assert inbox.size == 0


async def test_events_and_messages_of_one_name_do_not_mix(backend: Backend, transport: Transport) -> None:
    events = await listen(transport, "#")
    mailbox: list[object] = []
    await transport.bind("a.b", mailbox.append, 10)
    await transport.publish("a.b", make_envelope("event"))
    assert await events.bodies(1) == [b"event"]
    await backend.quiet()
    assert mailbox == []
    await transport.send("a.b", make_envelope("message"))
    await backend.quiet()
    assert len(mailbox) == 1
    assert events.size == 0

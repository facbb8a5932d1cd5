"""Ask, tell and publish over the in-memory transport."""

import asyncio
from typing import Any

import msgspec
import pytest

from mediq.domain.errors import FieldError
from mediq.domain.roles import Role
from mediq.messages import errors
from mediq.messages.errors import (
    BreakerOpen,
    Conflict,
    DomainError,
    Expired,
    Fault,
    Internal,
    Invalid,
    MailboxFull,
    NotFound,
    Unavailable,
    Unroutable,
)
from mediq.messages.principal import Principal
from mediq.observability import metrics
from mediq.runtime import bus
from mediq.runtime.circuit_breaker import BreakerPolicy, State
from mediq.runtime.context import Context
from mediq.runtime.retry import RetryPolicy
from mediq.transport.envelope import Envelope, Kind, new_id
from tests.fixtures.runtime import (
    Application,
    Echo,
    Echoed,
    Happened,
    Look,
    Other,
    OtherEcho,
    Scripted,
    in_context,
    settle,
    until,
)

SOON = 0.02
"""A short timeout in real seconds, for replies that never come."""


class Calls:
    """A script that raises the given errors in turn, then echoes; it records every context."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.contexts: list[Context] = []

    async def __call__(self, message: Any, context: Context) -> Echoed:
        self.contexts.append(context)
        if self.failures:
            raise self.failures.pop(0)
        return Echoed(message.text)

    def __len__(self) -> int:
        return len(self.contexts)


async def test_an_ask_gets_its_reply(application: Application) -> None:
    await application.add_script(Calls())
    assert await application.bus.ask(Echo(text="halo")) == Echoed("halo")


async def test_concurrent_asks_each_get_their_own_reply(application: Application) -> None:
    gates = {str(n): asyncio.Event() for n in range(5)}

    async def script(message: Echo, context: Context) -> Echoed:
        await gates[message.text].wait()
        return Echoed(message.text)

    await application.add_script(script)
    asks = [asyncio.create_task(application.bus.ask(Echo(text=text))) for text in gates]
    for gate in reversed(gates.values()):
        await settle()
        gate.set()
    assert [(await ask).text for ask in asks] == list(gates)


ERRORS = [cls for name in errors.__all__ if isinstance(cls := getattr(errors, name), type)]
REFUSALS = [cls for cls in ERRORS if issubclass(cls, DomainError)]
FAULTS = [cls for cls in ERRORS if issubclass(cls, Fault)]


@pytest.mark.parametrize("kind", REFUSALS)
async def test_a_domain_error_reaches_the_asker_unchanged(application: Application, kind: type[DomainError]) -> None:
    refusal = kind("tidak boleh", code="rule-7", errors=[FieldError("nik", "16 angka")], retry_after=12.5)
    await application.add_script(Calls(refusal))
    with pytest.raises(kind) as caught:
        await application.bus.ask(Echo())
    got = caught.value
    assert type(got) is kind
    assert (got.detail, got.code, got.errors, got.retry_after) == (
        "tidak boleh",
        "rule-7",
        (FieldError("nik", "16 angka"),),
        12.5,
    )


@pytest.mark.parametrize("kind", FAULTS)
async def test_a_fault_reaches_the_asker_unchanged(application: Application, kind: type[Fault]) -> None:
    await application.add_script(Calls(kind("rusak", retry_after=3.0)))
    with pytest.raises(kind) as caught:
        await application.bus.ask(Echo())
    assert type(caught.value) is kind
    assert (caught.value.detail, caught.value.retry_after) == ("rusak", 3.0)


async def test_a_crash_is_reported_as_internal_without_its_message(application: Application) -> None:
    await application.add_script(Calls(*[ValueError("NIK 3171012345678901")] * 3))
    with pytest.raises(Internal) as caught:
        await application.bus.ask(Echo())
    assert "3171" not in caught.value.detail


async def test_an_ask_without_a_reply_in_time_expires_and_the_late_reply_is_dropped(application: Application) -> None:
    gate, done = asyncio.Event(), asyncio.Event()

    async def script(message: Echo, context: Context) -> Echoed:
        if message.text == "slow":
            await gate.wait()
            done.set()
        return Echoed(message.text)

    await application.add_script(script)
    with pytest.raises(Expired):
        await application.bus.ask(Echo(text="slow"), timeout=SOON)
    gate.set()  # the clock of the application stands still, so the late reply is still delivered
    await done.wait()
    await settle()
    assert await application.bus.ask(Echo(text="next")) == Echoed("next")
    assert len(application.bus._replies) == 0


@pytest.mark.parametrize("correlation", [None, "", "unknown-1"])
async def test_a_reply_to_no_ask_is_dropped(application: Application, correlation: str | None) -> None:
    await application.add_script(Calls())
    await application.transport.send(
        application.bus._reply_to,
        Envelope(id=new_id(), pattern="test.echo", kind=Kind.REPLY, body=b"", correlation_id=correlation),
    )
    await settle()
    assert await application.bus.ask(Echo(text="x")) == Echoed("x")


async def test_a_second_reply_to_the_same_ask_is_dropped(application: Application) -> None:
    await answer_raw(application, Kind.REPLY, msgspec.msgpack.encode(Echoed("x")), times=2)
    assert await application.bus.ask(Echo()) == Echoed("x")
    await settle()


async def test_a_cancelled_ask_leaves_nothing_behind(application: Application) -> None:
    gate = asyncio.Event()

    async def script(message: Echo, context: Context) -> Echoed:
        await gate.wait()
        return Echoed("")

    await application.add_script(script)
    ask = asyncio.create_task(application.bus.ask(Echo()))
    await until(lambda: len(application.bus._replies) == 1)
    ask.cancel()
    await settle()
    assert ask.cancelled()
    assert len(application.bus._replies) == 0
    gate.set()


async def test_an_ask_to_a_missing_mailbox_is_unroutable(application: Application) -> None:
    with pytest.raises(Unroutable):
        await application.bus.ask(Echo())


async def test_an_ask_to_a_full_mailbox_fails_with_mailbox_full(application: Application) -> None:
    application.broker.capacity = 1
    await (await application.transport.bind("test", lambda delivery: None, 1)).close()
    await application.bus.tell(Echo())
    with pytest.raises(MailboxFull):
        await application.bus.ask(Echo(), timeout=SOON)


async def test_an_ask_waits_for_room_for_one_second_at_most(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "_ROOM_SECONDS", SOON)
    application.broker.capacity = 1
    await (await application.transport.bind("test", lambda delivery: None, 1)).close()
    await application.bus.tell(Echo())
    for request in (Echo(), Look()):
        with pytest.raises(MailboxFull) as refusal:
            await application.bus.ask(request, timeout=3600.0)
        assert refusal.value.retry_after == 1.0
    assert len(application.bus._replies) == 0


async def test_an_expired_ask_is_not_handled(application: Application) -> None:
    calls = Calls()
    await application.add_script(calls)
    with in_context(Context(deadline=application.clock() - 1.0)), pytest.raises(Expired):
        await application.bus.ask(Echo())
    await settle()
    assert len(calls) == 0


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", b"\x91\x01", b"\x81\xa4text\xa1\xff", b"\x82\xa4text\xa1x\xa1y" + b"\x91" * 100_000]
)
@pytest.mark.parametrize("kind", [Kind.REPLY, Kind.ERROR])
async def test_a_reply_that_cannot_be_decoded_is_internal(application: Application, kind: Kind, body: bytes) -> None:
    await answer_raw(application, kind, body)
    with pytest.raises(Internal):
        await application.bus.ask(Echo())


async def test_an_error_of_an_unknown_kind_is_internal(application: Application) -> None:
    body = msgspec.msgpack.encode({"kind": "from-next-year", "code": "x", "detail": "d"})
    await answer_raw(application, Kind.ERROR, body)
    with pytest.raises(Internal, match="d"):
        await application.bus.ask(Echo())


async def test_a_nested_ask_gets_the_smaller_of_its_timeout_and_the_time_left(application: Application) -> None:
    inner = Calls()

    async def outer(message: Echo, context: Context) -> Echoed:
        application.clock.advance(2.0)
        await application.bus.ask(OtherEcho(), timeout=60.0)
        await application.bus.ask(OtherEcho(), timeout=1.0)
        await application.bus.ask(OtherEcho())
        return Echoed("")

    await application.add_script(outer)
    await application.add_actor(Other(application.bus, inner))
    began = application.clock()
    await application.bus.ask(Echo(), timeout=4.0)
    assert [context.deadline for context in inner.contexts] == [began + 4.0, began + 2.0 + 1.0, began + 4.0]


async def test_an_ask_has_the_timeout_of_the_bus_by_default(application: Application) -> None:
    calls = Calls()
    await application.add_script(calls)
    await application.bus.ask(Echo())
    await application.bus.ask(Echo(), timeout=0.5)
    assert [context.deadline for context in calls.contexts] == [application.clock() + 5.0, application.clock() + 0.5]


async def test_headers_and_principal_are_inherited_through_nested_asks(application: Application) -> None:
    inner = Calls()

    async def outer(message: Echo, context: Context) -> Echoed:
        return await application.bus.ask(OtherEcho())

    await application.add_script(outer)
    await application.add_actor(Other(application.bus, inner))
    siti = Principal("siti", Role.OPERATOR, "s-1")
    with in_context(Context(principal=siti, headers={"request_id": "r-1", "traceparent": "t"})):
        await application.bus.ask(Echo())
    (context,) = inner.contexts
    assert context.principal == siti
    assert context.headers == {"request_id": "r-1", "traceparent": "t"}


async def test_a_given_principal_overrides_that_of_the_context(application: Application) -> None:
    calls = Calls()
    await application.add_script(calls)
    siti, budi = Principal("siti", Role.OPERATOR), Principal("budi", Role.PASIEN)
    with in_context(Context(principal=siti)):
        await application.bus.ask(Echo(), principal=budi)
        await application.bus.ask(Echo())
    await application.bus.ask(Echo())
    assert [context.principal for context in calls.contexts] == [budi, siti, None]


async def test_an_idempotent_request_is_repeated_under_the_same_key(application: Application) -> None:
    calls = Calls(Unavailable(), Internal())
    await application.add_script(calls)
    assert await application.bus.ask(Look(text="x")) == Echoed("x")
    assert len(calls) == 3
    assert len({context.key for context in calls.contexts}) == 1


async def test_a_request_with_an_idempotency_key_is_repeated_under_that_key(application: Application) -> None:
    calls = Calls(Unavailable(), Expired())
    await application.add_script(calls)
    assert await application.bus.ask(Echo(text="x"), key="job-1:add") == Echoed("x")
    assert [context.key for context in calls.contexts] == ["job-1:add"] * 3


async def test_any_other_request_is_not_repeated(application: Application) -> None:
    calls = Calls(Unavailable())
    await application.add_script(calls)
    with pytest.raises(Unavailable):
        await application.bus.ask(Echo())
    assert len(calls) == 1


async def test_two_asks_have_two_keys(application: Application) -> None:
    calls = Calls()
    await application.add_script(calls)
    await application.bus.ask(Echo())
    await application.bus.ask(Echo())
    assert len({context.key for context in calls.contexts}) == 2


async def test_repetitions_end_with_the_attempts(application: Application) -> None:
    calls = Calls(*[Unavailable(f"n {n}") for n in range(9)])
    await application.add_script(calls)
    with pytest.raises(Unavailable, match="n 2"):
        await application.bus.ask(Look())
    assert len(calls) == 3


async def test_repetitions_end_at_the_deadline() -> None:
    async with Application(retry=RetryPolicy(attempts=3, initial=10.0)) as application:
        calls = Calls(Unavailable("first"), Unavailable("second"))
        await application.add_script(calls)
        with pytest.raises(Unavailable, match="first"):
            await application.bus.ask(Look(), timeout=5.0)
        assert len(calls) == 1


async def test_delays_between_attempts_grow_and_the_time_of_attempts_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Application(retry=RetryPolicy(attempts=9, initial=1.0, jitter=0.0)) as application:
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            application.clock.advance(seconds)

        async def script(message: Look, context: Context) -> Echoed:
            application.clock.advance(0.5)
            raise Unavailable

        await application.add_script(script)
        monkeypatch.setattr("mediq.runtime.bus.asyncio.sleep", sleep)
        with pytest.raises(Unavailable):
            await application.bus.ask(Look(), timeout=8.5)
        monkeypatch.undo()
        assert waits == [1.0, 2.0], "four attempts of 0.5 s and waits of 1, 2 and 4 s would reach the deadline"


@pytest.mark.parametrize("refusal", [NotFound("x"), Invalid("x"), Conflict("x"), BreakerOpen("x")])
async def test_a_permanent_error_is_not_retried(application: Application, refusal: Exception) -> None:
    calls = Calls(refusal)
    await application.add_script(calls)
    with pytest.raises(type(refusal)):
        await application.bus.ask(Look())
    assert len(calls) == 1


async def test_a_failing_service_is_no_longer_called_but_others_are() -> None:
    async with Application(breaker=BreakerPolicy(calls=2, failures=3, rest=60.0)) as application:
        calls = Calls(*[Unavailable("down")] * 10)
        await application.add_script(calls)
        await application.add_actor(Other(application.bus))
        for _ in range(3):
            with pytest.raises(Unavailable, match="down"):
                await application.bus.ask(Echo())
        with pytest.raises(BreakerOpen):
            await application.bus.ask(Echo())
        assert len(calls) == 3
        assert application.bus.breakers["test"].state is State.OPEN
        assert await application.bus.ask(OtherEcho(text="x")) == Echoed("x")


async def test_every_attempt_of_an_ask_counts_for_the_breaker() -> None:
    async with Application(breaker=BreakerPolicy(calls=1, failures=2, rest=60.0)) as application:
        calls = Calls(*[Unavailable("down")] * 10)
        await application.add_script(calls)
        with pytest.raises(BreakerOpen):
            await application.bus.ask(Look())
        assert len(calls) == 2


@pytest.mark.parametrize(("left", "state"), [(2.0, State.CLOSED), (3.0, State.OPEN)])
async def test_an_expired_ask_counts_for_the_breaker_only_if_it_had_enough_time(left: float, state: State) -> None:
    async with Application(breaker=BreakerPolicy(calls=2, failures=3, rest=60.0)) as application:
        await application.add_script(Calls(*[Expired("late")] * 9))
        for _ in range(9):
            with in_context(Context(deadline=application.clock() + left)), pytest.raises((Expired, BreakerOpen)):
                await application.bus.ask(Echo())
        assert application.bus.breakers["test"].state is state


async def test_pending_asks_fail_when_the_bus_stops(application: Application) -> None:
    gate = asyncio.Event()

    async def script(message: Echo, context: Context) -> Echoed:
        await gate.wait()
        return Echoed("late")

    await application.add_script(script)
    asks = [asyncio.create_task(application.bus.ask(Echo())) for _ in range(3)]
    await until(lambda: len(application.bus._replies) == 3)
    await application.bus.stop()
    for ask in asks:
        with pytest.raises(Unavailable):
            await ask
    gate.set()


async def test_an_ask_that_waits_for_room_fails_when_bus_and_transport_stop(application: Application) -> None:
    application.broker.capacity = 1
    await (await application.transport.bind("test", lambda delivery: None, 1)).close()
    await application.bus.tell(Echo())
    ask = asyncio.create_task(application.bus.ask(Echo()))
    await settle()
    await application.bus.stop()
    await application.transport.stop()
    with pytest.raises(Unavailable):
        await ask


async def test_the_bus_runs_until_it_is_stopped(application: Application) -> None:
    running = asyncio.create_task(application.bus.run())
    await settle()
    assert not running.done()
    await application.bus.stop()
    await running


async def test_a_told_request_arrives_with_key_and_headers_and_without_deadline(application: Application) -> None:
    calls = Calls()
    await application.add_script(calls)
    with in_context(Context(deadline=application.clock() + 1.0, headers={"request_id": "r"})):
        await application.bus.tell(Echo(text="x"), key="k")
    await until(lambda: len(calls) == 1)
    (context,) = calls.contexts
    assert (context.key, context.headers, context.deadline) == ("k", {"request_id": "r"}, None)


async def test_a_told_request_is_refused_when_there_is_no_room_in_time() -> None:
    async with Application(timeout=SOON) as application:
        application.broker.capacity = 1
        await (await application.transport.bind("test", lambda delivery: None, 1)).close()
        await application.bus.tell(Echo())
        with pytest.raises(MailboxFull):
            await application.bus.tell(Echo())


async def test_the_number_of_waiting_messages_is_a_metric(application: Application) -> None:
    def waiting() -> float | None:
        return metrics.registry.get_sample_value("mediq_mailbox_waiting", {"mailbox": "test"})

    await (await application.transport.bind("test", lambda delivery: None, 1)).close()
    for _ in range(3):
        await application.bus.tell(Echo())
    assert waiting() == 3
    await application.add_script(Calls())
    await settle()
    assert waiting() == 0


async def test_a_told_request_to_a_missing_mailbox_is_unroutable(application: Application) -> None:
    with pytest.raises(Unroutable):
        await application.bus.tell(Echo())


async def test_a_published_event_reaches_every_subscriber(application: Application) -> None:
    got: list[Any] = []
    everything: list[Any] = []
    await application.bus.subscribe("test.happened", got.append)
    await application.bus.subscribe("#", everything.append)
    await application.bus.subscribe("other.*", lambda message: pytest.fail("not its topic"))
    await application.bus.publish(Happened(text="1"))
    await application.bus.publish(Happened(text="2"))
    await settle()
    assert got == everything == [Happened(text="1"), Happened(text="2")]


async def test_a_given_topic_overrides_that_of_the_event_class(application: Application) -> None:
    topics: list[str] = []
    await application.transport.subscribe("#", lambda envelope: topics.append(envelope.pattern))
    await application.bus.publish(Happened(), topic="test.elsewhere")
    await settle()
    assert topics == ["test.elsewhere"]


async def test_events_carry_the_headers_of_their_cause(application: Application) -> None:
    got: list[Envelope] = []
    await application.transport.subscribe("#", got.append)
    with in_context(Context(headers={"request_id": "r"})):
        await application.bus.publish(Happened())
    await settle()
    assert [(e.kind, e.headers) for e in got] == [(Kind.EVENT, {"request_id": "r"})]


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x81\xa4text\xa1\xff", b"\x81\xa4text\x01"])
async def test_an_event_that_cannot_be_decoded_is_skipped(application: Application, body: bytes) -> None:
    got: list[Any] = []
    await application.bus.subscribe("#", got.append)
    for pattern in ("test.happened", "from.next-year"):
        envelope = Envelope(id=new_id(), pattern=pattern, kind=Kind.EVENT, body=body)
        await application.transport.publish(pattern, envelope)
    await application.bus.publish(Happened(text="x"))
    await settle()
    assert got == [Happened(text="x")]


async def test_a_subscriber_that_raises_still_gets_the_next_event(application: Application) -> None:
    got: list[Any] = []

    def on_event(message: Happened) -> None:
        got.append(message)
        raise RuntimeError("a bug of the subscriber")

    await application.bus.subscribe("#", on_event)
    await application.bus.publish(Happened(text="1"))
    await application.bus.publish(Happened(text="2"))
    await settle()
    assert got == [Happened(text="1"), Happened(text="2")]


async def test_a_closed_subscription_gets_nothing_more(application: Application) -> None:
    got: list[Any] = []
    subscription = await application.bus.subscribe("#", got.append)
    await subscription.close()
    await application.bus.publish(Happened())
    await settle()
    assert got == []


async def test_two_processes_each_get_their_own_replies(application: Application) -> None:
    async with Application(broker=application.broker) as second:
        await application.add_actor(Scripted(application.bus))
        mine, theirs = await asyncio.gather(application.bus.ask(Echo(text="a")), second.bus.ask(Echo(text="b")))
        assert (mine.text, theirs.text) == ("a", "b")


async def answer_raw(application: Application, kind: Kind, body: bytes, times: int = 1) -> None:
    """A service that replies to every ask with these bytes."""
    answers: set[asyncio.Task[None]] = set()

    def on_delivery(delivery: Any) -> None:
        asking = delivery.envelope
        for _ in range(times):
            reply = Envelope(id=new_id(), pattern=asking.pattern, kind=kind, body=body, correlation_id=asking.id)
            answers.add(asyncio.ensure_future(application.transport.send(asking.reply_to, reply)))

    await application.transport.bind("test", on_delivery, 10)

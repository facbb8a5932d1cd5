"""The actor cell, between a stub transport and deliveries that record how they were settled."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import pytest

from mediq.domain.roles import Role
from mediq.messages.errors import (
    DomainError,
    Fault,
    Internal,
    NotFound,
    StorageFull,
    Unavailable,
    Unroutable,
    WireError,
    from_wire,
)
from mediq.messages.principal import Principal
from mediq.messages.registry import Request
from mediq.runtime.actor import Actor, handles
from mediq.runtime.bus import Bus
from mediq.runtime.cell import ActorCell
from mediq.runtime.context import NOBODY, Context, current, headers_now
from mediq.runtime.retry import RetryPolicy
from mediq.transport.base import MAX_ATTEMPTS
from mediq.transport.envelope import Envelope, Kind
from tests.fixtures.runtime import (
    Application,
    Clock,
    Echo,
    Echoed,
    Look,
    Script,
    Scripted,
    StubDelivery,
    StubTransport,
    asked,
    echo,
    settle,
    told,
    until,
)

NO_BUS: Any = None
BACKOFF = RetryPolicy(initial=0.5, jitter=0.0)


class Bench:
    """One cell over the stub transport, and its deliveries."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.transport = StubTransport()
        self.journal: list[Any] = []
        self.task: asyncio.Task[None]
        self.cell: ActorCell

    async def run(self, actor: Actor) -> None:
        self.cell = ActorCell(actor, self.transport, "test_queue", retry=BACKOFF, clock=self.clock)
        await self.cell.start()
        self.task = asyncio.create_task(self.cell.run())

    async def follow(self, script: Script) -> None:
        await self.run(Scripted(NO_BUS, script))

    def give(self, envelope: Envelope) -> StubDelivery:
        delivery = StubDelivery(envelope, self.journal)
        self.transport.hand_over(delivery)
        return delivery

    async def handle(self, envelope: Envelope) -> StubDelivery:
        delivery = self.give(envelope)
        await until(lambda: bool(delivery.settled))
        await settle()
        return delivery

    @property
    def answers(self) -> list[Envelope]:
        return [envelope for _, envelope in self.transport.sent]

    @property
    def error(self) -> DomainError | Fault:
        """The error that was replied; it must be the only reply."""
        (answer,) = self.answers
        assert answer.kind is Kind.ERROR
        return from_wire(msgspec.msgpack.decode(answer.body, type=WireError))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    if hasattr(bench, "task") and not bench.task.done():
        bench.task.cancel()
        await asyncio.wait([bench.task])


async def fail(message: Any, context: Context) -> Echoed:
    raise ZeroDivisionError("NIK 3171012345678901")


class OneByOne(Scripted):
    concurrency = 1


class Three(Scripted):
    concurrency = 3


async def test_an_ask_is_replied_to_and_then_acknowledged(bench: Bench) -> None:
    await bench.follow(echo)
    ask = asked(Echo(text="halo"), headers={"request_id": "r"}, deadline=bench.clock() + 9.0)
    delivery = await bench.handle(ask)
    assert delivery.settled == [("ack",)]
    ((mailbox, answer),) = bench.transport.sent
    assert mailbox == "replies"
    assert msgspec.msgpack.decode(answer.body, type=Echoed) == Echoed("halo")
    assert (answer.kind, answer.correlation_id, answer.deadline, answer.headers, answer.reply_to) == (
        Kind.REPLY,
        ask.id,
        ask.deadline,
        {},  # the asker has its own context
        None,
    )


async def test_a_told_message_is_acknowledged_without_a_reply(bench: Bench) -> None:
    await bench.follow(echo)
    delivery = await bench.handle(told(reply_to="replies"))
    assert delivery.settled == [("ack",)]
    assert bench.answers == []


async def test_the_handler_gets_the_context_of_the_request(bench: Bench) -> None:
    seen: list[tuple[Context, Context]] = []
    logged: list[Mapping[str, str]] = []

    async def script(message: Any, context: Context) -> Echoed:
        seen.append((context, current.get()))
        logged.append(headers_now())
        return Echoed("")

    await bench.follow(script)
    siti = Principal("siti", Role.OPERATOR, "s")
    ask = asked(principal=siti, idempotency_key="k", attempt=2, headers={"a": "b"}, deadline=bench.clock() + 7.0)
    await bench.handle(ask)
    unkeyed = told()
    await bench.handle(unkeyed)
    expected = Context(principal=siti, key="k", attempt=2, headers={"a": "b"}, deadline=ask.deadline)
    assert seen == [(expected, expected), (Context(key=unkeyed.id),) * 2]
    assert logged == [{"a": "b"}, {}]
    assert current.get() is NOBODY
    assert not headers_now()


async def test_a_domain_error_is_replied_and_the_message_acknowledged(bench: Bench) -> None:
    async def script(message: Any, context: Context) -> Echoed:
        raise NotFound("tidak ada", code="no-ticket")

    await bench.follow(script)
    assert (await bench.handle(asked())).settled == [("ack",)]
    assert isinstance(bench.error, NotFound)
    assert (await bench.handle(told())).settled == [("ack",)]


@pytest.mark.parametrize("fault", [Unavailable("x"), Internal("x"), StorageFull("x")])
async def test_a_fault_is_replied_to_an_ask_and_retried_for_a_told_message(bench: Bench, fault: Fault) -> None:
    async def script(message: Any, context: Context) -> Echoed:
        raise fault

    await bench.follow(script)
    assert (await bench.handle(asked())).settled == [("ack",)]
    assert type(bench.error) is type(fault)
    assert (await bench.handle(told())).settled == [("retry", 0.5)]
    assert (await bench.handle(told(attempt=2))).settled == [("retry", 1.0)]


async def test_a_crash_is_retried_with_backoff_then_dead_lettered_and_replied(bench: Bench) -> None:
    await bench.follow(fail)
    assert MAX_ATTEMPTS == 3
    assert (await bench.handle(asked(attempt=1))).settled == [("retry", 0.5)]
    assert (await bench.handle(asked(attempt=2))).settled == [("retry", 1.0)]
    assert bench.answers == []
    assert (await bench.handle(asked(attempt=3))).settled == [("dead_letter", "crash: ZeroDivisionError")]
    assert isinstance(bench.error, Internal)
    assert "3171" not in bench.error.detail
    assert (await bench.handle(told(attempt=3))).settled == [("dead_letter", "crash: ZeroDivisionError")]
    assert len(bench.answers) == 1


@pytest.mark.parametrize(("left", "expected"), [(0.4, "dead_letter"), (0.5, "dead_letter"), (0.6, "retry")])
async def test_a_crash_is_not_retried_beyond_the_deadline(bench: Bench, left: float, expected: str) -> None:
    await bench.follow(fail)
    delivery = await bench.handle(asked(deadline=bench.clock() + left))
    assert delivery.settled[0][0] == expected
    assert len(bench.answers) == (1 if expected == "dead_letter" else 0)


async def test_a_handler_that_awaits_a_cancelled_future_counts_as_crashed(bench: Bench) -> None:
    async def script(message: Any, context: Context) -> Echoed:
        if message.text == "bad":
            other = asyncio.get_running_loop().create_future()
            other.cancel()
            await other
        return Echoed("")

    await bench.follow(script)
    assert (await bench.handle(asked(Echo(text="bad")))).settled == [("retry", 0.5)]
    assert (await bench.handle(asked(Echo(text="bad"), attempt=3))).settled == [
        ("dead_letter", "crash: CancelledError")
    ]
    assert (await bench.handle(asked())).settled == [("ack",)]
    assert not bench.task.done()


async def test_a_reply_that_cannot_be_encoded_is_a_crash(bench: Bench) -> None:
    async def script(message: Any, context: Context) -> Any:
        return object() if message.text == "bad" else Echoed("")

    await bench.follow(script)
    assert (await bench.handle(asked(Echo(text="bad"), attempt=3))).settled == [("dead_letter", "crash: TypeError")]
    assert isinstance(bench.error, Internal)
    assert (await bench.handle(asked())).settled == [("ack",)]


async def test_an_expired_ask_is_acknowledged_and_not_handled(bench: Bench) -> None:
    async def script(message: Any, context: Context) -> Echoed:
        pytest.fail("it was run")

    await bench.follow(script)
    assert (await bench.handle(asked(deadline=bench.clock()))).settled == [("ack",)]
    assert bench.answers == []


async def test_an_ask_that_expires_while_it_waits_for_a_worker_is_not_handled(bench: Bench) -> None:
    gate, run = asyncio.Event(), []

    async def script(message: Any, context: Context) -> Echoed:
        run.append(message.text)
        await gate.wait()
        return Echoed("")

    await bench.run(OneByOne(NO_BUS, script))
    bench.give(told(Echo(text="long")))
    late = bench.give(asked(Echo(text="late"), deadline=bench.clock() + 1.0))
    await until(lambda: run == ["long"])
    bench.clock.advance(2.0)
    gate.set()
    await until(lambda: late.settled == [("ack",)])
    assert run == ["long"]


async def test_an_unknown_pattern_is_malformed_and_a_dead_letter(bench: Bench) -> None:
    await bench.follow(echo)
    assert (await bench.handle(asked(pattern="test.nonsense"))).settled == [("dead_letter", "unknown pattern")]
    assert bench.error.kind == "malformed"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x81\xa4text\x01",
        b"\x81\xa3new\x01",
        b"\x81\xa4text\xa1\xff",
        b"\x81\xa3new" + b"\x91" * 100_000 + b"\x00",
        b"\x81" + b"\x91" * 100_000,
    ],
    ids=["empty", "reserved", "type", "field", "utf-8", "deep", "deep-key"],
)
async def test_a_body_that_cannot_be_decoded_is_a_dead_letter_and_the_cell_goes_on(bench: Bench, body: bytes) -> None:
    await bench.follow(echo)
    ((how, reason),) = (await bench.handle(asked(body=body))).settled
    assert how == "dead_letter"
    assert reason.startswith("undecodable: ")
    assert bench.error.kind == "malformed"
    assert (await bench.handle(asked())).settled == [("ack",)]


async def test_a_reply_to_an_asker_that_stopped_is_dropped(bench: Bench) -> None:
    await bench.follow(echo)
    bench.transport.failure = Unroutable()
    assert (await bench.handle(asked())).settled == [("ack",)]
    assert not bench.task.done()


async def test_a_failing_transport_ends_the_cell_and_requeues_the_message(bench: Bench) -> None:
    actor = Scripted(NO_BUS)
    await bench.run(actor)
    delivery = StubDelivery(asked())
    delivery.failure = ConnectionError("the channel is gone")
    bench.transport.hand_over(delivery)
    with pytest.raises(ConnectionError):
        await bench.task
    assert delivery.settled == [("requeue",)]
    assert actor.journal == ["on_start", "on_stop"]


async def test_no_more_messages_than_the_concurrency_are_handled_at_once(bench: Bench) -> None:
    gate = asyncio.Event()
    busy, most = 0, 0

    async def script(message: Any, context: Context) -> Echoed:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await gate.wait()
        busy -= 1
        return Echoed("")

    await bench.run(Three(NO_BUS, script))
    assert bench.transport.bound == [("test_queue", 6, False)]
    deliveries = [bench.give(told()) for _ in range(10)]
    await until(lambda: busy == 3)
    await settle()
    assert most == 3
    gate.set()
    await until(lambda: all(delivery.settled for delivery in deliveries))
    assert most == 3


async def test_with_a_concurrency_of_one_messages_are_handled_strictly_in_order(bench: Bench) -> None:
    steps: list[tuple[str, str]] = []

    async def script(message: Any, context: Context) -> Echoed:
        steps.append(("begin", message.text))
        await settle(5 - int(message.text))
        steps.append(("end", message.text))
        return Echoed("")

    await bench.run(OneByOne(NO_BUS, script))
    deliveries = [bench.give(told(Echo(text=str(n)))) for n in range(5)]
    await until(lambda: all(delivery.settled for delivery in deliveries))
    assert steps == [(step, str(n)) for n in range(5) for step in ("begin", "end")]


class Gated:
    """A script in which every message waits for a gate."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun: list[str] = []
        self.ended: list[str] = []

    async def __call__(self, message: Any, context: Context) -> Echoed:
        self.begun.append(message.text)
        await self.gate.wait()
        self.ended.append(message.text)
        return Echoed("")


async def test_a_stop_finishes_received_messages_before_on_stop(bench: Bench) -> None:
    script = Gated()
    actor = OneByOne(NO_BUS, script)
    await bench.run(actor)
    deliveries = [bench.give(told(Echo(text=str(n)))) for n in range(2)]
    await until(lambda: script.begun == ["0"])
    await bench.cell.stop()
    assert not bench.transport.open
    await settle()
    assert not bench.task.done()
    assert actor.journal == ["on_start"]
    script.gate.set()
    await bench.task
    assert script.ended == ["0", "1"]
    assert [delivery.settled for delivery in deliveries] == [[("ack",)], [("ack",)]]
    assert actor.journal == ["on_start", "on_stop"]


async def test_a_cancelled_cell_requeues_everything_in_order(bench: Bench) -> None:
    script = Gated()
    actor = OneByOne(NO_BUS, script)
    await bench.run(actor)
    deliveries = [bench.give(told(Echo(text=str(n)))) for n in range(4)]
    await until(lambda: script.begun == ["0"])
    await bench.cell.stop()
    bench.task.cancel()
    await asyncio.wait([bench.task])
    assert bench.task.cancelled()
    assert bench.journal == [(delivery.envelope.id, "requeue") for delivery in deliveries]
    assert script.ended == []
    assert actor.journal == ["on_start", "on_stop"]


async def test_a_message_that_arrives_after_the_stop_is_requeued(bench: Bench) -> None:
    script = Gated()
    await bench.run(OneByOne(NO_BUS, script))
    first = bench.give(told())
    await until(lambda: len(script.begun) == 1)
    await bench.cell.stop()
    late = bench.give(told())
    script.gate.set()
    await bench.task
    assert (first.settled, late.settled) == ([("ack",)], [("requeue",)])


async def test_stopping_an_idle_cell_ends_it(bench: Bench) -> None:
    await bench.follow(echo)
    await settle()
    assert not bench.task.done()
    await bench.cell.stop()
    await bench.task


class Sweeping(Scripted):
    """An actor with background work that fails when told to."""

    concurrency = 1

    def __init__(self, bus: Bus, script: Script) -> None:
        super().__init__(bus, script)
        self.trouble = asyncio.Event()

    async def run(self) -> None:
        try:
            await self.trouble.wait()
            raise OSError("the disk is gone")
        finally:
            self.journal.append("run ended")


async def test_a_failure_of_the_background_work_ends_the_cell(bench: Bench) -> None:
    script = Gated()
    actor = Sweeping(NO_BUS, script)
    await bench.run(actor)
    deliveries = [bench.give(told(Echo(text=str(n)))) for n in range(2)]
    await until(lambda: script.begun == ["0"])
    actor.trouble.set()
    with pytest.raises(OSError, match="the disk is gone"):
        await bench.task
    assert bench.journal == [(delivery.envelope.id, "requeue") for delivery in deliveries]
    assert not bench.transport.open
    assert actor.journal == ["on_start", "run ended", "on_stop"]


async def test_the_background_work_ends_before_on_stop(bench: Bench) -> None:
    actor = Sweeping(NO_BUS, echo)
    await bench.run(actor)
    assert (await bench.handle(asked())).settled == [("ack",)]
    await bench.cell.stop()
    await bench.task
    assert actor.journal == ["on_start", "run ended", "on_stop"]


async def test_an_actor_that_cannot_start_is_stopped_and_consumes_nothing(bench: Bench) -> None:
    class Broken(Scripted):
        async def on_start(self) -> None:
            await super().on_start()
            raise OSError("no store")

    actor = Broken(NO_BUS)
    with pytest.raises(OSError, match="no store"):
        await bench.run(actor)
    assert actor.journal == ["on_start", "on_stop"]
    assert bench.transport.bound == []


async def test_an_actor_whose_mailbox_cannot_be_bound_is_stopped(bench: Bench) -> None:
    actor = Scripted(NO_BUS)
    bench.transport.failure = Unavailable("no broker")
    with pytest.raises(Unavailable):
        await bench.run(actor)
    assert actor.journal == ["on_start", "on_stop"]


async def test_a_subclass_inherits_and_overrides_handlers(bench: Bench) -> None:
    class Louder(Scripted):
        @handles(Echo)
        async def echo(self, message: Echo, context: Context) -> Echoed:
            return Echoed(message.text.upper())

    await bench.run(Louder(NO_BUS))
    await bench.handle(asked(Echo(text="a")))
    await bench.handle(asked(Look(text="b"), pattern="test.look"))
    assert [msgspec.msgpack.decode(answer.body, type=Echoed).text for answer in bench.answers] == ["A", "b"]


async def test_the_parts_of_an_actor_answer_its_messages(bench: Bench) -> None:
    class Part:
        @handles(Echo, Look)
        async def both(self, message: Request[Echoed], context: Context) -> Echoed:
            assert isinstance(message, Echo | Look)
            return Echoed(message.text.upper())

    class Whole(Actor):
        name = "whole"

    await bench.run(Whole(NO_BUS, Part()))
    await bench.handle(asked(Echo(text="a")))
    await bench.handle(asked(Look(text="b"), pattern="test.look"))
    assert [msgspec.msgpack.decode(answer.body, type=Echoed).text for answer in bench.answers] == ["A", "B"]


def test_two_handlers_of_one_message_are_refused() -> None:
    class Part:
        @handles(Echo)
        async def echo(self, message: Echo, context: Context) -> Echoed:
            return Echoed(message.text)

    class Whole(Actor):
        name = "whole"

    with pytest.raises(TypeError, match=r"test\.echo has two handlers"):
        Whole(NO_BUS, Part(), Part())


def test_a_message_without_a_pattern_cannot_be_handled() -> None:
    class Nameless(Request[Echoed], frozen=True, kw_only=True): ...

    with pytest.raises(KeyError):

        class Confused(Actor):
            @handles(Nameless)
            async def nameless(self, message: Nameless, context: Context) -> Echoed:
                return Echoed("")


async def test_over_a_real_transport_a_crash_is_a_dead_letter_after_three_attempts(application: Application) -> None:
    attempts: list[int] = []

    async def script(message: Any, context: Context) -> Echoed:
        attempts.append(context.attempt)
        raise ZeroDivisionError

    await application.add_script(script)
    with pytest.raises(Internal):
        await application.bus.ask(Echo())
    assert attempts == [1, 2, 3]
    (dead,) = application.broker.dead_letters
    assert (dead.mailbox, dead.reason) == ("test", "crash: ZeroDivisionError")
    assert dead.envelope is not None
    assert dead.envelope.attempt == 3


async def test_over_a_real_transport_a_told_message_survives_a_temporary_fault(application: Application) -> None:
    attempts: list[int] = []

    async def script(message: Any, context: Context) -> Echoed:
        attempts.append(context.attempt)
        if context.attempt < 3:
            raise Unavailable
        return Echoed("")

    await application.add_script(script)
    await application.bus.tell(Echo())
    await until(lambda: attempts == [1, 2, 3])
    await settle()
    assert not application.broker.dead_letters


async def test_over_a_real_transport_an_actor_that_keeps_sending_to_itself_lets_others_run(
    application: Application,
) -> None:
    told = 0

    async def script(message: Any, context: Context) -> Echoed:
        nonlocal told
        told += 1
        if message.text == "again" and told < 10_000:
            await application.bus.tell(Echo(text="again"))
        return Echoed(message.text)

    await application.add_script(script)
    await application.bus.tell(Echo(text="again"))
    assert await application.bus.ask(Echo(text="another's")) == Echoed("another's")
    assert told < 100
    told = 10_000


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_over_a_real_transport_all_workers_share_the_waiting_messages(
    application: Application, concurrency: int
) -> None:
    script = Gated()
    actor = Scripted(application.bus, script)
    actor.concurrency = concurrency
    await application.add_actor(actor)
    for number in range(8):
        await application.bus.tell(Echo(text=str(number)))
    await until(lambda: len(script.begun) == concurrency)
    await settle()
    assert script.begun == [str(number) for number in range(concurrency)]
    script.gate.set()
    await until(lambda: len(script.ended) == 8)
    assert script.begun == [str(number) for number in range(8)]


async def test_over_a_real_transport_the_next_cell_handles_what_a_cancelled_one_had(application: Application) -> None:
    script = Gated()
    cell = ActorCell(OneByOne(application.bus, script), application.transport, "test", clock=application.clock)
    await cell.start()
    task = asyncio.create_task(cell.run())
    for number in range(5):
        await application.bus.tell(Echo(text=str(number)))
    await until(lambda: script.begun == ["0"])
    task.cancel()
    await asyncio.wait([task])
    done = Gated()
    done.gate.set()
    await application.add_actor(OneByOne(application.bus, done))
    await until(lambda: len(done.ended) == 5)
    assert done.ended == ["0", "1", "2", "3", "4"]

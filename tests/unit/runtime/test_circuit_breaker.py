"""The circuit breaker: every transition, and a comparison with a simple model."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mediq.domain.errors import Conflict, NotFound
from mediq.messages.errors import BreakerOpen, Expired, Internal, MailboxFull, StorageFull, Unavailable
from mediq.observability import metrics
from mediq.runtime.circuit_breaker import BreakerPolicy, CircuitBreaker, State
from tests.fixtures.runtime import Clock

POLICY = BreakerPolicy(window=30.0, calls=10, rate=0.5, failures=5, rest=10.0)


class Bench:
    def __init__(self, policy: BreakerPolicy = POLICY) -> None:
        self.clock = Clock()
        self.breaker = CircuitBreaker("test", policy, self.clock)

    def state(self) -> State:
        return self.breaker.state

    @contextmanager
    def calling(self, *, patient: bool = True) -> Iterator[None]:
        """A call through the breaker, which may raise."""
        probe = self.breaker.enter()
        try:
            yield
        except BaseException as error:
            self.breaker.raised(error, probe, patient=patient)
            raise
        self.breaker.succeeded(probe)

    def call(self, error: BaseException | None = None) -> None:
        with suppress(type(error) if error else NotFound), self.calling():
            if error is not None:
                raise error

    def calls(self, pattern: str) -> None:
        """One call for each letter: `+` succeeds, `-` fails."""
        for letter in pattern:
            self.call(None if letter == "+" else Unavailable())

    def opened(self) -> "Bench":
        self.calls("-" * 11)
        assert self.breaker.state is State.OPEN
        return self

    def half_open(self) -> AbstractContextManager[None]:
        """A breaker after its rest, with its probe in progress; the end of the block ends the probe."""
        self.opened().clock.advance(POLICY.rest)
        probe = self.calling()
        probe.__enter__()
        assert self.breaker.state is State.HALF_OPEN
        return probe

    @property
    def gauge(self) -> float:
        value = metrics.registry.get_sample_value("mediq_breaker_open", {"service": "test"})
        assert value is not None
        return value


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("pattern", "state"),
    [
        ("", State.CLOSED),
        ("-" * 10, State.CLOSED),  # not more than ten calls
        ("-" * 11, State.OPEN),
        ("+" * 6 + "-" * 6, State.CLOSED),  # half of them is not more than half
        ("+" * 6 + "-" * 7, State.OPEN),
        ("+-" * 20, State.CLOSED),
        ("--+--+--+--", State.OPEN),  # the rate counts, though there are never three in a row
        ("+" * 100 + "-" * 99, State.CLOSED),  # many in a row do not count
    ],
)
def test_the_breaker_opens_on_the_failure_rate_among_enough_calls(bench: Bench, pattern: str, state: State) -> None:
    bench.calls(pattern)
    assert bench.state() is state
    assert bench.gauge == (state is State.OPEN)


def test_the_breaker_opens_only_after_enough_failures() -> None:
    bench = Bench(BreakerPolicy(calls=2, rate=0.1, failures=5))
    bench.calls("-" * 4)
    assert bench.state() is State.CLOSED
    bench.calls("-")
    assert bench.state() is State.OPEN


def test_the_breaker_opens_on_a_failure_and_never_on_a_success() -> None:
    bench = Bench(BreakerPolicy(calls=3, failures=1))
    bench.calls("---")
    bench.calls("+")  # four calls, three of them failures
    assert bench.state() is State.CLOSED
    bench.calls("-")
    assert bench.state() is State.OPEN


@pytest.mark.parametrize(("seconds", "state"), [(30.0, State.OPEN), (30.1, State.CLOSED)])
def test_calls_before_the_window_do_not_count(bench: Bench, seconds: float, state: State) -> None:
    bench.calls("-" * 10)
    bench.clock.advance(seconds)
    bench.calls("-")
    assert bench.state() is state


@pytest.mark.parametrize("fault", [Expired(), Unavailable(), Internal()])
def test_faults_of_the_service_count(bench: Bench, fault: Exception) -> None:
    for _ in range(11):
        bench.call(fault)
    assert bench.state() is State.OPEN


@pytest.mark.parametrize("error", [NotFound("x"), Conflict("x"), StorageFull(), ValueError(), asyncio.CancelledError()])
def test_domain_errors_and_other_exceptions_do_not_count_as_failures(bench: Bench, error: BaseException) -> None:
    for _ in range(50):
        bench.call(error)
    assert bench.state() is State.CLOSED


def test_a_fault_of_another_service_does_not_count(bench: Bench) -> None:
    for _ in range(20):
        bench.call(Unavailable(service="another"))
    assert bench.state() is State.CLOSED
    for _ in range(21):
        bench.call(Unavailable(service="test"))
    assert bench.state() is State.OPEN


def test_a_full_mailbox_does_not_count_as_a_failure(bench: Bench) -> None:
    for _ in range(50):
        bench.call(MailboxFull())
    bench.calls("-" * 10)
    assert bench.state() is State.CLOSED
    end(bench.half_open(), MailboxFull())
    assert bench.state() is State.OPEN, "a full mailbox fails a probe"


def test_an_expiry_after_too_little_time_does_not_count(bench: Bench) -> None:
    for _ in range(50):
        with suppress(Expired), bench.calling(patient=False):
            raise Expired
    bench.calls("-" * 10)
    assert bench.state() is State.CLOSED, "such calls do not count"
    for _ in range(11):
        with suppress(Unavailable), bench.calling(patient=False):
            raise Unavailable
    assert bench.state() is State.OPEN, "being unavailable takes no time"


def test_after_a_probe_with_too_little_time_the_next_call_probes(bench: Bench) -> None:
    bench.opened().clock.advance(POLICY.rest)
    with suppress(Expired), bench.calling(patient=False):
        raise Expired
    assert bench.state() is State.HALF_OPEN
    bench.calls("+")
    assert bench.state() is State.CLOSED


def test_a_domain_error_counts_as_a_success(bench: Bench) -> None:
    for _ in range(10):
        bench.call(NotFound("x"))
    bench.calls("-" * 10)
    assert bench.state() is State.CLOSED


def test_a_cancelled_call_does_not_count(bench: Bench) -> None:
    for _ in range(10):
        bench.call(asyncio.CancelledError())
    bench.calls("-" * 10)
    assert bench.state() is State.CLOSED
    bench.calls("-")
    assert bench.state() is State.OPEN


def test_an_open_breaker_refuses_calls_and_says_for_how_long(bench: Bench) -> None:
    bench.opened().clock.advance(3.0)
    with pytest.raises(BreakerOpen) as refusal, bench.calling():
        pytest.fail("the call was made")
    assert (refusal.value.retry_after, refusal.value.service) == (7.0, "test")
    bench.clock.advance(6.5)
    with pytest.raises(BreakerOpen) as refusal, bench.calling():
        pytest.fail("the call was made")
    assert refusal.value.retry_after == 1.0
    assert bench.state() is State.OPEN


def test_refused_calls_do_not_delay_the_next_probe(bench: Bench) -> None:
    bench.opened()
    for _ in range(10):
        with pytest.raises(BreakerOpen), bench.calling():
            pytest.fail("the call was made")
        bench.clock.advance(POLICY.rest / 10)
    bench.calls("+")
    assert bench.state() is State.CLOSED


def test_after_its_rest_exactly_one_probe_is_let_through(bench: Bench) -> None:
    probe = bench.half_open()
    for _ in range(3):
        with pytest.raises(BreakerOpen) as refusal, bench.calling():
            pytest.fail("a second probe")
        assert refusal.value.retry_after == 1.0
    assert bench.gauge == 1
    probe.__exit__(None, None, None)


def test_a_successful_probe_closes_the_breaker_and_clears_its_history(bench: Bench) -> None:
    bench.half_open().__exit__(None, None, None)
    assert bench.state() is State.CLOSED
    assert bench.gauge == 0
    bench.calls("-" * 10)
    assert bench.state() is State.CLOSED
    bench.calls("-")
    assert bench.state() is State.OPEN


def test_a_probe_that_gets_a_domain_error_closes_the_breaker(bench: Bench) -> None:
    end(bench.half_open(), NotFound("x"))
    assert bench.state() is State.CLOSED


def test_a_failed_probe_opens_the_breaker_for_another_rest(bench: Bench) -> None:
    probe = bench.half_open()
    bench.clock.advance(4.0)  # the rest counts from the end of the probe
    end(probe, Expired())
    assert bench.state() is State.OPEN
    bench.clock.advance(POLICY.rest - 0.1)
    with pytest.raises(BreakerOpen), bench.calling():
        pytest.fail("the call was made")
    bench.clock.advance(0.1)
    bench.calls("+")
    assert bench.state() is State.CLOSED


@pytest.mark.parametrize("error", [asyncio.CancelledError(), StorageFull()])
def test_after_a_probe_without_a_result_the_next_call_probes(bench: Bench, error: BaseException) -> None:
    end(bench.half_open(), error)
    assert bench.state() is State.HALF_OPEN
    with bench.calling():
        with pytest.raises(BreakerOpen), bench.calling():
            pytest.fail("a second probe")
        assert bench.state() is State.HALF_OPEN
    assert bench.state() is State.CLOSED


@pytest.mark.parametrize("error", [None, Unavailable(), asyncio.CancelledError()])
def test_a_call_that_began_before_the_breaker_opened_does_not_count(bench: Bench, error: BaseException | None) -> None:
    early, late = bench.calling(), bench.calling()
    early.__enter__()
    late.__enter__()
    bench.opened()
    end(early, error)
    assert bench.state() is State.OPEN
    bench.clock.advance(POLICY.rest)
    with bench.calling():
        end(late, error)
        assert bench.state() is State.HALF_OPEN
        with pytest.raises(BreakerOpen), bench.calling():
            pytest.fail("a second probe")
    assert bench.state() is State.CLOSED


def end(call: AbstractContextManager[None], error: BaseException | None) -> None:
    """End a call that is in progress."""
    if error is None:
        call.__exit__(None, None, None)
    else:
        assert not call.__exit__(type(error), error, None), "the error was swallowed"


class Model:
    """A slow but simple breaker: it keeps a list of every call."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self.policy = policy
        self.outcomes: list[tuple[float, bool]] = []
        self.opened_at: float | None = None
        self.probe: int | None = None

    def admits(self, now: float) -> bool:
        if self.opened_at is None:
            return True
        return self.probe is None and now >= self.opened_at + self.policy.rest

    def ended(self, call: int, ok: bool | None, now: float) -> None:
        if self.probe == call:
            self.probe = None
            if ok is not None:
                self.outcomes = []
                self.opened_at = None if ok else now
        elif self.opened_at is None and ok is not None:
            self.outcomes.append((now, ok))
            recent = [fine for when, fine in self.outcomes if when >= now - self.policy.window]
            failures = recent.count(False)
            if (
                not ok
                and len(recent) > self.policy.calls
                and failures >= self.policy.failures
                and failures / len(recent) > self.policy.rate
            ):
                self.opened_at = now


OUTCOMES: dict[str, tuple[bool | None, Callable[[], BaseException | None]]] = {
    "ok": (True, lambda: None),
    "refused": (True, lambda: NotFound("x")),
    "fault": (False, Unavailable),
    "late": (False, Expired),
    "cancelled": (None, asyncio.CancelledError),
}


class BreakerAgainstModel(RuleBasedStateMachine):
    """Calls that begin and end in any order and with any result, while time passes."""

    def __init__(self) -> None:
        super().__init__()
        policy = BreakerPolicy(window=8.0, calls=3, rate=0.5, failures=2, rest=4.0)
        self.bench = Bench(policy)
        self.model = Model(policy)
        self.under_way: dict[int, AbstractContextManager[None]] = {}
        self.begun = 0

    @rule()
    def begin(self) -> None:
        call = self.bench.calling()
        if self.model.admits(self.bench.clock()):
            call.__enter__()
            self.begun += 1
            self.under_way[self.begun] = call
            if self.model.opened_at is not None:
                self.model.probe = self.begun
        else:
            with pytest.raises(BreakerOpen):
                call.__enter__()

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), outcome=st.sampled_from(sorted(OUTCOMES)))
    def end(self, data: st.DataObject, outcome: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.under_way)))
        ok, error = OUTCOMES[outcome]
        end(self.under_way.pop(number), error())
        self.model.ended(number, ok, self.bench.clock())

    @rule(outcome=st.sampled_from(["ok", "fault", "fault"]), times=st.integers(1, 5))
    def calls(self, outcome: str, times: int) -> None:
        for _ in range(times):
            if not self.model.admits(self.bench.clock()):
                return
            self.begin()
            ok, error = OUTCOMES[outcome]
            end(self.under_way.pop(self.begun), error())
            self.model.ended(self.begun, ok, self.bench.clock())

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0, 8.0]))
    def time_passes(self, seconds: float) -> None:
        self.bench.clock.advance(seconds)

    @invariant()
    def agrees(self) -> None:
        state = self.bench.state()
        if self.model.opened_at is None:
            assert state is State.CLOSED
        elif self.model.probe is not None:
            assert state is State.HALF_OPEN
        else:
            assert state in (State.OPEN, State.HALF_OPEN)
        assert self.bench.gauge == (self.model.opened_at is not None)

    def teardown(self) -> None:
        for call in self.under_way.values():
            end(call, asyncio.CancelledError())


BreakerAgainstModel.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestBreakerAgainstModel = BreakerAgainstModel.TestCase

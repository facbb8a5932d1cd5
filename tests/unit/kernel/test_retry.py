"""Asking again after a fault that may pass."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediq.domain.errors import Conflict, NotFound
from mediq.domain.idempotency import derive
from mediq.kernel.retry import RetryPolicy, passing, retrying
from mediq.messages.errors import (
    BreakerOpen,
    Expired,
    Fault,
    Internal,
    MailboxFull,
    StorageFull,
    Unavailable,
    Unroutable,
)
from tests.unit.kernel.support import AT_ONCE, Clock


class Call:
    """Fails in the given ways, then returns 42; each call takes `seconds` of the clock."""

    def __init__(self, clock: Clock, *failures: BaseException, seconds: float = 0.0) -> None:
        self.clock = clock
        self.failures = list(failures)
        self.seconds = seconds
        self.made = 0

    async def __call__(self) -> int:
        self.made += 1
        self.clock.advance(self.seconds)
        if self.failures:
            raise self.failures.pop(0)
        return 42


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits, none of which is waited."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return waits


async def test_a_call_that_succeeds_is_made_once(slept: list[float]) -> None:
    call = Call(clock := Clock())
    assert await retrying(call, AT_ONCE, deadline=clock() + 5.0, clock=clock) == 42
    assert (call.made, slept) == (1, [])


async def test_each_wait_is_twice_the_one_before(slept: list[float]) -> None:
    call = Call(clock := Clock(), *[Unavailable()] * 3)
    policy = RetryPolicy(attempts=4, initial=1.0, jitter=0.0)
    assert await retrying(call, policy, deadline=clock() + 60.0, clock=clock) == 42
    assert slept == [1.0, 2.0, 4.0]


async def test_the_last_error_is_raised_when_the_attempts_are_used_up(slept: list[float]) -> None:
    call = Call(clock := Clock(), Unavailable("1"), Internal("2"), Expired("3"), Unavailable("4"))
    with pytest.raises(Expired, match="3"):
        await retrying(call, AT_ONCE, deadline=clock() + 60.0, clock=clock)
    assert call.made == 3


async def test_it_is_not_tried_again_when_the_wait_would_reach_the_deadline(slept: list[float]) -> None:
    call = Call(clock := Clock(), *[Unavailable()] * 9)
    policy = RetryPolicy(attempts=9, initial=1.0, jitter=0.0)
    with pytest.raises(Unavailable):
        await retrying(call, policy, deadline=clock() + 4.0, clock=clock)
    assert slept == [1.0, 2.0]


async def test_the_time_that_the_calls_take_counts(slept: list[float]) -> None:
    call = Call(clock := Clock(), *[Unavailable()] * 9, seconds=3.0)
    policy = RetryPolicy(attempts=9, initial=0.0)
    with pytest.raises(Unavailable):
        await retrying(call, policy, deadline=clock() + 5.0, clock=clock)
    assert call.made == 2


@pytest.mark.parametrize(
    "error", [NotFound("x"), Conflict("x"), BreakerOpen(), StorageFull(), ValueError("x"), asyncio.CancelledError()]
)
async def test_what_does_not_pass_is_raised_at_once(slept: list[float], error: BaseException) -> None:
    call = Call(clock := Clock(), error)
    with pytest.raises(type(error)):
        await retrying(call, AT_ONCE, deadline=clock() + 60.0, clock=clock)
    assert (call.made, slept) == (1, [])


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (Expired(), True),
        (Unavailable(), True),
        (Unroutable(), True),
        (MailboxFull(), False),
        (Internal(), True),
        (BreakerOpen(), False),
        (StorageFull(), False),
        (Fault(), False),
        (NotFound("x"), False),
        (TimeoutError(), False),
    ],
)
def test_which_errors_may_pass(error: Any, passes: bool) -> None:
    assert passing(error) is passes


@settings(deadline=None)
@given(st.integers(1, 8), st.floats(0.01, 10.0), st.floats(0.0, 1.0))
def test_a_delay_doubles_and_is_jittered_upwards_only(repetition: int, initial: float, jitter: float) -> None:
    base = initial * 2 ** (repetition - 1)
    delay = RetryPolicy(initial=initial, jitter=jitter).delay(repetition)
    assert base <= delay <= base * (1 + jitter) * (1 + 1e-9)


def test_delays_differ_so_that_askers_do_not_come_back_together() -> None:
    assert len({RetryPolicy().delay(1) for _ in range(20)}) > 1


def test_a_derived_key_is_the_same_again_and_different_for_every_step() -> None:
    assert derive("job-1", "add") == derive("job-1", "add")
    assert len({derive("job-1", "add"), derive("job-1", "create"), derive("job-2", "add")}) == 3

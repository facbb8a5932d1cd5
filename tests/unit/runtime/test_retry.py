"""The retry policy: when a request is repeated, and after which delay."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediq.domain.errors import NotFound
from mediq.domain.idempotency import derive
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
from mediq.runtime.retry import RetryPolicy, temporary
from tests.fixtures.runtime import AT_ONCE

LONG = 3600.0


def test_each_delay_is_twice_the_one_before() -> None:
    policy = RetryPolicy(attempts=4, initial=1.0, jitter=0.0)
    assert [policy.pause(Unavailable(), made=made, left=LONG) for made in (1, 2, 3)] == [1.0, 2.0, 4.0]


def test_there_is_no_retry_after_the_last_attempt() -> None:
    policy = RetryPolicy(attempts=3, initial=0.0)
    assert [policy.pause(Internal(), made=made, left=LONG) for made in (1, 2, 3, 4)] == [0.0, 0.0, None, None]


@pytest.mark.parametrize(("left", "pause"), [(-1.0, None), (1.9, None), (2.0, None), (2.1, 2.0)])
def test_there_is_no_retry_if_the_delay_reaches_the_deadline(left: float, pause: float | None) -> None:
    policy = RetryPolicy(attempts=9, initial=1.0, jitter=0.0)
    assert policy.pause(Expired(), made=2, left=left) == pause


@pytest.mark.parametrize("error", [BreakerOpen(), StorageFull(), MailboxFull()])
def test_a_permanent_fault_is_not_retried(error: Fault) -> None:
    assert AT_ONCE.pause(error, made=1, left=LONG) is None


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
def test_which_errors_are_temporary(error: Any, passes: bool) -> None:
    assert temporary(error) is passes


@settings(deadline=None)
@given(st.integers(1, 8), st.floats(0.01, 10.0), st.floats(0.0, 1.0))
def test_a_delay_doubles_and_is_jittered_upwards_only(repetition: int, initial: float, jitter: float) -> None:
    base = initial * 2 ** (repetition - 1)
    delay = RetryPolicy(initial=initial, jitter=jitter).delay(repetition)
    assert base <= delay <= base * (1 + jitter) * (1 + 1e-9)


def test_delays_differ_so_that_askers_do_not_retry_together() -> None:
    assert len({RetryPolicy().delay(1) for _ in range(20)}) > 1


def test_a_derived_key_is_the_same_again_and_different_for_every_step() -> None:
    assert derive("job-1", "add") == derive("job-1", "add")
    assert len({derive("job-1", "add"), derive("job-1", "create"), derive("job-2", "add")}) == 3

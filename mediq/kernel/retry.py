"""Ask again after a fault that may pass: a few times, ever later, never past the deadline.

One deadline holds for all attempts. So a service that does not answer at all is asked once: to give up on it sooner,
and ask anew, would make a service that is slow under load do the same work several times over.
"""

import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import stamina

from mediq.messages.errors import BreakerOpen, Expired, Internal, MailboxFull, Unavailable

T = TypeVar("T")


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """At most `attempts` attempts; the wait before the n-th repetition is `initial` · 2^(n-1) seconds plus up to
    `jitter` of that again."""

    attempts: int = 3
    initial: float = 1.0
    jitter: float = 0.25

    def delay(self, repetition: int) -> float:
        """Seconds to wait before the given repetition, which counts from 1."""
        base = self.initial * 2.0 ** (repetition - 1)
        return base * (1 + random.uniform(0, self.jitter))  # noqa: S311 - jitter, no secret


def passing(error: BaseException) -> bool:
    """Whether a fault may pass by itself within a few seconds. Who is too busy is not helped by being asked more."""
    return isinstance(error, (Expired, Unavailable, Internal)) and not isinstance(error, (BreakerOpen, MailboxFull))


async def retrying(
    call: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    *,
    deadline: float,
    clock: Callable[[], float] = time.time,
) -> T:
    """Await `call()`, again after each passing fault while the policy and the deadline allow it."""
    made = 0

    def backoff(error: Exception) -> float | bool:
        delay = policy.delay(made)
        return passing(error) and clock() + delay < deadline and delay

    async for attempt in stamina.retry_context(on=backoff, attempts=policy.attempts, timeout=None):
        with attempt:
            made += 1
            return await call()
    raise AssertionError("unreachable: the last attempt returns or raises")

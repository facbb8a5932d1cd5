"""Ask again after a fault that may pass: a few times, ever later, never past the deadline.

One deadline holds for all attempts. So a service that does not answer at all is asked once: to give up on it sooner,
and ask anew, would make a service that is slow under load do the same work several times over.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from mediq.messages.errors import BreakerOpen, Expired, Fault, Internal, MailboxFull, Unavailable

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
    for made in itertools.count(1):
        try:
            return await call()
        except Fault as error:
            delay = policy.delay(made)
            if made >= policy.attempts or not passing(error) or clock() + delay >= deadline:
                raise
        await asyncio.sleep(delay)
    raise AssertionError("unreachable: the last attempt returns or raises")

"""Ask again after a fault that may pass: a few times, ever later, never past the deadline.

One deadline holds for all attempts. So a service that does not answer at all is asked once: to give up on it sooner,
and ask anew, would make a service that is slow under load do the same work several times over.
"""

import random

import msgspec

from mediq.messages.errors import BreakerOpen, Expired, Fault, Internal, MailboxFull, Unavailable


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

    def pause(self, error: Fault, *, made: int, left: float) -> float | None:
        """Seconds to wait before one more attempt, or None if `error` is the end of it.

        So many attempts were `made`; the deadline, which the wait must not reach, is `left` seconds away.
        """
        if made >= self.attempts or not passing(error):
            return None
        delay = self.delay(made)
        return delay if delay < left else None


def passing(error: BaseException) -> bool:
    """Whether a fault may pass by itself within a few seconds. Who is too busy is not helped by being asked more."""
    return isinstance(error, (Expired, Unavailable, Internal)) and not isinstance(error, (BreakerOpen, MailboxFull))

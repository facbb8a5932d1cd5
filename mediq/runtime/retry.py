"""Retry policy: repeat a request after a temporary fault, a few times, with growing delays, within its deadline.

One deadline holds for all attempts. So a service that does not answer at all is asked only once: a shorter timeout
for each attempt would make a slow service do the same work several times.
"""

import random

import msgspec

from mediq.messages.errors import BreakerOpen, Expired, Fault, Internal, MailboxFull, Unavailable


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """At most `attempts` attempts. The delay before the n-th repetition is `initial` · 2^(n-1) seconds, plus a random
    part of up to `jitter` times that delay."""

    attempts: int = 3
    initial: float = 1.0
    jitter: float = 0.25

    def delay(self, repetition: int) -> float:
        """Return the seconds to wait before a repetition, counted from 1."""
        base = self.initial * 2.0 ** (repetition - 1)
        return base * (1 + random.uniform(0, self.jitter))  # noqa: S311 - jitter, no secret

    def pause(self, error: Fault, *, made: int, left: float) -> float | None:
        """Return the seconds to wait before the next attempt, or None to give up and raise `error`.

        `made` is the number of attempts so far; `left` the seconds to the deadline, which the delay must not reach.
        """
        if made >= self.attempts or not temporary(error):
            return None
        delay = self.delay(made)
        return delay if delay < left else None


def temporary(error: BaseException) -> bool:
    """Whether a fault may be over in a few seconds. An overloaded service is not asked again: that adds to its load."""
    return isinstance(error, (Expired, Unavailable, Internal)) and not isinstance(error, (BreakerOpen, MailboxFull))

"""A circuit breaker for each target service: when most calls fail, stop calling for a while, then probe.

The known asynchronous breakers count consecutive failures; this one looks at the rate in a window, so that one lucky
answer among many failures does not keep a broken service under load. States as in M. Nygard, *Release It!* (2007).
"""

import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec

from mediq.messages.errors import BreakerOpen, DomainError, Expired, Internal, MailboxFull, Unavailable
from mediq.observability import metrics


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


_CLOSED: Final = State.CLOSED  # an enumeration's class looks it up in half a microsecond


class BreakerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Open when, within `window` seconds, more than `calls` calls were made, more than `rate` of them failed and at
    least `failures` did; probe after `rest` seconds."""

    window: float = 30.0
    calls: int = 10
    rate: float = 0.5
    failures: int = 5
    rest: float = 10.0


class Breaker:
    """The circuit to one service."""

    def __init__(
        self, service: str, policy: BreakerPolicy | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.service = service
        self.state = State.CLOSED
        self._policy = policy or BreakerPolicy()
        self._clock = clock
        self._outcomes: deque[tuple[float, bool]] = deque()
        self._failures = 0
        self._opened_at = 0.0
        self._probing = False
        metrics.breaker_open.labels(service).set(0)

    def enter(self) -> bool:
        """Let a call begin, which must then say how it ended; whether it is the probe.

        Raises:
            BreakerOpen: it must not; its `retry_after` says when the next probe is due.
        """
        if self.state is _CLOSED:
            return False
        wait = self._opened_at + self._policy.rest - self._clock()
        if wait > 0 or self._probing:
            raise BreakerOpen(retry_after=max(1.0, wait), service=self.service)
        self.state = State.HALF_OPEN
        self._probing = True
        return True

    def succeeded(self, probe: bool) -> None:
        """A call was answered."""
        if probe:
            self._probing = False
            self.state = State.CLOSED
            self._outcomes.clear()
            self._failures = 0
            metrics.breaker_open.labels(self.service).set(0)
        elif self.state is _CLOSED:
            self._note(True)

    def raised(self, error: BaseException, probe: bool, *, patient: bool = True) -> None:
        """A call ended with an error.

        A caller who is not `patient` had less time than a service that works may need: that it ran out says nothing.
        """
        if isinstance(error, DomainError):
            self.succeeded(probe)  # a refusal is an answer: the service works
        elif not isinstance(error, (Expired, Unavailable, Internal)) or (isinstance(error, Expired) and not patient):
            self._probing = self._probing and not probe  # such as cancelled: says nothing about the service
        elif isinstance(error, MailboxFull) and not probe:
            pass  # it works as fast as it can, and answers others
        elif error.service in (None, self.service):
            self._failed(probe)
        else:
            self.succeeded(probe)  # it answers: what it needs is away, and has a breaker of its own

    def _failed(self, probe: bool) -> None:
        if probe:
            self._probing = False
            self._open()
        elif self.state is _CLOSED:
            self._note(False)
            calls = len(self._outcomes)
            if (
                calls > self._policy.calls
                and self._failures >= self._policy.failures
                and self._failures > calls * self._policy.rate
            ):
                self._open()

    def _open(self) -> None:
        self.state = State.OPEN
        self._opened_at = self._clock()
        metrics.breaker_open.labels(self.service).set(1)

    def _note(self, ok: bool) -> None:
        now = self._clock()
        self._outcomes.append((now, ok))
        self._failures += not ok
        while self._outcomes[0][0] < now - self._policy.window:
            self._failures -= not self._outcomes.popleft()[1]

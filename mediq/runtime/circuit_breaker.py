"""A circuit breaker for each target service: when most calls fail, stop calling for a while, then probe.

The known asyncio libraries count consecutive failures. This breaker uses the failure rate in a sliding window, so one
success among many failures does not keep a broken service under load. States: M. Nygard, *Release It!* (2007).
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


_CLOSED: Final = State.CLOSED  # a local name: attribute access on an Enum class takes half a microsecond


class BreakerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a breaker opens and when it probes.

    It opens when, within `window` seconds, more than `calls` calls were made, more than the share `rate` of them failed
    and at least `failures` failed. It lets one probe through after `rest` seconds.
    """

    window: float = 30.0
    calls: int = 10
    rate: float = 0.5
    failures: int = 5
    rest: float = 10.0


class CircuitBreaker:
    """The circuit breaker of one service.

    Example::

        probe = breaker.enter()  # raises BreakerOpen while the circuit is open
        try:
            reply = await call()
        except BaseException as error:
            breaker.raised(error, probe)
            raise
        breaker.succeeded(probe)
    """

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
        """Begin a call; return whether it is the probe. The caller must report its end by `succeeded` or `raised`.

        Raises:
            BreakerOpen: no call is allowed now; `retry_after` gives the seconds until the next probe.
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
        """Record a call that was answered."""
        if probe:
            self._probing = False
            self.state = State.CLOSED
            self._outcomes.clear()
            self._failures = 0
            metrics.breaker_open.labels(self.service).set(0)
        elif self.state is _CLOSED:
            self._record(True)

    def raised(self, error: BaseException, probe: bool, *, patient: bool = True) -> None:
        """Record a call that ended with `error`.

        Not `patient` means that the call had less time than a working service may need; its expiry counts as nothing.
        """
        if isinstance(error, DomainError):
            self.succeeded(probe)  # a refusal is a reply: the service works
        elif not isinstance(error, (Expired, Unavailable, Internal)) or (isinstance(error, Expired) and not patient):
            self._probing = self._probing and not probe  # for example cancelled: no information about the service
        elif isinstance(error, MailboxFull) and not probe:
            pass  # the service is busy, but works
        elif error.service in (None, self.service):
            self._failed(probe)
        else:
            self.succeeded(probe)  # it replied: the fault is in a service that it calls, which has its own breaker

    def _failed(self, probe: bool) -> None:
        if probe:
            self._probing = False
            self._open()
        elif self.state is _CLOSED:
            self._record(False)
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

    def _record(self, ok: bool) -> None:
        now = self._clock()
        self._outcomes.append((now, ok))
        self._failures += not ok
        while self._outcomes[0][0] < now - self._policy.window:
            self._failures -= not self._outcomes.popleft()[1]

"""How long a patient will wait, told from how fast the service has really gone, or not told at all."""

from collections.abc import Sequence
from datetime import datetime
from math import ceil, floor, sqrt

import msgspec

from mediq.actors.queue.rules.pace import hour_key
from mediq.actors.queue.rules.state import Queue
from mediq.domain.clinic import Clinic
from mediq.domain.quantile import quantile

ENOUGH = 5
"""With fewer patients finished today, the last days at the same hour speak instead."""

_IQR_OF_NORMAL = 1.349
"""The distance between a normal distribution's quartiles, in standard deviations."""

_EIGHT_IN_TEN = 1.2816
"""Within so many standard deviations of the mean lie eight in ten of a normal distribution."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A waiting time in whole minutes, between a low and a high end."""

    low_minutes: int
    high_minutes: int


def estimate(seconds: Sequence[float], counters: int, people_ahead: int) -> Estimate | None:
    """The wait behind `people_ahead` others, given recent service times in seconds and open counters.

    The rule is the median service time ÷ counters × people ahead. The range lies about it: one turn more at the high
    end, because those being served now must finish first, and there the mean counts if it is longer, because a line
    waits for the long visits too; then 1.28 standard deviations of the sum either way, which eight in ten of normally
    spread sums keep to, taken from the quartiles so that one very long visit does not stretch it. None without any
    service time or open counter: no number is made up.
    """
    if not seconds or counters < 1:
        return None
    ordered = sorted(seconds)
    median = quantile(ordered, 0.5) / counters
    slower = max(median, sum(ordered) / len(ordered) / counters)
    deviation = (quantile(ordered, 0.75) - quantile(ordered, 0.25)) / _IQR_OF_NORMAL / counters
    spread = _EIGHT_IN_TEN * deviation * sqrt(people_ahead)
    low, high = median * people_ahead - spread, slower * (people_ahead + 1) + spread
    return Estimate(low_minutes=max(0, floor(low / 60)), high_minutes=max(1, ceil(high / 60)))


def estimate_for(queue: Queue, service: str, people_ahead: int, clinic: Clinic, now: datetime) -> Estimate | None:
    """The wait at a service: from today's pace, or that of the last days at this hour while today is young."""
    pace = queue.paces.get(service)
    if pace is not None and pace.finished >= ENOUGH:
        seconds = pace.seconds
    else:
        seconds = queue.hours.get(hour_key(service, now), ())
    return estimate(seconds, open_counters(queue, service, clinic), people_ahead) if seconds else None


def open_counters(queue: Queue, service: str, clinic: Clinic) -> int:
    """How many counters that take the service are open now."""
    return sum(
        desk.open and (not counter.services or service in counter.services)
        for counter in clinic.counters
        if (desk := queue.desks.get(counter.id)) is not None
    )

"""The estimated waiting time, from measured service times. Without enough of them there is no estimate."""

from datetime import datetime
from math import ceil, floor, sqrt
from statistics import mean, median, quantiles
from typing import Annotated

import msgspec

from mediq.actors.queue.rules.pace import hour_key
from mediq.actors.queue.rules.state import Queue
from mediq.domain.clinic import Clinic

ENOUGH = 5
"""With fewer patients finished today, the service times of the last days at the same hour count instead."""

_IQR_OF_NORMAL = 1.349
"""The distance between a normal distribution's quartiles, in standard deviations."""

_EIGHT_IN_TEN = 1.2816
"""Eight in ten values of a normal distribution lie within this many standard deviations of the mean."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A waiting time in whole minutes, between a low and a high end."""

    low_minutes: Annotated[int, msgspec.Meta(examples=[8])]
    high_minutes: Annotated[int, msgspec.Meta(examples=[20])]


def estimate(seconds: tuple[float, ...], counters: int, people_ahead: int) -> Estimate | None:
    """The wait behind `people_ahead` others, given recent service times in seconds and open counters.

    The middle is the median service time ÷ counters × people ahead. The high end adds one turn, because the patients
    being served must finish first, and takes the mean where it is longer, because a line waits for long visits too.
    Both ends then move out by 1.28 standard deviations of the sum, within which eight in ten of normally distributed
    sums lie. The deviation comes from the quartiles, so that one very long visit does not stretch it. None without any
    service time or open counter.
    """
    if not seconds or counters < 1:
        return None
    turn = median(seconds) / counters
    slow_turn = max(turn, mean(seconds) / counters)
    lower, _, upper = quantiles(seconds, method="inclusive") if len(seconds) > 1 else seconds * 3
    deviation = (upper - lower) / _IQR_OF_NORMAL / counters
    spread = _EIGHT_IN_TEN * deviation * sqrt(people_ahead)
    low, high = turn * people_ahead - spread, slow_turn * (people_ahead + 1) + spread
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
    """The number of open counters that take the service."""
    return sum(
        state.open and (not counter.services or service in counter.services)
        for counter in clinic.counters
        if (state := queue.counters.get(counter.id)) is not None
    )

"""Statistics over a range of days: counts, waiting and service times, no-shows."""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import chain
from statistics import median, quantiles
from typing import Annotated

import msgspec

from mediq.actors.queue.rules.state import Queue
from mediq.actors.queue.rules.ticket import Status, Visit, unpack
from mediq.domain.clinic import Clinic
from mediq.domain.errors import Invalid

_Times = tuple[float | None, float | None]
"""A step's waiting and service seconds."""

VisitKey = tuple[date, datetime, str]
"""The key by which visits are sorted: day, arrival, number."""


_Count = Annotated[int, msgspec.Meta(examples=[42])]


def _keys_like(example: str) -> msgspec.Meta:
    """An example of a mapping's keys, for the description of the API. The values have examples of their own."""
    return msgspec.Meta(extra_json_schema={"propertyNames": {"examples": [example]}})


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """How many times were measured, their median and 90th percentile in minutes; null when there are none."""

    count: _Count = 0
    p50: Annotated[float | None, msgspec.Meta(examples=[7.5])] = None
    p90: Annotated[float | None, msgspec.Meta(examples=[18.0])] = None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The visits' steps at one hour, service, counter or operator: how many, and their times."""

    steps: _Count
    waiting: Spread
    service: Spread


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """A range of days, both ends included.

    A ticket counts once, in `tickets`, `by_status` and `by_priority`. A visit has a step for each service it went
    through (and for each time it was held while being served), and the groups count those: by the local hour in which
    the step's wait began, by its service, by the counter it was called to and by who called. Waiting ends with the
    call; service lasts from the start, else the call, to the end. `no_show_rate` is no-shows ÷ (no-shows + completed),
    null without either.
    """

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    only_service: str | None
    tickets: _Count
    by_status: Annotated[dict[str, _Count], _keys_like("COMPLETED")]
    by_priority: Annotated[dict[str, _Count], _keys_like("NORMAL")]
    no_show_rate: Annotated[float | None, msgspec.Meta(examples=[0.05])]
    waiting: Spread
    service: Spread
    by_day: Annotated[dict[str, Group], _keys_like("2026-03-02")]
    by_hour: Annotated[dict[str, Group], _keys_like("08")]
    by_service: Annotated[dict[str, Group], _keys_like("umum")]
    by_counter: Annotated[dict[str, Group], _keys_like("1")]
    by_operator: Annotated[dict[str, Group], _keys_like("7c1d0e9f8a7b4c6d5e4f3a2b1c0d9e8f")]


CSV_HEADER: tuple[str, ...] = (
    "tanggal",
    "nomor",
    "status",
    "prioritas",
    "poli",
    "loket",
    "petugas",
    "mulai_menunggu",
    "dipanggil",
    "mulai_dilayani",
    "selesai",
    "menit_menunggu",
    "menit_dilayani",
)
"""The columns of :func:`csv_rows`: one row a step of a visit."""


def visits(queue: Queue, first: date, last: date) -> Iterator[tuple[date, Visit]]:
    """Every visit of the days from `first` to `last`; those of today are unfinished.

    Raises:
        Invalid: on field `to`, when it lies before `from`.
    """
    if last < first:
        raise Invalid.field("to", "Tanggal akhir tidak boleh sebelum tanggal awal.")
    for key in sorted(queue.history):
        day = date.fromisoformat(key)
        if first <= day <= last:
            yield from ((day, visit) for visit in unpack(queue.history[key]))
    recent = (t for t in chain(queue.finished.values(), queue.tickets.values()) if first <= t.day <= last)
    for ticket in sorted(recent, key=lambda t: (t.day, t.issued_at, t.number)):
        yield ticket.day, ticket.visit()


def statistics(queue: Queue, clinic: Clinic, first: date, last: date, service: str | None = None) -> Statistics:
    """The statistics of the days from `first` to `last`, of one service or all. Days past the retention are empty.

    With a service, tickets that went through it count, and only their steps there.

    Raises:
        Invalid: on field `to` or `service`.
    """
    _refuse_unknown(queue, clinic, service)
    status: Tally[str] = Tally()
    priority: Tally[str] = Tally()
    every: list[_Times] = []
    groups: dict[str, defaultdict[str, list[_Times]]] = {
        name: defaultdict(list) for name in ("day", "hour", "service", "counter", "operator")
    }
    for day, visit in visits(queue, first, last):
        steps = [step for step in visit.steps if service in (None, step.service)]
        if not steps:
            continue
        status[visit.status] += 1
        priority[visit.priority] += 1
        for step in steps:
            times = (step.waiting_seconds, step.service_seconds)
            every.append(times)
            groups["day"][day.isoformat()].append(times)
            groups["hour"][f"{clinic.local(step.waiting_since).hour:02}"].append(times)
            groups["service"][step.service].append(times)
            if step.counter is not None:
                groups["counter"][step.counter].append(times)
            if step.operator is not None:
                groups["operator"][step.operator].append(times)
    gone, done = status[Status.NO_SHOW], status[Status.COMPLETED]
    total = _group(every)
    by = {name: {key: _group(times) for key, times in sorted(found.items())} for name, found in groups.items()}
    return Statistics(
        first=first,
        last=last,
        only_service=service,
        tickets=status.total(),
        by_status={str(key): status[key] for key in Status},
        by_priority=dict(sorted(priority.items())),
        no_show_rate=gone / (gone + done) if gone + done else None,
        waiting=total.waiting,
        service=total.service,
        by_day=by["day"],
        by_hour=by["hour"],
        by_service=by["service"],
        by_counter=by["counter"],
        by_operator=by["operator"],
    )


def csv_rows(
    queue: Queue, clinic: Clinic, first: date, last: date, service: str | None = None, after: VisitKey | None = None
) -> Iterator[tuple[VisitKey, tuple[str, ...]]]:
    """One row of texts for each step of the visits, in the order of `CSV_HEADER`, without patients' names.

    Each row comes with the key of its visit; `after` a key, the rows of later visits follow.

    Raises:
        Invalid: on field `to` or `service`.
    """
    _refuse_unknown(queue, clinic, service)
    for day, visit in visits(queue, first, last):
        key = (day, visit.issued_at, visit.number)
        if after is not None and key <= after:
            continue
        for step in visit.steps:
            if service not in (None, step.service):
                continue
            row = (
                day.isoformat(),
                visit.number,
                visit.status.label,
                visit.priority,
                step.service,
                step.counter or "",
                step.operator or "",
                _clock(step.waiting_since, clinic),
                _clock(step.called_at, clinic),
                _clock(step.started_at, clinic),
                _clock(step.finished_at, clinic),
                _minutes_text(step.waiting_seconds),
                _minutes_text(step.service_seconds),
            )
            yield key, row


def _refuse_unknown(queue: Queue, clinic: Clinic, service: str | None) -> None:
    """Refuse a service that the clinic does not have and did not have within the retention."""
    if service is None or any(service == each.id for each in clinic.services):
        return
    if not any(service == step.service for _, visit in visits(queue, date.min, date.max) for step in visit.steps):
        clinic.service(service)


def _group(times: list[_Times]) -> Group:
    return Group(
        steps=len(times),
        waiting=_spread(waiting for waiting, _ in times),
        service=_spread(service for _, service in times),
    )


def _spread(seconds: Iterable[float | None]) -> Spread:
    times = [value for value in seconds if value is not None]
    if not times:
        return Spread()
    p90 = quantiles(times, n=10, method="inclusive")[-1] if len(times) > 1 else times[0]
    return Spread(count=len(times), p50=round(median(times) / 60, 1), p90=round(p90 / 60, 1))


def _clock(at: datetime | None, clinic: Clinic) -> str:
    return "" if at is None else clinic.local(at).isoformat(timespec="seconds")


def _minutes_text(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds / 60:.1f}"

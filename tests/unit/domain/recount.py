"""Statistics counted once more, straight from the events and as plainly as can be, to hold the real ones against."""

from collections import Counter as Tally
from collections import defaultdict
from datetime import date
from statistics import quantiles
from typing import Any

import msgspec

from mediq.domain.clinic import Clinic
from mediq.domain.events import ActionUndone, Recorded, kind
from mediq.domain.statistics import Group, Spread, Statistics
from mediq.domain.ticket import Status


def recount(log: list[Recorded], clinic: Clinic, first: date, last: date) -> Statistics:
    """What the log says of the days from `first` to `last`. An undone event is as if it had never been."""
    undone = {r.event.undone for r in log if isinstance(r.event, ActionUndone)}
    told = [r for r in log if r.version not in undone and not isinstance(r.event, ActionUndone)]
    tickets: dict[str, dict[str, Any]] = {}
    for r in told:
        name, event = kind(r.event), r.event
        if name == "ticket-issued":
            tickets[event.ticket_id] = {
                "day": event.day,
                "status": "WAITING",
                "priority": event.priority,
                "steps": [_wait(event.service, r)],
            }
            continue
        if not hasattr(event, "ticket_id"):
            continue
        ticket = tickets[event.ticket_id]
        step = ticket["steps"][-1]
        closing = getattr(event, "reason", None) == "day-closed"
        match name:
            case "ticket-called":
                step.update(called=r.at, counter=event.counter, operator=r.actor)
                ticket["status"] = "CALLED"
            case "service-started":
                step.update(started=r.at)
                ticket["status"] = "IN_PROGRESS"
            case "ticket-skipped":
                ticket["status"] = "NO_SHOW"
            case "ticket-requeued" | "ticket-resumed":
                ticket["steps"][-1] = _wait(event.service, r)
                ticket["status"] = "WAITING"
            case "ticket-held":
                if ticket["status"] == "IN_PROGRESS":
                    step.update(finished=r.at)
                    ticket["steps"].append(_wait(event.service, r))
                ticket["status"] = "ON_HOLD"
            case "ticket-transferred":
                if ticket["status"] in ("CALLED", "IN_PROGRESS"):
                    step.update(finished=r.at)
                ticket["steps"].append(_wait(event.service, r))
                ticket["status"] = "WAITING"
            case "ticket-prioritised":
                ticket["priority"] = event.priority
            case "ticket-completed":
                step.update(finished=None if closing else r.at)
                ticket["status"] = "COMPLETED"
            case "ticket-cancelled":
                ticket["status"] = "CANCELLED"
    counted = [t for t in tickets.values() if first <= t["day"] <= last]
    status = Tally(t["status"] for t in counted)
    steps = [(t, s) for t in counted for s in t["steps"]]

    def by(key: Any) -> dict[str, Group]:
        found = defaultdict(list)
        for ticket, step in steps:
            name = key(ticket, step)
            if name is not None:
                found[name].append(step)
        return {name: _group(found[name]) for name in sorted(found)}

    shown = status["NO_SHOW"] + status["COMPLETED"]
    total = _group([s for _, s in steps])
    return Statistics(
        first=first,
        last=last,
        only_service=None,
        tickets=len(counted),
        by_status={s.value: status[s.value] for s in Status},
        by_priority=dict(Tally(t["priority"].value for t in counted)),
        no_show_rate=status["NO_SHOW"] / shown if shown else None,
        waiting=total.waiting,
        service=total.service,
        by_day=by(lambda t, s: str(t["day"])),
        by_hour=by(lambda t, s: f"{clinic.local(s['since']):%H}"),
        by_service=by(lambda t, s: s["service"]),
        by_counter=by(lambda t, s: s["counter"]),
        by_operator=by(lambda t, s: s["operator"]),
    )


def same(one: object, other: object) -> bool:
    """Whether two statistics agree, but for the last digit of a rounded minute."""
    a, b = msgspec.to_builtins(one), msgspec.to_builtins(other)
    return _same(a, b)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) < 0.11
    return bool(a == b)


def _wait(service: str, r: Recorded) -> dict[str, Any]:
    return {
        "service": service,
        "since": r.at,
        "called": None,
        "started": None,
        "finished": None,
        "counter": None,
        "operator": None,
    }


def _group(steps: list[dict[str, Any]]) -> Group:
    waits = [s["called"] - s["since"] for s in steps if s["called"]]
    served = [s["finished"] - (s["started"] or s["called"]) for s in steps if s["finished"]]
    return Group(steps=len(steps), waiting=_spread(waits), service=_spread(served))


def _spread(spans: list[Any]) -> Spread:
    minutes = [span.total_seconds() / 60 for span in spans]
    if not minutes:
        return Spread()
    if len(minutes) == 1:
        return Spread(count=1, p50=round(minutes[0], 1), p90=round(minutes[0], 1))
    deciles = quantiles(minutes, n=10, method="inclusive")
    return Spread(count=len(minutes), p50=round(deciles[4], 1), p90=round(deciles[8], 1))

"""The pace of each service: the service times behind the estimates, kept up to date by each event."""

from datetime import UTC, datetime

from msgspec.structs import replace

from mediq.actors.queue.rules.state import RECENT, SAME_HOUR, Pace, Queue
from mediq.actors.queue.rules.ticket import AT_COUNTER, Status, Ticket


def ends_service(before: Ticket, action: str) -> bool:
    """Whether that action ended a period of service at the ticket's counter."""
    match action:
        case "ticket-completed" | "ticket-transferred":
            return before.status in AT_COUNTER
        case "ticket-held":
            return before.status is Status.IN_PROGRESS
        case _:
            return False


def record_service_time(queue: Queue, served: Ticket, at: datetime) -> Queue:
    """Add the service time of `served`, the ticket as it was before its service ended, to the service's pace."""
    seconds, hour = _seconds(served, at), hour_key(served.service, at)
    pace = queue.paces.get(served.service, Pace())
    pace = Pace(finished=pace.finished + 1, seconds=(*pace.seconds, seconds)[-RECENT:])
    same = (*queue.hours.get(hour, ()), seconds)[-SAME_HOUR:]
    return replace(queue, paces=queue.paces.set(served.service, pace), hours=queue.hours.set(hour, same))


def remove_service_time(queue: Queue, served: Ticket, at: datetime) -> Queue:
    """Remove the service time that an undone end of service had added."""
    seconds, hour = _seconds(served, at), hour_key(served.service, at)
    pace = queue.paces.get(served.service, Pace())
    pace = Pace(finished=pace.finished - 1, seconds=_without_last(pace.seconds, seconds))
    same = _without_last(queue.hours.get(hour, ()), seconds)
    return replace(queue, paces=queue.paces.set(served.service, pace), hours=queue.hours.set(hour, same))


def hour_key(service: str, at: datetime) -> str:
    """The key in `Queue.hours` of a service and an hour, in UTC: Indonesia's zones differ from it by whole hours."""
    return f"{service}/{at.astimezone(UTC).hour}"


def _seconds(served: Ticket, at: datetime) -> float:
    began = served.started_at or served.called_at
    assert began is not None
    return (at - began).total_seconds()


def _without_last(samples: tuple[float, ...], value: float) -> tuple[float, ...]:
    for i in range(len(samples) - 1, -1, -1):
        if samples[i] == value:
            return samples[:i] + samples[i + 1 :]
    return samples

"""The fold of the queue: its state after one more event. Pure, and without settings: an event holds every outcome."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

from immutables import Map
from msgspec.structs import replace

from mediq.actors.queue.rules.events import (
    ActionUndone,
    ClinicChanged,
    CounterClosed,
    CounterOpened,
    DayClosed,
    Event,
    Recorded,
    ServiceStarted,
    TicketCalled,
    TicketCancelled,
    TicketCompleted,
    TicketEvent,
    TicketHeld,
    TicketIssued,
    TicketPrioritised,
    TicketRecalled,
    TicketRequeued,
    TicketResumed,
    TicketSkipped,
    TicketTransferred,
    type_of,
)
from mediq.actors.queue.rules.pace import ends_service, record_service_time, remove_service_time
from mediq.actors.queue.rules.priority import high_run_after
from mediq.actors.queue.rules.sorted_tickets import place_of
from mediq.actors.queue.rules.state import (
    CLOSED_COUNTER,
    EMPTY_LINE,
    Answer,
    CounterState,
    Queue,
    Undoable,
    active_key,
    number_key,
)
from mediq.actors.queue.rules.ticket import ACTIVE, AT_COUNTER, OVER, Priority, Status, Ticket, pack, unpack
from mediq.actors.queue.rules.waiting_line import Call
from mediq.domain.idempotency import split

V = TypeVar("V")

_NO_VISITS = pack(())

DAY_CLOSED = "day-closed"
"""The reason in an event when the closing of the day ended the ticket."""


def evolve(queue: Queue, recorded: Recorded) -> Queue:
    """The queue after one more event.

    Raises:
        ValueError: the event is not newer than the queue; the reader of the log has lost its place.
        KeyError: the event is about a ticket that the queue never had; it comes from another log.
    """
    if recorded.version <= queue.version:
        raise ValueError(f"event {recorded.version} after event {queue.version}")
    event, at, version = recorded.event, recorded.at.astimezone(UTC), recorded.version
    day = queue.day
    match event:
        case TicketIssued():
            queue = _issue(queue, event, at, version)
        case ActionUndone():
            queue = _undo(queue, event, version)
        case CounterOpened():
            counter_state = replace(queue.counter(event.counter), open=True)
            queue = replace(queue, counters=queue.counters.set(event.counter, counter_state), day=event.day)
        case CounterClosed():
            queue = replace(queue, counters=queue.counters.set(event.counter, CounterState()))
        case ClinicChanged():
            queue = replace(queue, configuration=event.configuration)
        case DayClosed():
            day = event.day
            queue = _close_day(queue, event)
        case _:
            queue = _act(queue, event, recorded.actor, at, version)
    answers = queue.answers
    if recorded.key is not None:
        key, fingerprint = split(recorded.key)
        answer = Answer(
            fingerprint=fingerprint,
            ticket_id=event.ticket_id if isinstance(event, TicketEvent) else None,
            day=queue.day or day or at.date(),
            ended=event.ended if isinstance(event, DayClosed) else 0,
        )
        answers = answers.set(key, answer)
    return replace(queue, version=version, at=at, answers=answers)


def _issue(queue: Queue, event: TicketIssued, at: datetime, version: int) -> Queue:
    letter, _, sequence = event.number.rpartition("-")
    ticket = Ticket(
        id=event.ticket_id,
        number=event.number,
        service=event.service,
        priority=event.priority,
        priority_reason=event.priority_reason,
        user_id=event.user_id,
        token=event.token,
        day=event.day,
        issued_at=at,
        waiting_since=at,
        turn=at,
        order=version,
        version=version,
    )
    return _put(
        queue,
        None,
        ticket,
        day=event.day,
        numbers=queue.numbers.set(number_key(event.day, letter), int(sequence)),
        tokens=queue.tokens.set(event.token, ticket.id),
        users=queue.users.set(event.user_id, (*queue.users.get(event.user_id, ()), ticket.id)),
    )


def _act(queue: Queue, event: Event, actor: str, at: datetime, version: int) -> Queue:
    """The queue after an event about a ticket that it already holds."""
    assert isinstance(event, TicketEvent)
    action = type_of(event)
    before = queue.tickets[event.ticket_id]
    after = replace(_changed(before, event, actor, at, version), version=version)
    runs: tuple[tuple[str, int], ...] = ()
    queue = _put(queue, before, after)
    if isinstance(event, TicketCalled):
        assert event.counter is not None
        call = Call(version, event.number, event.service, event.counter, at)
        lines = queue.lines.set(event.service, queue.line(event.service).called(call))
        touched = event.offered if before.priority is Priority.NORMAL else (event.service,)
        runs = tuple([(service, queue.line(service).high_run) for service in touched])
        for service, run in runs:
            if (now := high_run_after(run, before.priority)) != run:
                lines = lines.set(service, lines.get(service, EMPTY_LINE).with_high_run(now))
        queue = replace(queue, lines=lines)
    if ends_service(before, action) and not after.ended_by_closing:
        queue = record_service_time(queue, before, at)
    counter = _counter_of(after) or _counter_of(before)
    if counter is not None:
        last = Undoable(version=version, action=action, at=at, before=before, high_runs=runs)
        queue = replace(queue, counters=queue.counters.set(counter, replace(queue.counter(counter), last=last)))
    return queue


def _changed(ticket: Ticket, event: Event, actor: str, at: datetime, version: int) -> Ticket:
    match event:
        case TicketCalled():
            return replace(ticket, status=Status.CALLED, counter=event.counter, operator=actor, called_at=at, recalls=0)
        case TicketRecalled():
            return replace(ticket, recalls=event.recalls)
        case ServiceStarted():
            return replace(ticket, status=Status.IN_PROGRESS, started_at=at)
        case TicketSkipped():
            closing = event.reason == DAY_CLOSED
            return replace(ticket, status=Status.NO_SHOW, finished_at=at, ended_by_closing=closing)
        case TicketCompleted():
            closing = event.reason == DAY_CLOSED
            return replace(ticket, status=Status.COMPLETED, finished_at=at, ended_by_closing=closing)
        case TicketCancelled():
            closing = event.reason == DAY_CLOSED
            return replace(ticket, status=Status.CANCELLED, finished_at=at, ended_by_closing=closing)
        case TicketRequeued():
            return replace(_waiting_again(ticket, at), turn=event.turn.astimezone(UTC), order=event.order)
        case TicketHeld() if ticket.status is Status.IN_PROGRESS:
            steps = (*ticket.steps, ticket.step(at))
            return replace(_waiting_again(ticket, at), status=Status.ON_HOLD, steps=steps)
        case TicketHeld():
            return replace(ticket, status=Status.ON_HOLD)
        case TicketResumed():
            return _waiting_again(ticket, at)
        case TicketPrioritised():
            return replace(ticket, priority=event.priority, priority_reason=event.priority_reason)
        case TicketTransferred():
            steps = (*ticket.steps, ticket.step(at if ticket.status in AT_COUNTER else None))
            moved = replace(_waiting_again(ticket, at), service=event.service, steps=steps)
            return replace(moved, turn=ticket.issued_at, order=version)
        case _:
            raise TypeError(f"{type_of(event)} is not about a ticket")


def _waiting_again(ticket: Ticket, at: datetime) -> Ticket:
    return replace(
        ticket,
        status=Status.WAITING,
        waiting_since=at,
        counter=None,
        operator=None,
        called_at=None,
        started_at=None,
        finished_at=None,
        recalls=0,
    )


def _undo(queue: Queue, event: ActionUndone, version: int) -> Queue:
    assert event.counter is not None
    counter_state = queue.counter(event.counter)
    now, last = queue.ticket(event.ticket_id), counter_state.last
    if now is None or last is None or last.version != event.undone:
        raise KeyError(event.ticket_id)
    before = last.before
    queue = _put(queue, now, replace(before, version=version))
    lines = queue.lines
    for service, run in last.high_runs:
        line = lines.get(service, EMPTY_LINE)
        # Other patients may have been called since, so the count is reduced instead of restored.
        high = before.priority is Priority.HIGH
        lines = lines.set(service, line.with_high_run(max(0, line.high_run - 1) if high else max(run, line.high_run)))
    if before.service in lines:
        lines = lines.set(before.service, lines[before.service].uncalled(last.version))
    queue = replace(queue, lines=lines)
    if ends_service(before, last.action):
        queue = remove_service_time(queue, before, last.at)
    counter_state = replace(queue.counter(event.counter), last=None)
    return replace(queue, counters=queue.counters.set(event.counter, counter_state))


def _close_day(queue: Queue, event: DayClosed) -> Queue:
    """Move the open day's tickets to `finished` and the last day's to `history`, and forget days past the retention."""
    finished = queue.finished.update({ticket.id: ticket for ticket in queue.tickets.values()})
    old = sorted(
        (ticket for ticket in finished.values() if ticket.day < event.day),
        key=lambda ticket: (ticket.day, ticket.issued_at, ticket.number),
    )
    history: dict[str, list[Ticket]] = {}
    for ticket in old:
        history.setdefault(ticket.day.isoformat(), []).append(ticket)
    gone = {ticket.id for ticket in old}
    users: dict[str, tuple[str, ...]] = {}
    for user, ids in queue.users.items():
        kept = tuple(ticket_id for ticket_id in ids if ticket_id not in gone)
        if kept:
            users[user] = kept
    forget = event.forget_before.isoformat()
    return replace(
        queue,
        day=None,
        tickets=Map(),
        lines=Map(),
        counters=Map(),
        numbers=_without(queue.numbers, (key for key in queue.numbers if key < forget)),
        active=Map(),
        tokens=_without(queue.tokens, (token for token, owner in queue.tokens.items() if owner in gone)),
        users=Map(users),
        answers=_without(queue.answers, (key for key, a in queue.answers.items() if a.day < event.day)),
        finished=_without(finished, gone),
        history=_without(
            queue.history.update(
                {
                    day: pack((*unpack(queue.history.get(day, _NO_VISITS)), *(ticket.visit() for ticket in tickets)))
                    for day, tickets in history.items()
                }
            ),
            [day for day in {*queue.history, *history} if day < forget],
        ),
        paces=Map(),
    )


def _put(queue: Queue, before: Ticket | None, after: Ticket, **more: Any) -> Queue:
    """Replace a ticket and every index of it, together with the fields in `more`."""
    tickets, finished = queue.tickets, queue.finished
    lines, counters, active = queue.lines, queue.counters, queue.active
    if before is not None:
        if before.status in OVER:
            finished = finished.delete(before.id)
        if before.status is Status.WAITING:
            lines = lines.set(before.service, lines[before.service].leave(place_of(before)))
    if after.status in OVER:
        finished = finished.set(after.id, after)
        tickets = tickets.delete(after.id)
    else:
        tickets = tickets.set(after.id, after)
    if after.status is Status.WAITING:
        line = lines.get(after.service, EMPTY_LINE)
        lines = lines.set(after.service, line.join(place_of(after)))
    was, now = _queued_as(before), _queued_as(after)
    if was != now:
        if was is not None:
            active = active.delete(was)
        if now is not None:
            active = active.set(now, after.id)
    left, taken = _counter_of(before), _counter_of(after)
    if left != taken:
        if left is not None:
            counters = counters.set(left, replace(counters.get(left, CLOSED_COUNTER), ticket_id=None))
        if taken is not None:
            counters = counters.set(taken, replace(counters.get(taken, CLOSED_COUNTER), ticket_id=after.id))
    return replace(queue, tickets=tickets, finished=finished, lines=lines, counters=counters, active=active, **more)


def _queued_as(ticket: Ticket | None) -> str | None:
    """The ticket's key in `Queue.active`, None if it is not there."""
    return None if ticket is None or ticket.status not in ACTIVE else active_key(ticket.user_id, ticket.service)


def _counter_of(ticket: Ticket | None) -> str | None:
    """The counter that is busy with a ticket, if any."""
    return None if ticket is None or ticket.status not in AT_COUNTER else ticket.counter


def _without(mapping: Map[str, V], keys: Iterable[str]) -> Map[str, V]:
    gone = tuple(keys)
    changed = mapping.mutate()
    for key in gone:
        del changed[key]
    return changed.finish()

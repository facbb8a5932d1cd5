"""The events that answer a command, or the reason to refuse it. Pure: time, ids and tokens are given."""

from datetime import date, datetime, timedelta

import msgspec

from mediq.actors.queue.rules.change import changes, refuse_change
from mediq.actors.queue.rules.commands import (
    AddPatient,
    CallNext,
    CloseCounter,
    CloseDay,
    CloseDayIfOver,
    Command,
    Configure,
    Given,
    OpenCounter,
    TicketCommand,
    Undo,
)
from mediq.actors.queue.rules.day import is_over, present, today
from mediq.actors.queue.rules.decide_ticket import about, decide_ticket, refuse_if_gone, refuse_if_queued
from mediq.actors.queue.rules.events import (
    ActionUndone,
    ClinicChanged,
    CounterClosed,
    CounterOpened,
    DayClosed,
    Event,
    Recorded,
    TicketCalled,
    TicketCancelled,
    TicketCompleted,
    TicketIssued,
    TicketSkipped,
)
from mediq.actors.queue.rules.evolve import DAY_CLOSED, evolve
from mediq.actors.queue.rules.priority import grant, next_in_turn
from mediq.actors.queue.rules.state import Answer, Queue, active_key, number_key
from mediq.actors.queue.rules.ticket import ACTIVE, Status
from mediq.domain.clinic import Clinic, Service
from mediq.domain.errors import Conflict, NotFound
from mediq.domain.idempotency import refuse_other_use, split


class Decision(msgspec.Struct, frozen=True):
    """The events to append, all or none, and the ticket that the answer is about.

    The first `prepared` events only make room for the command, such as the closing of the day before. `given` is what
    the command was decided with, at the time that counts. `first` is the answer that was given before under the same
    idempotency key.
    """

    given: Given
    why: str | None = None
    events: tuple[Event, ...] = ()
    ticket_id: str | None = None
    prepared: int = 0
    first: Answer | None = None

    @property
    def closed(self) -> DayClosed | Answer | None:
        """The day that the command closes, or that it closed when it was first given."""
        return self.first or next((event for event in self.events if isinstance(event, DayClosed)), None)

    def recorded(self, after: int) -> tuple[Recorded, ...]:
        """The events as the log takes them, numbered from `after` + 1.

        The last of the command's own events carries its key, by which a repetition finds the answer.
        """
        given = self.given
        return tuple(
            Recorded(
                version=after + number,
                at=given.at,
                actor=given.actor,
                role=given.role,
                why=self.why,
                key=given.key if number == len(self.events) > self.prepared else None,
                event=event,
            )
            for number, event in enumerate(self.events, 1)
        )


def decide(queue: Queue, command: Command, given: Given, clinic: Clinic) -> Decision:
    """The decision on a command to the queue of a clinic that has these settings.

    A key seen before gives no events, and the first answer. The first command of a new day closes the old day.

    Raises:
        NotFound: no such ticket; `nobody-waiting`.
        Conflict: `closed`, `counter-busy`, `wrong-status`, `recall-limit`, `already-queued`, `nothing-to-undo`,
            `undo-too-late`, `undo-superseded`, `ticket-exists`, `key-reused`, `service-gone`, `being-served`;
            of a change of the clinic `day-open`, `service-in-use`, `counter-in-use`, `letter-used`.
        Invalid: on a field of the command.
    """
    clinic = clinic.changed(queue.configuration)
    clock = given.at
    if (at := present(queue, clock)) != clock:
        given = msgspec.structs.replace(given, at=at)
    if given.key is not None:
        key, fingerprint = split(given.key)
        answer = queue.answers.get(key)
        if answer is not None:
            refuse_other_use(answer.fingerprint, fingerprint)
            return Decision(given, ticket_id=answer.ticket_id, first=answer)
    why: str | None = getattr(command, "why", None)
    closing: tuple[Event, ...] = ()
    if queue.day is not None and queue.day < clinic.day(given.at):
        closing = _close(queue, queue.day, clock, clinic)
        for recorded in Decision(given, why, closing).recorded(queue.version):
            queue = evolve(queue, recorded)
    if isinstance(command, CloseDay | CloseDayIfOver):
        # After midnight, the day before is the day that the command asks to close.
        return Decision(given, why, closing or _close_day(queue, command, clock, clinic))
    events, ticket_id = _answer(queue, command, given, clinic)
    return Decision(given, why, (*closing, *events), ticket_id, len(closing))


_Answered = tuple[tuple[Event, ...], str | None]


def _answer(queue: Queue, command: Command, given: Given, clinic: Clinic) -> _Answered:
    match command:
        case TicketCommand():
            return decide_ticket(queue, command, given, clinic)
        case AddPatient():
            return _add(queue, command, given, clinic)
        case CallNext():
            return _call(queue, command, given, clinic)
        case Undo():
            return _undo(queue, command, given, clinic)
        case OpenCounter():
            clinic.counter(command.counter)
            day = today(queue, given.at, clinic)
            return _unless(queue.counter(command.counter).open, CounterOpened(counter=command.counter, day=day))
        case CloseCounter():
            clinic.counter(command.counter)
            _refuse_if_busy(queue, command.counter, clinic)
            return _unless(not queue.counter(command.counter).open, CounterClosed(counter=command.counter))
        case Configure():
            wanted = command.configuration
            if clinic.changed(wanted) == clinic:
                return (), None
            refuse_change(queue, clinic, wanted, command.revision, today(queue, given.at, clinic))
            return (ClinicChanged(configuration=wanted, changed=changes(clinic, wanted)),), None
        case _:
            raise TypeError(f"{type(command).__name__} is no command of the queue")


def _add(queue: Queue, command: AddPatient, given: Given, clinic: Clinic) -> _Answered:
    service = clinic.service(command.service)
    priority, reason = grant(
        command.priority,
        command.priority_reason,
        given.born,
        clinic.day(given.at),
        clinic.policy.elderly_age,
    )
    there = queue.active.get(active_key(command.user_id, service.id))
    if there is not None:
        return (), there
    if queue.ticket(given.ticket_id) is not None or given.token in queue.tokens:
        raise Conflict("Nomor antrean dengan id atau tautan ini sudah ada.", code="ticket-exists")
    if not (given.by_staff or clinic.is_open(service, given.at)):
        raise Conflict(f"{service.name} sedang tutup. {_hours(service)}", code="closed")
    day = today(queue, given.at, clinic)
    sequence = queue.numbers.get(number_key(day, service.letter), 0) + 1
    issued = TicketIssued(
        ticket_id=given.ticket_id,
        number=f"{service.letter}-{sequence:03}",
        service=service.id,
        token=given.token,
        user_id=command.user_id,
        day=day,
        priority=priority,
        priority_reason=reason,
    )
    return (issued,), given.ticket_id


def _call(queue: Queue, command: CallNext, given: Given, clinic: Clinic) -> _Answered:
    offered = clinic.offered(command.counter, command.service)
    _refuse_if_busy(queue, command.counter, clinic)
    place = next_in_turn([queue.line(service) for service in offered], given.at, clinic.policy)
    if place is None:
        raise NotFound("Tidak ada pasien yang menunggu.", code="nobody-waiting")
    ticket = queue.tickets[place.ticket_id]
    called = TicketCalled(
        ticket_id=ticket.id,
        number=ticket.number,
        service=ticket.service,
        counter=command.counter,
        offered=offered,
    )
    if queue.counter(command.counter).open:
        return (called,), ticket.id
    day = today(queue, given.at, clinic)
    return (CounterOpened(counter=command.counter, day=day), called), ticket.id


def _undo(queue: Queue, command: Undo, given: Given, clinic: Clinic) -> _Answered:
    counter = clinic.counter(command.counter)
    last = queue.counter(counter.id).last
    if last is None:
        raise Conflict(f"Tidak ada tindakan {counter.name} yang dapat dibatalkan.", code="nothing-to-undo")
    seconds = clinic.policy.undo_seconds
    if given.at - last.at > timedelta(seconds=seconds):
        raise Conflict(f"Tindakan hanya dapat dibatalkan dalam {seconds} detik.", code="undo-too-late")
    before = last.before
    now = queue.ticket(before.id)
    if now is None or now.version != last.version:
        raise Conflict(f"{before.number} sudah diubah setelah tindakan itu.", code="undo-superseded")
    refuse_if_gone(before, clinic)
    if (before.status in ACTIVE and now.status not in ACTIVE) or before.service != now.service:
        refuse_if_queued(queue, before.user_id, before.service, clinic)
    undone = ActionUndone(
        ticket_id=before.id,
        number=before.number,
        service=before.service,
        counter=counter.id,
        undone=last.version,
        action=last.action,
        status=before.status,
    )
    return (undone,), before.id


def _close_day(queue: Queue, command: CloseDay | CloseDayIfOver, clock: datetime, clinic: Clinic) -> tuple[Event, ...]:
    if queue.day is None or (isinstance(command, CloseDayIfOver) and not is_over(queue, clinic, clock)):
        return ()
    return _close(queue, queue.day, clock, clinic)


def _close(queue: Queue, day: date, clock: datetime, clinic: Clinic) -> tuple[Event, ...]:
    """End the open tickets: waiting ones are cancelled, called ones become no-shows, served ones are completed.

    A clock that runs ahead, or ran ahead on that day, does not make statistics or last numbers expire early.
    """
    ends: dict[Status, type[TicketCancelled | TicketSkipped | TicketCompleted]] = {
        Status.WAITING: TicketCancelled,
        Status.ON_HOLD: TicketCancelled,
        Status.CALLED: TicketSkipped,
        Status.IN_PROGRESS: TicketCompleted,
    }
    left = sorted(
        (ticket for ticket in queue.tickets.values() if ticket.status in ends),
        key=lambda ticket: (ticket.issued_at, ticket.number),
    )
    ended = (about(ends[ticket.status], ticket, reason=DAY_CLOSED) for ticket in left)
    latest = min(clinic.day(clock), day + timedelta(days=1))
    forget = latest - timedelta(days=clinic.policy.retention_days)
    return (*ended, DayClosed(day=day, ended=len(left), forget_before=forget))


def _refuse_if_busy(queue: Queue, counter_id: str, clinic: Clinic) -> None:
    busy = queue.counter(counter_id).ticket_id
    if busy is not None:
        number, name = queue.tickets[busy].number, clinic.counter(counter_id).name
        raise Conflict(f"{name} masih menangani {number}. Selesaikan atau lewati lebih dahulu.", code="counter-busy")


def _hours(service: Service) -> str:
    opens = f"{service.opens:%H:%M}" if service.opens else "00:00"
    closes = f"{service.closes:%H:%M}" if service.closes else "24:00"
    return f"Buka pukul {opens} sampai {closes}."


def _unless(done: bool, event: Event) -> _Answered:
    return (() if done else (event,)), None

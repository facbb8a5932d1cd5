"""The event with which a command about one ticket is answered, or the refusal where its status does not allow it."""

from mediq.actors.queue.rules.commands import (
    Cancel,
    Complete,
    Given,
    Hold,
    Prioritise,
    Recall,
    Requeue,
    Resume,
    Skip,
    Start,
    TicketCommand,
    Transfer,
)
from mediq.actors.queue.rules.events import (
    Event,
    ServiceStarted,
    TicketCancelled,
    TicketCompleted,
    TicketEvent,
    TicketHeld,
    TicketPrioritised,
    TicketRecalled,
    TicketRequeued,
    TicketResumed,
    TicketSkipped,
    TicketTransferred,
)
from mediq.actors.queue.rules.priority import grant, lower, turn_back
from mediq.actors.queue.rules.state import Queue, active_key
from mediq.actors.queue.rules.ticket import ACTIVE, AT_COUNTER, Status, Ticket
from mediq.domain.clinic import Clinic
from mediq.domain.errors import Conflict, Invalid, NotFound
from mediq.domain.roles import Role


def decide_ticket(queue: Queue, command: TicketCommand, given: Given, clinic: Clinic) -> tuple[tuple[Event, ...], str]:
    """The events that answer a command about a ticket, and the ticket's id; raises as :func:`decide`."""
    if isinstance(command, Prioritise):
        return _prioritise(queue, command, given, clinic), command.id
    ticket = _ticket(queue, command.id)
    return (_ticket_event(queue, command, given, ticket, clinic),), ticket.id


def _prioritise(queue: Queue, command: Prioritise, given: Given, clinic: Clinic) -> tuple[Event, ...]:
    # Staff who change a priority have the last word: age alone then raises nothing.
    born = given.born if command.priority_reason == "lansia" else None
    priority, reason = grant(
        command.priority, command.priority_reason, born, clinic.day(given.at), clinic.policy.elderly_age
    )
    ticket = _ticket(queue, command.id)
    _require(ticket, Status.WAITING, Status.ON_HOLD)
    if (priority, reason) == (ticket.priority, ticket.priority_reason):
        return ()
    if lower(priority, ticket.priority) and not command.why:
        raise Invalid.field("why", "Sebutkan mengapa prioritas pasien ini diturunkan.")
    return (about(TicketPrioritised, ticket, priority=priority, priority_reason=reason),)


def _ticket_event(queue: Queue, command: TicketCommand, given: Given, ticket: Ticket, clinic: Clinic) -> Event:
    match command:
        case Recall():
            _require(ticket, Status.CALLED)
            if ticket.recalls >= clinic.policy.recall_limit:
                raise Conflict(
                    f"{ticket.number} sudah dipanggil ulang {ticket.recalls} kali. Lewati pasien ini.",
                    code="recall-limit",
                )
            return about(TicketRecalled, ticket, recalls=ticket.recalls + 1)
        case Start():
            _require(ticket, Status.CALLED)
            return about(ServiceStarted, ticket)
        case Complete():
            _require(ticket, *AT_COUNTER)
            return about(TicketCompleted, ticket)
        case Skip():
            _require(ticket, Status.CALLED)
            return about(TicketSkipped, ticket)
        case Requeue():
            _require(ticket, Status.NO_SHOW)
            refuse_if_gone(ticket, clinic)
            refuse_if_queued(queue, ticket.user_id, ticket.service, clinic)
            turn, order = turn_back(queue.line(ticket.service), ticket, given.at, queue.version + 1, clinic.policy)
            return about(TicketRequeued, ticket, counter=None, turn=turn, order=order)
        case Hold():
            _require(ticket, Status.WAITING, *AT_COUNTER)
            return about(TicketHeld, ticket)
        case Resume():
            _require(ticket, Status.ON_HOLD)
            return about(TicketResumed, ticket, counter=None)
        case Transfer():
            _require(ticket, Status.WAITING, *AT_COUNTER)
            service = clinic.service(command.service)
            if service.id == ticket.service:
                raise Conflict(f"{ticket.number} sudah di {service.name}.", code="already-queued")
            refuse_if_queued(queue, ticket.user_id, service.id, clinic)
            return about(TicketTransferred, ticket, service=service.id, from_service=ticket.service)
        case Cancel():
            _require(ticket, *ACTIVE)
            if given.role is Role.PASIEN and ticket.status is Status.IN_PROGRESS:
                raise Conflict(f"{ticket.number} sedang dilayani. Sampaikan kepada petugas.", code="being-served")
            return about(TicketCancelled, ticket)
        case _:
            raise TypeError(f"{type(command).__name__} is not about a ticket")


def about(event_class: type[TicketEvent], ticket: Ticket, **more: object) -> Event:
    """An event of that class about a ticket at its present service and counter."""
    fields: dict[str, object] = {
        "ticket_id": ticket.id,
        "number": ticket.number,
        "service": ticket.service,
        "counter": ticket.counter,
        **more,
    }
    return event_class(**fields)  # type: ignore[arg-type, return-value]


def refuse_if_gone(ticket: Ticket, clinic: Clinic) -> None:
    if all(service.id != ticket.service for service in clinic.services):
        raise Conflict(
            f"Poli dari {ticket.number} sudah tidak ada. Ambil nomor baru di poli lain.", code="service-gone"
        )


def refuse_if_queued(queue: Queue, user_id: str, service_id: str, clinic: Clinic) -> None:
    there = queue.active.get(active_key(user_id, service_id))
    if there is not None:
        raise Conflict(f"Pasien sudah mengantre dengan nomor {queue.tickets[there].number}.", code="already-queued")


def _ticket(queue: Queue, ticket_id: str) -> Ticket:
    ticket = queue.ticket(ticket_id)
    if ticket is None:
        raise NotFound("Nomor antrean ini tidak ada atau sudah lewat harinya.", code="no-ticket")
    if ticket_id not in queue.tickets:
        raise Conflict(f"{ticket.number} sudah berakhir ({ticket.status.label}).", code="wrong-status")
    return ticket


def _require(ticket: Ticket, *statuses: Status) -> None:
    if ticket.status not in statuses:
        raise Conflict(f"{ticket.number} berstatus {ticket.status.label}.", code="wrong-status")

"""What a command was about, told from the command or from its event, so that a reused key is noticed."""

from mediq.actors.queue.rules.commands import (
    AddPatient,
    CallNext,
    CloseDay,
    Command,
    Configure,
    OnTicket,
    Prioritise,
    Transfer,
)
from mediq.actors.queue.rules.events import (
    ActionUndone,
    ClinicChanged,
    CounterClosed,
    CounterOpened,
    DayClosed,
    Event,
    TicketCalled,
    TicketIssued,
    TicketPrioritised,
    TicketTransferred,
    kind,
)
from mediq.actors.queue.rules.priority import granted
from mediq.domain.clinic import Clinic

_COMMAND_OF_EVENT = {
    "ticket-recalled": "recall",
    "service-started": "start",
    "ticket-completed": "complete",
    "ticket-skipped": "skip",
    "ticket-requeued": "requeue",
    "ticket-held": "hold",
    "ticket-resumed": "resume",
    "ticket-cancelled": "cancel",
}


def subject_of_event(event: Event) -> str:
    """The subject of the command that this event answers."""
    match event:
        case TicketIssued():
            return _join("add-patient", event.user_id, event.service, event.priority, event.priority_reason)
        case TicketCalled():
            return _join("call-next", event.counter, *event.offered)
        case TicketPrioritised():
            return _join("prioritise", event.ticket_id, event.priority, event.priority_reason)
        case TicketTransferred():
            return _join("transfer", event.ticket_id, event.service)
        case ActionUndone():
            return _join("undo", event.counter)
        case CounterOpened():
            return _join("open-counter", event.counter)
        case CounterClosed():
            return _join("close-counter", event.counter)
        case ClinicChanged():
            return _join("configure", event.configuration.revision)
        case DayClosed():
            return "close-day"
        case _:
            return _join(_COMMAND_OF_EVENT[kind(event)], event.ticket_id)


def subject_of_command(command: Command, clinic: Clinic) -> str:
    """The subject of a command.

    Raises:
        Invalid: the command names what the clinic does not have.
    """
    name = str(type(command).__struct_config__.tag)
    match command:
        case AddPatient():
            return _join(name, command.user_id, clinic.service(command.service).id, *granted(command, clinic))
        case CallNext():
            return _join(name, command.counter, *clinic.offered(command.counter, command.service))
        case Prioritise():
            return _join(name, command.ticket_id, *granted(command, clinic))
        case Transfer():
            return _join(name, command.ticket_id, command.service)
        case Configure():
            return _join(name, command.configuration.revision)
        case CloseDay():
            return name
        case OnTicket():
            return _join(name, command.ticket_id)
        case _:
            return _join(name, command.counter)


def _join(*parts: str | None) -> str:
    return "|".join([part or "" for part in parts])

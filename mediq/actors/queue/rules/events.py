"""The events of the queue: the only way to change it, and all that the log keeps.

An event holds every outcome that `decide` chose, so a replay needs neither settings nor a clock. The events of a ticket
name its number, service and counter, never the patient, so that boards can be fed with them. Only `TicketIssued` holds
the patient's id and link, which `public_views.public_event` removes.
"""

from datetime import date, datetime
from typing import get_args

import msgspec

from mediq.actors.queue.rules.ticket import Priority, Status
from mediq.domain.clinic import ClinicConfiguration


class TicketEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """An event of one ticket at its `service`, and at its `counter` if it is at one."""

    ticket_id: str
    number: str
    service: str
    counter: str | None = None


class TicketIssued(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="ticket-issued"):
    """A patient drew a number and waits."""

    token: str
    user_id: str
    day: date
    priority: Priority
    priority_reason: str | None = None


class TicketCalled(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="ticket-called"):
    """A counter called the patient; `offered` are the services it was choosing from."""

    offered: tuple[str, ...] = ()


class TicketRecalled(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="ticket-recalled"):
    """The call was repeated, for the `recalls`-th time."""

    recalls: int


class ServiceStarted(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="service-started"):
    """The patient has come and is being served."""


class TicketSkipped(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="ticket-skipped"):
    """The patient did not come; `reason` is `day-closed` when the closing of the day ended the call."""

    reason: str | None = None


class TicketRequeued(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="ticket-requeued"):
    """A skipped patient came back and waits again, right after the patient with the same `turn` and `order`."""

    turn: datetime
    order: int


class TicketHeld(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="ticket-held"):
    """The patient is away for now, such as in the laboratory, and is not called."""


class TicketResumed(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="ticket-resumed"):
    """A held patient waits again, at the same place in line as before."""


class TicketPrioritised(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="ticket-prioritised"):
    """Staff gave the patient another `priority`; within that priority, patients wait in order of arrival."""

    priority: Priority
    priority_reason: str | None = None


class TicketTransferred(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="ticket-transferred"):
    """The patient waits for another `service` with the same number; `from_service` is the one left."""

    from_service: str


class TicketCompleted(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="ticket-completed"):
    """The visit is over; `reason` is `day-closed` when nobody said so before the day was closed."""

    reason: str | None = None


class TicketCancelled(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="ticket-cancelled"):
    """The patient will not be served; `reason` is `day-closed` when the day ended first."""

    reason: str | None = None


class CounterOpened(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="counter-opened"):
    """Someone works at a counter."""

    counter: str
    day: date


class CounterClosed(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="counter-closed"):
    """Nobody works at a counter any more."""

    counter: str


class ClinicChanged(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="clinic-changed"):
    """An administrator saved the clinic's services, counters, name and time zone, which hold from now on.

    `changed` lists the parts that differ from before, such as `name` or `services.gigi`. Old logs have no such list.
    """

    configuration: ClinicConfiguration = msgspec.field(name="premises")
    changed: tuple[str, ...] = ()


class DayClosed(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="day-closed"):
    """A day is over: `ended` tickets were ended for it, and visits before `forget_before` are forgotten."""

    day: date
    ended: int
    forget_before: date


class ActionUndone(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="action-undone"):
    """A counter took back its last action: event `undone`, of type `action`; the ticket is `status` again.

    The ticket is at `service` again.
    """

    undone: int
    action: str
    status: Status


Event = (
    TicketIssued
    | TicketCalled
    | TicketRecalled
    | ServiceStarted
    | TicketSkipped
    | TicketRequeued
    | TicketHeld
    | TicketResumed
    | TicketPrioritised
    | TicketTransferred
    | TicketCompleted
    | TicketCancelled
    | CounterOpened
    | CounterClosed
    | ClinicChanged
    | DayClosed
    | ActionUndone
)
"""Every event; on the wire the field `type` tells which."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event as it is stored and published, with its version, time, actor and reason.

    `role` is the role of `actor` at that time, None for the system itself and in old logs. `key` is the idempotency key
    of the command; the last of a command's events carries it.
    """

    version: int
    at: datetime
    actor: str
    role: str | None = None
    why: str | None = None
    key: str | None = None
    event: Event


_TYPES: dict[type, str] = {each: str(each.__struct_config__.tag) for each in get_args(Event)}


def type_of(event: Event) -> str:
    """The event's type on the wire, such as `ticket-called`."""
    return _TYPES[type(event)]

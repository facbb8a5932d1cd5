"""What has happened in the queue: the only things that change it, and all that the log keeps.

An event carries every outcome that `decide` chose, so that replaying needs neither settings nor a clock. A ticket's
events name its number, service and counter, never the patient, so that a board can be driven by them alone; only
`TicketIssued` holds the patient's id and link, which `public.public_event` leaves out.
"""

from datetime import date, datetime
from typing import get_args

import msgspec

from mediq.actors.queue.rules.ticket import Priority, Status
from mediq.domain.clinic import ClinicConfiguration


class TicketEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """Something that befell one ticket. `service` is the one it is at, `counter` where, if anywhere."""

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
    """A skipped patient came back and waits again, right after whoever has the same `turn` and `order`."""

    turn: datetime
    order: int


class TicketHeld(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="ticket-held"):
    """The patient is away for now (laboratory, papers) and is not called."""


class TicketResumed(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="ticket-resumed"):
    """A held patient waits again, at the former place in line."""


class TicketPrioritised(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="ticket-prioritised"):
    """Staff gave the patient another `priority`; the place among those who have it is by arrival, as ever."""

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

    `changed` says which of it is other than before, such as `name` or `services.gigi`; logs from before it was kept
    have none.
    """

    configuration: ClinicConfiguration = msgspec.field(name="premises")
    changed: tuple[str, ...] = ()


class DayClosed(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="day-closed"):
    """A day is over: `ended` tickets were ended for it, and visits before `forget_before` are forgotten."""

    day: date
    ended: int
    forget_before: date


class ActionUndone(TicketEvent, frozen=True, kw_only=True, omit_defaults=True, tag="action-undone"):
    """A counter took back its last action: event `undone`, of kind `action`; the ticket is `status` again.

    `counter` is who took it back; `service` the one the ticket is at again.
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
"""Everything that can happen; on the wire the field `type` tells which."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event as the log stores it and as it is published: numbered, dated, and who did it and why.

    `role` is the role of `actor` then, None for the system itself and in logs from before it was kept. `key` is the
    idempotency key of the command it answers; of a command's several events the last carries it.
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

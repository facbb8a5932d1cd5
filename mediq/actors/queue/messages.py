"""What the queue service is asked, and the events that it tells."""

from datetime import date
from typing import Annotated, get_args

import msgspec

from mediq.actors.queue.rules import events
from mediq.actors.queue.rules.events import Recorded
from mediq.actors.queue.rules.public_views import BoardCounter, ClinicView
from mediq.actors.queue.rules.statistics import Statistics
from mediq.actors.queue.rules.ticket import Priority as Priority
from mediq.actors.queue.rules.ticket import Status
from mediq.actors.queue.rules.views import StaffTicket
from mediq.actors.queue.rules.views import TicketView as TicketView
from mediq.domain.clinic import Counter, Service
from mediq.messages.document import Csv
from mediq.messages.pagination import Page, PageLimit, PageNumber
from mediq.messages.registry import Done, Request, event, request

UserId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
TicketId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Why = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^(?![\s\S]*([0-9][ .-]?){16})")]
"""A reason for the audit trail, which keeps it as it is written, but no NIK: none holds so many digits."""
CounterId = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
ServiceId = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
Reason = Annotated[str, msgspec.Meta(max_length=200)]


@request("queue.add-patient")
class AddPatient(Request[TicketView], frozen=True, kw_only=True):
    """Issue a ticket, or return the one that the patient already has for this service today."""

    user_id: UserId
    service: ServiceId | None = None
    priority: Priority | None = None
    priority_reason: Reason | None = None


@request("queue.get-status", idempotent=True)
class GetStatus(Request[TicketView], frozen=True, kw_only=True):
    """A patient's active ticket: the one being served, else the newest."""

    user_id: UserId


@request("queue.get-ticket", idempotent=True)
class GetTicket(Request[TicketView], frozen=True, kw_only=True):
    """Internal: one ticket of today or of the last day."""

    id: TicketId


@request("queue.forget-patient", idempotent=True)
class WithdrawPatient(Request[Done], frozen=True, kw_only=True):
    """Internal: withdraw what a patient waits for, before the patient's record is deleted."""

    user_id: UserId


@request("queue.call-next")
class CallNext(Request[TicketView], frozen=True, kw_only=True):
    """Call whoever is next in turn to a counter."""

    counter: CounterId
    service: ServiceId | None = None


class TicketCommand(Request[TicketView], frozen=True, kw_only=True):
    """A command on one ticket; `why` goes into the audit trail."""

    id: TicketId
    why: Why | None = None


@request("queue.recall")
class Recall(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Call a called ticket once more."""


@request("queue.start")
class Start(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Begin to serve a called ticket."""


@request("queue.complete")
class Complete(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Finish serving a ticket."""


@request("queue.skip")
class Skip(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Mark a called patient as not come."""


@request("queue.requeue")
class Requeue(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Let a skipped patient who has come back wait again."""


@request("queue.hold")
class Hold(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Set a ticket aside."""


@request("queue.resume")
class Resume(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Let a ticket that was set aside wait again."""


@request("queue.prioritise")
class Prioritise(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Give a patient who has not been called yet another priority; lowering one takes a `why`."""

    priority: Priority
    priority_reason: Reason | None = None


@request("queue.transfer")
class Transfer(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Send a patient on to another service with the same ticket."""

    service: ServiceId


@request("queue.cancel")
class Cancel(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Withdraw a ticket."""


@request("queue.undo")
class Undo(Request[TicketView], frozen=True, kw_only=True):
    """Take a counter's last action back, within a minute of it."""

    counter: CounterId


class CounterCommand(Request[BoardCounter], frozen=True, kw_only=True):
    """A command on a counter; `why` goes into the audit trail."""

    counter: CounterId
    why: Why | None = None


@request("queue.open-counter")
class OpenCounter(CounterCommand, Request[BoardCounter], frozen=True, kw_only=True):
    """Begin work at a counter. An open one stays open."""


@request("queue.close-counter")
class CloseCounter(CounterCommand, Request[BoardCounter], frozen=True, kw_only=True):
    """End work at a counter that is not busy."""


@request("queue.get-clinic", idempotent=True)
class GetClinic(Request[ClinicView], frozen=True, kw_only=True):
    """What the clinic offers, and what of it is open now."""


@request("queue.configure")
class Configure(Request[ClinicView], frozen=True, kw_only=True):
    """Change the clinic's name, time zone, notice, services and counters; they hold from now on, for everyone.

    With the `revision` that was seen, only if nobody else has changed them since. Without a `notice`, boards have words
    of their own.
    """

    name: str
    timezone: str
    services: tuple[Service, ...]
    counters: tuple[Counter, ...]
    notice: str = ""
    revision: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    why: Why | None = None


class DayEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What closing a day did: which one, null if none was open, and how many tickets were ended with it."""

    day: date | None
    ended: int


@request("queue.close-day")
class CloseDay(Request[DayEnd], frozen=True, kw_only=True):
    """End the open day now: whoever still waits is sent away."""

    why: Why


@request("queue.list", idempotent=True)
class ListTickets(Request[Page[StaffTicket]], frozen=True, kw_only=True):
    """Today's tickets and whose they are, oldest first."""

    service: ServiceId | None = None
    status: Status | None = None
    counter: CounterId | None = None
    user_id: UserId | None = None
    page: PageNumber = 1
    limit: PageLimit = 100


@request("queue.get-statistics", idempotent=True)
class GetStatistics(Request[Statistics], frozen=True, kw_only=True):
    """Counts and times between two dates, both included; today alone when none is given."""

    from_: date | None = msgspec.field(default=None, name="from")
    to: date | None = None
    service: ServiceId | None = None


@request("queue.export-statistics", idempotent=True)
class ExportStatistics(Request[Csv], frozen=True, kw_only=True):
    """What those figures are made of, a row for each step of a visit, as a table for a spreadsheet."""

    from_: date | None = msgspec.field(default=None, name="from")
    to: date | None = None
    service: ServiceId | None = None
    before: Annotated[str, msgspec.Meta(max_length=80)] | None = None


class QueueSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The queue at one version, as :func:`mediq.actors.queue.rules.queue.load` reads it, without the visits of the days before."""

    version: int
    state: bytes


@request("queue.get-snapshot", idempotent=True)
class GetSnapshot(Request[QueueSnapshot], frozen=True, kw_only=True):
    """Internal: where a gateway's copy of the queue starts from."""


class EventList(msgspec.Struct, frozen=True, kw_only=True):
    """Recorded events in order, without a gap; `trimmed` if the log no longer goes back as far as was asked.

    `version` is that of the last event in the log.
    """

    version: int
    events: tuple[Recorded, ...] = ()
    trimmed: bool = False


@request("queue.get-events", idempotent=True)
class GetEvents(Request[EventList], frozen=True, kw_only=True):
    """Internal: what a gateway asks when it has missed events: up to 1,000 of those after a version."""

    after_version: int


for _kind in get_args(events.Event):
    event(f"queue.{_kind.__struct_config__.tag}")(Recorded)
"""What the log has recorded is published once it is safe, under the name of what happened: `queue.ticket-called`."""


def topic_of(recorded: Recorded) -> str:
    """The wire pattern under which a recorded event is published."""
    return f"queue.{events.kind(recorded.event)}"

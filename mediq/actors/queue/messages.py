"""The messages of the queue service beside its commands, which stand in `rules/commands.py`.

Other services import from here alone, so the words that they share with the queue are offered here too.
"""

from datetime import date
from typing import Annotated, get_args

import msgspec

from mediq.actors.queue.rules import events
from mediq.actors.queue.rules.commands import AddPatient as AddPatient
from mediq.actors.queue.rules.events import Recorded
from mediq.actors.queue.rules.field_types import CounterId, TicketId, UserId
from mediq.actors.queue.rules.field_types import PriorityReason as PriorityReason
from mediq.actors.queue.rules.field_types import ServiceId as ServiceId
from mediq.actors.queue.rules.public_views import ClinicView
from mediq.actors.queue.rules.statistics import Statistics
from mediq.actors.queue.rules.ticket import Priority as Priority
from mediq.actors.queue.rules.ticket import Status
from mediq.actors.queue.rules.views import StaffTicket
from mediq.actors.queue.rules.views import TicketView as TicketView
from mediq.messages.document import Csv
from mediq.messages.pagination import Page, PageLimit, PageNumber
from mediq.messages.registry import Done, Request, event, request


@request("queue.get-status", idempotent=True)
class GetStatus(Request[TicketView], frozen=True, kw_only=True):
    """A patient's active ticket: the one being served, else the newest."""

    user_id: UserId


@request("queue.get-ticket", idempotent=True)
class GetTicket(Request[TicketView], frozen=True, kw_only=True):
    """Internal: one ticket of the open or the last day."""

    id: TicketId


@request("queue.add-registered")
class AddRegistered(AddPatient, Request[TicketView], frozen=True, kw_only=True):
    """Internal: as :class:`AddPatient`, for a patient whom the user service has just returned, born on `born`.

    The queue then need not ask the user service about the patient.
    """

    born: date | None = None


@request("queue.forget-patient", idempotent=True)
class WithdrawPatient(Request[Done], frozen=True, kw_only=True):
    """Internal: cancel the tickets with which a patient waits, before the patient's record is deleted."""

    user_id: UserId


@request("queue.get-clinic", idempotent=True)
class GetClinic(Request[ClinicView], frozen=True, kw_only=True):
    """The clinic's services and counters, and which of them are open now."""


@request("queue.list", idempotent=True)
class ListTickets(Request[Page[StaffTicket]], frozen=True, kw_only=True):
    """Today's tickets with their patients' ids, oldest first."""

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
    """The visits behind the statistics as a table for a spreadsheet, with a row for each step of a visit."""

    from_: date | None = msgspec.field(default=None, name="from")
    to: date | None = None
    service: ServiceId | None = None
    before: Annotated[str, msgspec.Meta(max_length=80)] | None = None


class QueueSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The queue at one version, as :func:`~mediq.actors.queue.rules.snapshot.load` reads it.

    The visits of the days before are left out.
    """

    version: int
    state: bytes


@request("queue.get-snapshot", idempotent=True)
class GetSnapshot(Request[QueueSnapshot], frozen=True, kw_only=True):
    """Internal: the state from which a gateway's projection of the queue starts."""


class EventList(msgspec.Struct, frozen=True, kw_only=True):
    """Recorded events in order, without a gap.

    `version` is that of the last event in the log. `trimmed` says that the log no longer reaches back far enough.
    """

    version: int
    events: tuple[Recorded, ...] = ()
    trimmed: bool = False


@request("queue.get-events", idempotent=True)
class GetEvents(Request[EventList], frozen=True, kw_only=True):
    """Internal: at most 1,000 events after a version, for a gateway that has missed some."""

    after_version: int


for _event_type in get_args(events.Event):
    event(f"queue.{_event_type.__struct_config__.tag}")(Recorded)
"""A recorded event is published when it is safe in the log, under its type: `queue.ticket-called`."""


def topic_of(recorded: Recorded) -> str:
    """The wire pattern under which a recorded event is published."""
    return f"queue.{events.type_of(recorded.event)}"

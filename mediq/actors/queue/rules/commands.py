"""The commands of the queue: what its service is asked to change.

A command is one class. It travels as the message that the gateway sends, and the rules decide about the same object.
What belongs to the occasion and not to the command (time, actor, key, ...) stands beside it, in a :class:`Given`.
"""

from datetime import date, datetime
from typing import Annotated

import msgspec

from mediq.actors.queue.rules.field_types import CounterId, PriorityReason, ServiceId, TicketId, UserId, Why
from mediq.actors.queue.rules.public_views import BoardCounter, ClinicView
from mediq.actors.queue.rules.ticket import Priority
from mediq.actors.queue.rules.views import TicketView
from mediq.domain.clinic import ClinicConfiguration, ClinicName, Counter, Notice, Service, TimezoneName
from mediq.domain.roles import Role
from mediq.messages.registry import Request, request


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What the queue service adds to a command, so that the rules need no clock, no randomness and no other service.

    `at` has a time zone. `actor` is the id of the account that asks, or `system`; `role` is None for the system. `key`
    is the idempotency key. `ticket_id` and the unguessable `token` become those of a new ticket, if one is issued.
    `born` is the patient's date of birth, where the rules need it and it is known.
    """

    at: datetime
    actor: str
    role: Role | None = None
    key: str | None = None
    ticket_id: str = ""
    token: str = ""
    born: date | None = None

    @property
    def by_staff(self) -> bool:
        """Whether a member of staff asks, who sees the patient."""
        return self.role in (Role.OPERATOR, Role.ADMIN_FASKES)


@request("queue.add-patient")
class AddPatient(Request[TicketView], frozen=True, kw_only=True):
    """Issue a ticket, or return the one that the patient already has for this service today.

    Without `service` it is the clinic's first. A reason alone sets its priority; old age sets one by itself. Staff may
    issue tickets outside the opening hours.
    """

    user_id: UserId
    service: ServiceId | None = None
    priority: Priority | None = None
    priority_reason: PriorityReason | None = None


@request("queue.call-next")
class CallNext(Request[TicketView], frozen=True, kw_only=True):
    """Call the next patient in turn to a counter: of one service, or of all services that the counter takes."""

    counter: CounterId
    service: ServiceId | None = None


class TicketCommand(Request[TicketView], frozen=True, kw_only=True):
    """A command on one ticket; `why` goes into the audit trail."""

    id: TicketId
    why: Why | None = None


@request("queue.recall")
class Recall(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Call a called patient once more."""


@request("queue.start")
class Start(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Begin to serve a called patient."""


@request("queue.complete")
class Complete(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Finish serving a patient."""


@request("queue.skip")
class Skip(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Mark a called patient as a no-show."""


@request("queue.requeue")
class Requeue(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Let a skipped patient who has come back wait again."""


@request("queue.hold")
class Hold(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Set a ticket aside: the patient is not called for now."""


@request("queue.resume")
class Resume(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Let a ticket that was set aside wait again."""


@request("queue.prioritise")
class Prioritise(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Give a patient who has not been called yet another priority; lowering one needs a `why`."""

    priority: Annotated[Priority, msgspec.Meta(examples=["HIGH"])]
    priority_reason: Annotated[PriorityReason | None, msgspec.Meta(examples=["hamil"])] = None


@request("queue.transfer")
class Transfer(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Send a patient on to another service with the same ticket."""

    service: Annotated[ServiceId, msgspec.Meta(examples=["gigi"])]


@request("queue.cancel")
class Cancel(TicketCommand, Request[TicketView], frozen=True, kw_only=True):
    """Withdraw a ticket. A patient may do so until the visit begins."""


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
    """Begin work at a counter. An open counter stays open."""


@request("queue.close-counter")
class CloseCounter(CounterCommand, Request[BoardCounter], frozen=True, kw_only=True):
    """End work at a counter that is not busy."""


@request("queue.configure")
class Configure(Request[ClinicView], frozen=True, kw_only=True):
    """Change the clinic's name, time zone, notice, services and counters, from now on and for everyone.

    With the `revision` that the author has seen, the change is refused if somebody else has changed the clinic since.
    Without a `notice`, boards show their own running text.
    """

    name: ClinicName
    timezone: TimezoneName
    services: tuple[Service, ...]
    counters: tuple[Counter, ...]
    notice: Notice = ""
    revision: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    why: Why | None = None

    @property
    def configuration(self) -> ClinicConfiguration:
        """The clinic that is asked for."""
        return ClinicConfiguration(
            name=self.name,
            timezone=self.timezone,
            notice=self.notice,
            services=self.services,
            counters=self.counters,
        )


class DayEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What closing a day did: the `day`, null if none was open, and the number of tickets that it ended."""

    day: date | None
    ended: int


@request("queue.close-day")
class CloseDay(Request[DayEnd], frozen=True, kw_only=True):
    """End the open day now. Patients who still wait are sent away."""

    why: Why


class CloseDayIfOver(msgspec.Struct, frozen=True, kw_only=True):
    """Internal to the queue service: end the open day if everybody has gone home."""

    why: str = "day-over"


Command = AddPatient | CallNext | TicketCommand | Undo | CounterCommand | Configure | CloseDay | CloseDayIfOver
"""Every command. All subclasses of :class:`TicketCommand` and :class:`CounterCommand` are among them."""

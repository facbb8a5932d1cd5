"""What can be asked of the queue. A command brings the time, the ids and who asks; `decide` makes up nothing."""

from datetime import date, datetime

import msgspec

from mediq.actors.queue.rules.ticket import Priority
from mediq.domain.clinic import ClinicConfiguration


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What every command carries: when (with its zone), who asks in which role, why, and the idempotency key."""

    at: datetime
    actor: str
    role: str | None = None
    why: str | None = None
    key: str | None = None


class AddPatient(Asked, frozen=True, kw_only=True, tag="add-patient"):
    """Give a patient a number. `ticket_id` and the unguessable `token` are used only if a new ticket is made.

    Without `service` it is the clinic's first. `born` gives lansia by itself. A reason alone sets its priority. What is
    asked `by_staff`, who see the patient before them, is good outside the opening hours too.
    """

    ticket_id: str
    token: str
    user_id: str
    service: str | None = None
    priority: Priority | None = None
    priority_reason: str | None = None
    born: date | None = None
    by_staff: bool = False


class CallNext(Asked, frozen=True, kw_only=True, tag="call-next"):
    """Call whoever is next for a counter, of one service or of all that the counter takes."""

    counter: str
    service: str | None = None


class OnTicket(Asked, frozen=True, kw_only=True):
    """A command about one ticket."""

    ticket_id: str


class Recall(OnTicket, frozen=True, kw_only=True, tag="recall"):
    """Repeat the call."""


class Start(OnTicket, frozen=True, kw_only=True, tag="start"):
    """The patient has come."""


class Complete(OnTicket, frozen=True, kw_only=True, tag="complete"):
    """The visit is over."""


class Skip(OnTicket, frozen=True, kw_only=True, tag="skip"):
    """The patient did not come."""


class Requeue(OnTicket, frozen=True, kw_only=True, tag="requeue"):
    """A skipped patient is back."""


class Hold(OnTicket, frozen=True, kw_only=True, tag="hold"):
    """Do not call the patient for now."""


class Resume(OnTicket, frozen=True, kw_only=True, tag="resume"):
    """A held patient waits again."""


class Prioritise(OnTicket, frozen=True, kw_only=True, tag="prioritise"):
    """Give a patient who has not been called yet another priority. `born` is held against the reason lansia."""

    priority: Priority
    priority_reason: str | None = None
    born: date | None = None


class Transfer(OnTicket, frozen=True, kw_only=True, tag="transfer"):
    """Send the patient on to another service."""

    service: str


class Cancel(OnTicket, frozen=True, kw_only=True, tag="cancel"):
    """The patient leaves without being served; says so, if `by_patient`, before it is their turn."""

    by_patient: bool = False


class Undo(Asked, frozen=True, kw_only=True, tag="undo"):
    """Take back the counter's last action."""

    counter: str


class OpenCounter(Asked, frozen=True, kw_only=True, tag="open-counter"):
    """Begin work at a counter."""

    counter: str


class CloseCounter(Asked, frozen=True, kw_only=True, tag="close-counter"):
    """End work at a counter."""

    counter: str


class Configure(Asked, frozen=True, kw_only=True, tag="configure"):
    """Change the clinic's services, counters, name or time zone, if they are still as `revision` says."""

    configuration: ClinicConfiguration
    revision: str | None = None


class CloseDay(Asked, frozen=True, kw_only=True, tag="close-day"):
    """End what is still open and put the day away; `if_over`, only once everyone has gone home."""

    if_over: bool = False


Command = (
    AddPatient
    | CallNext
    | Recall
    | Start
    | Complete
    | Skip
    | Requeue
    | Hold
    | Resume
    | Prioritise
    | Transfer
    | Cancel
    | Undo
    | OpenCounter
    | CloseCounter
    | Configure
    | CloseDay
)
"""Everything that can be asked."""

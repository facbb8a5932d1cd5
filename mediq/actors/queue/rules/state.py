"""The queue as it stands: what the events so far add up to."""

from datetime import date, datetime
from functools import lru_cache

import msgspec
from immutables import Map

from mediq.actors.queue.rules.ticket import Ticket
from mediq.actors.queue.rules.waiting_line import Line
from mediq.domain.clinic import ClinicConfiguration

RECENT = 30
"""How many of today's last service times a service's pace is taken from."""

SAME_HOUR = 60
"""How many service times of the last days are kept for each service and hour."""


class Undoable(msgspec.Struct, frozen=True, kw_only=True):
    """A counter's last action: its event's version and kind, and the ticket and HIGH runs before it."""

    version: int
    action: str
    at: datetime
    before: Ticket
    high_runs: tuple[tuple[str, int], ...] = ()


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """A counter on the open day: whether someone works there, and the ticket it is busy with."""

    open: bool = False
    ticket_id: str | None = None
    last: Undoable | None = None


NOBODY = Line()
UNATTENDED = Desk()


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a command with an idempotency key was and was answered; kept through the next day.

    `ended` is how many tickets were ended with the `day`, if it closed that.
    """

    subject: str
    ticket_id: str | None
    day: date
    ended: int = 0


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a service goes today: services finished, and the seconds the last ones took."""

    finished: int = 0
    seconds: tuple[float, ...] = ()


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the queue knows after event `version`. Never changed: `evolve` makes the next one from it.

    `at` is when that event happened. `day` is the open day, None between days. `tickets` are those of the open day that
    may still go on, no-shows included; `finished` those that are over, of the open and the last day; `history` the
    visits of the days before, by ISO date, packed because only statistics look at them. `numbers` holds the last number
    by ISO date and letter, `active` the ticket of a patient at a service, `hours` the service seconds by service and
    hour of the day in UTC. `configuration` is the clinic as an administrator has changed it, None while it is as its
    settings say.
    """

    version: int = 0
    at: datetime | None = None
    day: date | None = None
    configuration: ClinicConfiguration | None = None
    tickets: Map[str, Ticket] = Map()
    lines: Map[str, Line] = Map()
    desks: Map[str, Desk] = Map()
    numbers: Map[str, int] = Map()
    active: Map[str, str] = Map()
    tokens: Map[str, str] = Map()
    users: Map[str, tuple[str, ...]] = Map()
    answers: Map[str, Answer] = Map()
    finished: Map[str, Ticket] = Map()
    history: Map[str, bytes] = Map()
    paces: Map[str, Pace] = Map()
    hours: Map[str, tuple[float, ...]] = Map()

    def ticket(self, ticket_id: str) -> Ticket | None:
        """A ticket of the open or the last day."""
        return self.tickets.get(ticket_id) or self.finished.get(ticket_id)

    def line(self, service: str) -> Line:
        """The line of a service, empty if nobody has come yet."""
        return self.lines.get(service, NOBODY)

    def desk(self, counter: str) -> Desk:
        """A counter as it is on the open day."""
        return self.desks.get(counter, UNATTENDED)

    def without_history(self) -> "Queue":
        """This queue for whoever shows it: without the visits of the days before, which only statistics look at."""
        return msgspec.structs.replace(self, history=Map())


def active_key(user_id: str, service: str) -> str:
    """Under which `Queue.active` knows a patient at a service."""
    return f"{service}/{user_id}"


@lru_cache(64)
def number_key(day: date, letter: str) -> str:
    """Under which `Queue.numbers` counts a letter on a day."""
    return f"{day.isoformat()}/{letter}"


EMPTY = Queue()

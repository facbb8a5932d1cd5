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


class CounterState(msgspec.Struct, frozen=True, kw_only=True):
    """A counter on the open day: whether somebody works there, its present ticket, and its `last` action."""

    open: bool = False
    ticket_id: str | None = None
    last: Undoable | None = None


EMPTY_LINE = Line()
CLOSED_COUNTER = CounterState()


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The answer to a command that had an idempotency key; kept through the next day.

    `fingerprint` is that of the request, empty if its key carried none. `ended` is the number of tickets that the
    command ended with the `day`, if it closed the day.
    """

    fingerprint: str = msgspec.field(name="subject")
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
    counters: Map[str, CounterState] = Map()
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
        return self.lines.get(service, EMPTY_LINE)

    def counter(self, counter_id: str) -> CounterState:
        """A counter as it is on the open day."""
        return self.counters.get(counter_id, CLOSED_COUNTER)

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

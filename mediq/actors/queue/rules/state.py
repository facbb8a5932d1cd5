"""The state of the queue: the fold of all its events."""

from datetime import date, datetime
from functools import lru_cache

import msgspec
from immutables import Map

from mediq.actors.queue.rules.ticket import Ticket
from mediq.actors.queue.rules.waiting_line import Line
from mediq.domain.clinic import ClinicConfiguration

RECENT = 30
"""The number of today's last service times that a service's pace is taken from."""

SAME_HOUR = 60
"""The number of service times of the last days that are kept for each service and hour."""


class Undoable(msgspec.Struct, frozen=True, kw_only=True):
    """A counter's last action: its event's version and type, and the ticket and the HIGH runs before it."""

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
    """A service's pace today: the number of finished services, and the seconds that the last ones took."""

    finished: int = 0
    seconds: tuple[float, ...] = ()


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """The queue after event `version`. It is immutable: `evolve` makes the next state from it.

    `at` is the time of that event. `day` is the open day, None between days. `tickets` holds the open day's
    tickets that may still go on, no-shows included. `finished` holds tickets that are over, of the open and the last
    day. `history` holds the visits of the days before by ISO date, packed because only statistics read them.
    `numbers` holds the last number by ISO date and letter, `active` the ticket of a patient at a service, `hours` the
    service seconds by service and hour of the day in UTC. `configuration` is the clinic as an administrator has
    changed it, None while the settings hold.
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
        """The waiting line of a service."""
        return self.lines.get(service, EMPTY_LINE)

    def counter(self, counter_id: str) -> CounterState:
        """A counter as it is on the open day."""
        return self.counters.get(counter_id, CLOSED_COUNTER)

    def without_history(self) -> "Queue":
        """This queue without the visits of the days before, which only statistics read."""
        return msgspec.structs.replace(self, history=Map())


def active_key(user_id: str, service: str) -> str:
    """The key in `Queue.active` of a patient at a service."""
    return f"{service}/{user_id}"


@lru_cache(64)
def number_key(day: date, letter: str) -> str:
    """The key in `Queue.numbers` of a letter on a day."""
    return f"{day.isoformat()}/{letter}"


EMPTY = Queue()

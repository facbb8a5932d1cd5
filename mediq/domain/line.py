"""The people waiting for one service, in order, so that finding the next one never looks at the others."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import datetime

import msgspec

from mediq.domain.ticket import Priority, Ticket

LAST_CALLS = 10
"""How many calls of a service the boards can look back on."""

_RANK = {Priority.URGENT: 0, Priority.HIGH: 1, Priority.NORMAL: 2, Priority.LOW: 3}

Key = tuple[datetime, int]


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A waiting ticket's place: `turn` and `order` sort its lane, `since` says how long it has waited."""

    ticket_id: str
    priority: Priority
    turn: datetime
    since: datetime
    order: int


class Call(msgspec.Struct, frozen=True, array_like=True):
    """A call that was made, for the boards; `version` is that of its event."""

    version: int
    number: str
    service: str
    counter: str
    at: datetime


def place_of(ticket: Ticket) -> Place:
    """Where a waiting ticket stands."""
    return Place(ticket.id, ticket.priority, ticket.turn, ticket.waiting_since, ticket.order)


def by_turn(place: Place) -> Key:
    return (place.turn, place.order)


def by_wait(place: Place) -> Key:
    return (place.since, place.order)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One service's line: a lane a priority, sorted by turn.

    `arrivals` holds all but URGENT, longest wait first. `high_run` counts the HIGH called since the last NORMAL.
    """

    lanes: tuple[tuple[Place, ...], ...] = ((), (), (), ())
    arrivals: tuple[Place, ...] = ()
    high_run: int = 0
    calls: tuple[Call, ...] = ()

    def lane(self, priority: Priority) -> tuple[Place, ...]:
        """Those waiting with that priority, next one first."""
        return self.lanes[_RANK[priority]]

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self.lanes))

    def join(self, place: Place) -> "Line":
        """The line with one more."""
        return self._with(place, _insert)

    def leave(self, place: Place) -> "Line":
        """The line without that place.

        Raises:
            KeyError: it is not in the line.
        """
        return self._with(place, _remove)

    def _with(
        self, place: Place, change: Callable[[tuple[Place, ...], Place, Callable[[Place], Key]], tuple[Place, ...]]
    ) -> "Line":
        rank = _RANK[place.priority]
        lanes = (*self.lanes[:rank], change(self.lanes[rank], place, by_turn), *self.lanes[rank + 1 :])
        arrivals = change(self.arrivals, place, by_wait) if rank else self.arrivals
        return Line(lanes=lanes, arrivals=arrivals, high_run=self.high_run, calls=self.calls)

    def with_high_run(self, run: int) -> "Line":
        """The line with that many HIGH called since the last NORMAL."""
        return Line(lanes=self.lanes, arrivals=self.arrivals, high_run=run, calls=self.calls)

    def called(self, call: Call) -> "Line":
        """The line with one more call to look back on."""
        calls = (*self.calls, call)[-LAST_CALLS:]
        return Line(lanes=self.lanes, arrivals=self.arrivals, high_run=self.high_run, calls=calls)

    def uncalled(self, version: int) -> "Line":
        """The line without the call that event `version` made."""
        calls = tuple(call for call in self.calls if call.version != version)
        return Line(lanes=self.lanes, arrivals=self.arrivals, high_run=self.high_run, calls=calls)


def index_of(places: tuple[Place, ...], place: Place, key: Callable[[Place], Key]) -> int:
    """Where a place stands among `places` sorted by `key`; a requeue may have given two the same key.

    Raises:
        KeyError: it is not there.
    """
    i = bisect_left(places, key(place), key=key)
    while i < len(places) and key(places[i]) == key(place):
        if places[i].ticket_id == place.ticket_id:
            return i
        i += 1
    raise KeyError(place.ticket_id)


def _insert(places: tuple[Place, ...], place: Place, key: Callable[[Place], Key]) -> tuple[Place, ...]:
    if not places or key(places[-1]) <= key(place):
        return (*places, place)
    i = bisect_right(places, key(place), key=key)
    return (*places[:i], place, *places[i:])


def _remove(places: tuple[Place, ...], place: Place, key: Callable[[Place], Key]) -> tuple[Place, ...]:
    i = index_of(places, place, key)
    return places[:i] + places[i + 1 :]

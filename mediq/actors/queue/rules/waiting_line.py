"""The people waiting for one service, in order, so that finding the next one never looks at the others."""

from datetime import datetime

import msgspec

from mediq.actors.queue.rules.sorted_tickets import Place, Row, by_turn, by_wait
from mediq.actors.queue.rules.ticket import Priority

LAST_CALLS = 10
"""How many calls of a service the boards can look back on."""

_RANK = {Priority.URGENT: 0, Priority.HIGH: 1, Priority.NORMAL: 2, Priority.LOW: 3}


class Call(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A call that was made, for the boards; `version` is that of its event."""

    version: int
    number: str
    service: str
    counter: str
    at: datetime


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One service's line: a lane a priority, sorted by turn.

    `arrivals` holds all but URGENT, longest wait first. `high_run` counts the HIGH called since the last NORMAL.
    """

    lanes: tuple[Row, ...] = (Row(by_turn),) * len(_RANK)
    arrivals: Row = Row(by_wait)
    high_run: int = 0
    calls: tuple[Call, ...] = ()

    def lane(self, priority: Priority) -> Row:
        """Those waiting with that priority, next one first."""
        return self.lanes[_RANK[priority]]

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self.lanes))

    def join(self, place: Place) -> "Line":
        """The line with one more."""
        rank = _RANK[place.priority]
        return self._with(rank, self.lanes[rank].add(place), self.arrivals.add(place) if rank else self.arrivals)

    def leave(self, place: Place) -> "Line":
        """The line without that place.

        Raises:
            KeyError: it is not in the line.
        """
        rank = _RANK[place.priority]
        return self._with(rank, self.lanes[rank].remove(place), self.arrivals.remove(place) if rank else self.arrivals)

    def _with(self, rank: int, lane: Row, arrivals: Row) -> "Line":
        lanes = (*self.lanes[:rank], lane, *self.lanes[rank + 1 :])
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

"""The waiting line of one service, sorted so that the next patient is found without looking at the others."""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from mediq.actors.queue.rules.sorted_tickets import Place, Places, by_turn, by_wait, insert, remove
from mediq.actors.queue.rules.ticket import Priority

LAST_CALLS = 10
"""The number of calls of a service that the boards can show."""

_RANK = {Priority.URGENT: 0, Priority.HIGH: 1, Priority.NORMAL: 2, Priority.LOW: 3}


class Call(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A call as the boards show it; `version` is that of its event."""

    version: int
    number: str
    service: str
    counter: str
    at: datetime


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One service's waiting line: a lane for each priority, sorted by turn.

    `arrivals` holds all but URGENT, longest wait first. `high_run` counts the HIGH called since the last NORMAL.
    """

    lanes: tuple[Places, ...] = ((),) * len(_RANK)
    arrivals: Places = ()
    high_run: int = 0
    calls: tuple[Call, ...] = ()

    def lane(self, priority: Priority) -> Places:
        """The places of that priority, next one first."""
        return self.lanes[_RANK[priority]]

    @property
    def waiting(self) -> int:
        """The number of patients who wait."""
        return sum(map(len, self.lanes))

    def join(self, place: Place) -> "Line":
        """The line with one more place."""
        rank = _RANK[place.priority]
        arrivals = insert(self.arrivals, place, by_wait) if rank else self.arrivals
        return self._with(rank, insert(self.lanes[rank], place, by_turn), arrivals)

    def leave(self, place: Place) -> "Line":
        """The line without that place.

        Raises:
            KeyError: the place is not in the line.
        """
        rank = _RANK[place.priority]
        arrivals = remove(self.arrivals, place, by_wait) if rank else self.arrivals
        return self._with(rank, remove(self.lanes[rank], place, by_turn), arrivals)

    def _with(self, rank: int, lane: Places, arrivals: Places) -> "Line":
        return replace(self, lanes=(*self.lanes[:rank], lane, *self.lanes[rank + 1 :]), arrivals=arrivals)

    def with_high_run(self, run: int) -> "Line":
        """The line with the number of HIGH that were called since the last NORMAL."""
        return replace(self, high_run=run)

    def called(self, call: Call) -> "Line":
        """The line with one more call to show."""
        return replace(self, calls=(*self.calls, call)[-LAST_CALLS:])

    def uncalled(self, version: int) -> "Line":
        """The line without the call that event `version` made."""
        return replace(self, calls=tuple(call for call in self.calls if call.version != version))

"""Waiting tickets in order, as plain sorted tuples. A change copies the tuple, which is quick for a clinic's lines."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import datetime

import msgspec

from mediq.actors.queue.rules.ticket import Priority, Ticket

Key = tuple[datetime, int]


class Place(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A waiting ticket's place: `turn` and `order` sort its lane, `since` says how long it has waited."""

    ticket_id: str
    priority: Priority
    turn: datetime
    since: datetime
    order: int


Places = tuple[Place, ...]


def place_of(ticket: Ticket) -> Place:
    """The place of a waiting ticket."""
    return Place(ticket.id, ticket.priority, ticket.turn, ticket.waiting_since, ticket.order)


def by_turn(place: Place) -> Key:
    """The sort key of a lane."""
    return (place.turn, place.order)


def by_wait(place: Place) -> Key:
    """The sort key of all who wait, longest first."""
    return (place.since, place.order)


def insert(places: Places, place: Place, key: Callable[[Place], Key]) -> Places:
    """The places with one more, behind any that have the same key: a requeue may give one key twice."""
    i = bisect_right(places, key(place), key=key)
    return (*places[:i], place, *places[i:])


def index(places: Places, place: Place, key: Callable[[Place], Key]) -> int:
    """The number of places before this one.

    Raises:
        KeyError: the place is not among them.
    """
    wanted = key(place)
    for i in range(bisect_left(places, wanted, key=key), len(places)):
        if places[i].ticket_id == place.ticket_id:
            return i
        if key(places[i]) != wanted:
            break
    raise KeyError(place.ticket_id)


def remove(places: Places, place: Place, key: Callable[[Place], Key]) -> Places:
    """The places without this one.

    Raises:
        KeyError: the place is not among them.
    """
    i = index(places, place, key)
    return (*places[:i], *places[i + 1 :])

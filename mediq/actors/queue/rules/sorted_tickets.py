"""Waiting tickets in order, of which a changed copy costs about the same however many they are."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Final

import msgspec

from mediq.actors.queue.rules.ticket import Priority, Ticket

_BLOCK: Final = 64
"""The most places in a block. A change copies one block, and the row of blocks."""

Key = tuple[datetime, int]


class Place(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A waiting ticket's place: `turn` and `order` sort its lane, `since` says how long it has waited."""

    ticket_id: str
    priority: Priority
    turn: datetime
    since: datetime
    order: int


def place_of(ticket: Ticket) -> Place:
    """Where a waiting ticket stands."""
    return Place(ticket.id, ticket.priority, ticket.turn, ticket.waiting_since, ticket.order)


def by_turn(place: Place) -> Key:
    return (place.turn, place.order)


def by_wait(place: Place) -> Key:
    return (place.since, place.order)


class Row:
    """Places sorted by `key`; never changed, each change gives another row that shares nearly everything with it.

    A requeue may have given two places the same key: they stand in the order in which they came.
    """

    __slots__ = ("_blocks", "_length", "key")

    def __init__(self, key: Callable[[Place], Key], places: Iterable[Place] = ()) -> None:
        """A row of places that are in order already."""
        self.key = key
        each = iter(places)
        self._blocks: tuple[tuple[Place, ...], ...] = tuple(iter(lambda: tuple(islice(each, _BLOCK)), ()))
        self._length = sum(map(len, self._blocks))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Place]:
        return chain.from_iterable(self._blocks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Row) and self._length == other._length and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Row({self.key.__name__}, {list(self)})"

    @property
    def first(self) -> Place | None:
        """The one at the head, if there is any."""
        return self._blocks[0][0] if self._blocks else None

    @property
    def last(self) -> Place | None:
        """The one at the end, if there is any."""
        return self._blocks[-1][-1] if self._blocks else None

    def index(self, place: Place) -> int:
        """How many stand before a place.

        Raises:
            KeyError: it is not there.
        """
        block, i = self._find(place)
        return sum(map(len, self._blocks[:block])) + i

    def add(self, place: Place) -> "Row":
        """The row with one more, behind any that have the same key."""
        key, blocks = self.key, self._blocks
        wanted = key(place)
        if not blocks:
            return self._with(((place,),), 1)
        last = blocks[-1]
        if key(last[-1]) <= wanted:
            more = ((*last, place),) if len(last) < _BLOCK else (last, (place,))
            return self._with((*blocks[:-1], *more), 1)
        at = max(0, bisect_right(blocks, wanted, key=lambda block: key(block[0])) - 1)
        i = bisect_right(blocks[at], wanted, key=key)
        block = (*blocks[at][:i], place, *blocks[at][i:])
        half = len(block) if len(block) <= _BLOCK else len(block) // 2
        parts = (block[:half], block[half:]) if half < len(block) else (block,)
        return self._with((*blocks[:at], *parts, *blocks[at + 1 :]), 1)

    def remove(self, place: Place) -> "Row":
        """The row without a place.

        Raises:
            KeyError: it is not there.
        """
        at, i = self._find(place)
        blocks, block = self._blocks, self._blocks[at]
        rest = (block[:i] + block[i + 1 :],) if len(block) > 1 else ()
        return self._with((*blocks[:at], *rest, *blocks[at + 1 :]), -1)

    def _with(self, blocks: tuple[tuple[Place, ...], ...], more: int) -> "Row":
        row = Row.__new__(Row)
        row.key, row._blocks, row._length = self.key, blocks, self._length + more
        return row

    def _find(self, place: Place) -> tuple[int, int]:
        """The block in which a place stands, and where in it."""
        key, blocks = self.key, self._blocks
        if blocks and blocks[0][0].ticket_id == place.ticket_id:  # whoever is called, mostly
            return 0, 0
        if blocks and blocks[-1][-1].ticket_id == place.ticket_id:  # whoever has just come, mostly
            return len(blocks) - 1, len(blocks[-1]) - 1
        wanted = key(place)
        at = bisect_left(blocks, wanted, key=lambda block: key(block[-1]))
        for number in range(at, len(blocks)):
            block = blocks[number]
            for i in range(bisect_left(block, wanted, key=key), len(block)):
                if block[i].ticket_id == place.ticket_id:
                    return number, i
                if key(block[i]) != wanted:
                    raise KeyError(place.ticket_id)
        raise KeyError(place.ticket_id)

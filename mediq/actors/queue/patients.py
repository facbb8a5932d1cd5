"""Look-up of the queue's patients: the user service is asked once for all who ask at about the same time.

A look-up for the callers of one turn of the loop alone doubles the CPU of drawing a ticket at 64 connections.
"""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

import msgspec

from mediq.actors.users.messages import FindPeople, Person
from mediq.messages.errors import Invalid, NotFound, Unavailable
from mediq.runtime.bus import Bus
from mediq.runtime.context import Context, current

SHARED_SECONDS: Final = 0.02
"""How long later callers wait for a look-up to end before they get one of their own."""


class _Wanted(NamedTuple):
    """A user that a caller asks about, and the caller's context."""

    user_id: str
    answered: asyncio.Future[Person | None]
    context: Context


class Patients:
    """Asks the user service about patients and remembers nothing: an answer holds after the question was asked.

    Callers who come during a look-up share the next one. It begins when the present one has ended, and at the latest
    `SHARED_SECONDS` after that began, so that a look-up that hangs delays nobody else.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._wanted: list[_Wanted] = []
        self._current: asyncio.Task[None] | None = None
        """The look-up whose end later callers wait for."""
        self._running: set[asyncio.Task[None]] = set()

    async def born(self, user_id: str) -> date | None:
        """A patient's date of birth, if it is known.

        Raises:
            NotFound: there is no such user.
            Invalid: on field `user_id`; the user is a device, or staff without a NIK, and no patient.
            Fault: the user service does not answer.
        """
        answered: asyncio.Future[Person | None] = asyncio.get_running_loop().create_future()
        self._wanted.append(_Wanted(user_id, answered, current.get()))
        if self._current is None:
            self._begin()
        person = await answered
        if person is None:
            raise NotFound("Pengguna tidak ditemukan.", code="user-not-found")
        if not person.patient:
            raise Invalid.field("user_id", "bukan pasien: tidak punya NIK")
        return person.born

    def _begin(self) -> None:
        self._current = look = asyncio.create_task(
            self._look()
        )  # runs in the next turn of the loop; until then others join
        self._running.add(look)
        look.add_done_callback(self._running.discard)

    def _end(self, look: asyncio.Task[None] | None) -> None:
        """Let later callers no longer wait for this look-up."""
        if self._current is look:
            self._current = None
            if self._wanted:
                self._begin()

    async def _look(self) -> None:
        look = self._current
        wanted, self._wanted = self._wanted, []
        aged = asyncio.get_running_loop().call_later(SHARED_SECONDS, self._end, look)
        current.set(_shared([each.context for each in wanted]))
        try:
            ids = tuple({each.user_id for each in wanted})
            people = {person.id: person for person in await self._bus.ask(FindPeople(ids=ids))}
        except BaseException as error:
            for each in wanted:
                if not each.answered.done():
                    each.answered.set_exception(error if isinstance(error, Exception) else Unavailable())
            if not isinstance(error, Exception):
                raise
        else:
            for each in wanted:
                if not each.answered.done():  # else the caller has gone
                    each.answered.set_result(people.get(each.user_id))
        finally:
            aged.cancel()
            self._end(look)


def _shared(contexts: Sequence[Context]) -> Context:
    """The context of a shared look-up: the longest deadline, the headers of the first caller, and no principal."""
    deadlines = [context.deadline for context in contexts if context.deadline is not None]
    deadline = max(deadlines) if len(deadlines) == len(contexts) else None
    return msgspec.structs.replace(contexts[0], principal=None, deadline=deadline)

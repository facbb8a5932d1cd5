"""Who the queue's patients are: the user service is asked once for all who want to know while it is being asked."""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import msgspec

from mediq.kernel.bus import Bus
from mediq.kernel.context import Context, current
from mediq.messages.errors import Invalid, NotFound
from mediq.messages.user import FindPeople, Person


class _Wanted(NamedTuple):
    """Whom somebody asks about, and on whose behalf and until when they do."""

    user_id: str
    answered: asyncio.Future[Person | None]
    context: Context


class Patients:
    """Asks the user service about patients, anew each time: what is answered was so after the question.

    One look is under way at a time. Whoever comes meanwhile shares the next one, so that a look costs the less the more
    there is to do.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._wanted: list[_Wanted] = []
        self._looking: asyncio.Task[None] | None = None

    async def born(self, user_id: str) -> date | None:
        """A patient's date of birth, if it is known.

        Raises:
            NotFound: there is no such user.
            Invalid: on field `user_id`, it is no person but a device, or staff who are no patients here.
            Fault: the user service does not answer.
        """
        answered: asyncio.Future[Person | None] = asyncio.get_running_loop().create_future()
        self._wanted.append(_Wanted(user_id, answered, current.get()))
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(
                self._look()
            )  # in the next turn of the loop, until when others may join
        person = await answered
        if person is None:
            raise NotFound("Pengguna tidak ditemukan.", code="user-not-found")
        if not person.patient:
            raise Invalid.field("user_id", "bukan pasien: tidak punya NIK")
        return person.born

    async def _look(self) -> None:
        while self._wanted:
            wanted, self._wanted = self._wanted, []
            current.set(_shared([each.context for each in wanted]))
            try:
                ids = tuple({each.user_id for each in wanted})
                people = {person.id: person for person in await self._bus.ask(FindPeople(ids=ids))}
            except Exception as error:
                for each in wanted:
                    if not each.answered.done():
                        each.answered.set_exception(error)
            else:
                for each in wanted:
                    if not each.answered.done():  # else whoever asked has gone
                        each.answered.set_result(people.get(each.user_id))


def _shared(contexts: Sequence[Context]) -> Context:
    """What one look brings along for all: the time of whoever has the most left, and the trace of the first."""
    deadlines = [context.deadline for context in contexts if context.deadline is not None]
    deadline = max(deadlines) if len(deadlines) == len(contexts) else None
    return msgspec.structs.replace(contexts[0], principal=None, deadline=deadline)

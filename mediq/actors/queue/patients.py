"""Who the queue's patients are: the user service is asked once for all who want to know at about the same time."""

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
"""How long others wait for a look to end before they have one of their own."""


class _Wanted(NamedTuple):
    """Whom somebody asks about, and on whose behalf and until when they do."""

    user_id: str
    answered: asyncio.Future[Person | None]
    context: Context


class Patients:
    """Asks the user service about patients, anew each time: what is answered was so after the question.

    Whoever comes while a look is under way shares the next one, which begins when that has ended, and at the latest a
    moment after it began: one that hangs holds nobody else up.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._wanted: list[_Wanted] = []
        self._young: asyncio.Task[None] | None = None
        """The look for whose end others wait to share the next."""
        self._looks: set[asyncio.Task[None]] = set()

    async def born(self, user_id: str) -> date | None:
        """A patient's date of birth, if it is known.

        Raises:
            NotFound: there is no such user.
            Invalid: on field `user_id`, it is no person but a device, or staff who are no patients here.
            Fault: the user service does not answer.
        """
        answered: asyncio.Future[Person | None] = asyncio.get_running_loop().create_future()
        self._wanted.append(_Wanted(user_id, answered, current.get()))
        if self._young is None:
            self._begin()
        person = await answered
        if person is None:
            raise NotFound("Pengguna tidak ditemukan.", code="user-not-found")
        if not person.patient:
            raise Invalid.field("user_id", "bukan pasien: tidak punya NIK")
        return person.born

    def _begin(self) -> None:
        self._young = look = asyncio.create_task(self._look())  # in the next turn: until then others may join
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    def _end(self, look: asyncio.Task[None] | None) -> None:
        """Wait for this look no longer."""
        if self._young is look:
            self._young = None
            if self._wanted:
                self._begin()

    async def _look(self) -> None:
        look = self._young
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
                if not each.answered.done():  # else whoever asked has gone
                    each.answered.set_result(people.get(each.user_id))
        finally:
            aged.cancel()
            self._end(look)


def _shared(contexts: Sequence[Context]) -> Context:
    """What one look brings along for all: the time of whoever has the most left, and the trace of the first."""
    deadlines = [context.deadline for context in contexts if context.deadline is not None]
    deadline = max(deadlines) if len(deadlines) == len(contexts) else None
    return msgspec.structs.replace(contexts[0], principal=None, deadline=deadline)

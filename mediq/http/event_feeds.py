"""What the event streams say: boards for everyone, the list for staff, a ticket for whoever holds its link."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from mediq.actors.cards.messages import CardStatusChanged
from mediq.actors.queue.projection import QueueProjection
from mediq.actors.queue.rules import public_views as public
from mediq.actors.queue.rules import views
from mediq.actors.queue.rules.events import ClinicChanged, Recorded, type_of
from mediq.actors.queue.rules.state import Queue
from mediq.domain.clinic import Clinic
from mediq.http.sse import Channel, frame
from mediq.messages.errors import NotFound, Unavailable
from mediq.runtime.bus import Bus

_GATHER: Final = 0.1
"""Seconds for which changes are gathered before tickets and the counters' list are worked out again."""


class BoardEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a board is told: what happened, if anything, and how it looks now."""

    event: public.PublicEvent | None = None
    board: public.BoardView


class OperatorList(msgspec.Struct, frozen=True, kw_only=True):
    """The tickets that are not over and whose they are, oldest first."""

    version: int
    tickets: list[views.StaffTicket]


class OwnTicket(views.TicketView, frozen=True, kw_only=True):
    """A patient's own ticket, with the names that their page shows and the number that their service called last."""

    service_name: str
    counter_name: str | None
    last_called: str | None


class EventFeeds:
    """Folds the queue's events into frames, once for each board, however many screens show it."""

    def __init__(self, bus: Bus, clinic: Clinic, clock: Callable[[], datetime]) -> None:
        self._bus = bus
        self._settings = self._clinic = clinic
        self._clock = clock
        self._projection = QueueProjection(bus, on_event=self._happened, on_snapshot=self._jumped)
        self._boards: dict[str, Channel] = {}
        self._services: dict[str, frozenset[str]] = {}
        self._operators = Channel(self._operator_frame, ring=0)
        self._tickets: dict[str, Channel] = {}
        self._shown: dict[str, bytes] = {}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Follow the queue, and the cards that come in, until cancelled."""
        cards = await self._bus.subscribe("ocr.status-changed", self._card_moved)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._projection.run())
                group.create_task(self._work_out())
        finally:
            await cards.close()

    @property
    def ready(self) -> bool:
        """Whether the copy of the queue is there."""
        return self._projection.state is not None

    @property
    def clinic(self) -> Clinic:
        """The clinic as it is now; as the settings have it until the copy of the queue is there."""
        return self._clinic

    def board(self, name: str) -> Channel:
        """The stream of a board.

        Raises:
            NotFound: there is no such board.
            Unavailable: the queue has not been reached yet.
        """
        self._state()
        channel = self._boards.get(public.ALL_SERVICES[0] if name in public.ALL_SERVICES else name)
        if channel is None:
            raise NotFound("Papan ini tidak ada.", code="no-board")
        return channel

    def operators(self) -> Channel:
        """The stream of all counters."""
        self._state()
        return self._operators

    def ticket(self, token: str) -> Channel:
        """The stream of the ticket behind a patient's link; raises as :meth:`board`."""
        views.by_token(self._state(), token)
        if token not in self._tickets:
            self._tickets[token] = Channel(lambda: self._ticket_frame(token), ring=0)
        return self._tickets[token]

    def _state(self) -> Queue:
        if self._projection.state is None:
            raise Unavailable("Antrean belum dapat dihubungi.", retry_after=1)
        return self._projection.state

    def _fit_out(self) -> None:
        """Have a board for each service that the clinic has now, and for no other."""
        self._clinic = clinic = self._settings.changed(self._state().configuration)
        names = [public.ALL_SERVICES[0], *(service.id for service in clinic.services)]
        for name in self._boards.keys() - set(names):
            self._boards.pop(name).close()
        for name in names:
            if name not in self._boards:
                self._boards[name] = Channel(lambda name=name: self._board(name))  # type: ignore[misc]
        self._services = {
            name: frozenset(service.id for service in public.board_services(name, clinic)) for name in names
        }

    def _happened(self, recorded: Recorded) -> None:
        event = recorded.event
        if isinstance(event, ClinicChanged):
            self._fit_out()
            view = public.clinic_view(self._state(), self._clinic, self._clock())
            self._operators.publish(recorded.version, frame(type_of(event), recorded.version, view))
        seen = public.public_event(recorded)
        touched = {getattr(event, "service", None), getattr(event, "from_service", None)} - {None}
        for name, channel in self._boards.items():
            if not touched or touched & self._services[name]:
                board = public.board_view(self._state(), name, self._clinic, self._clock())
                told = BoardEvent(event=seen, board=board)
                channel.publish(recorded.version, frame(type_of(event), recorded.version, told))
        self._changed.set()

    def _card_moved(self, event: CardStatusChanged) -> None:
        if self._operators.streams and self._projection.state is not None:
            version = self._projection.state.version
            self._operators.publish(version, frame("card", version, event))

    def _jumped(self) -> None:
        self._fit_out()
        for channel in (*self._boards.values(), self._operators, *self._tickets.values()):
            channel.reset()

    async def _work_out(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(_GATHER)
            self._changed.clear()
            version = self._state().version
            if self._operators.streams:
                self._operators.publish(version, self._operator_frame())
            for token, channel in list(self._tickets.items()):
                if not channel.streams:
                    del self._tickets[token]
                    self._shown.pop(token, None)
                    continue
                data = self._ticket_frame(token)
                _, _, body = data.partition(b"\n")  # the id alone is no change
                if self._shown.get(token) != body:
                    self._shown[token] = body
                    channel.publish(version, data)

    def _board(self, name: str) -> bytes:
        view = public.board_view(self._state(), name, self._clinic, self._clock())
        return frame("snapshot", view.version, BoardEvent(board=view))

    def _operator_frame(self) -> bytes:
        state = self._state()
        tickets = views.listing(state, self._clinic, self._clock(), views.Filters())
        return frame("snapshot", state.version, OperatorList(version=state.version, tickets=tickets))

    def _ticket_frame(self, token: str) -> bytes:
        state = self._state()
        try:
            view = views.ticket_view(state, views.by_token(state, token).id, self._clinic, self._clock())
        except NotFound as error:
            return frame("gone", state.version, {"detail": error.detail})
        return frame("ticket", state.version, self._own(view))

    def _own(self, view: views.TicketView) -> OwnTicket:
        services = {service.id: service.name for service in self._clinic.services}
        counters = {counter.id: counter.name for counter in self._clinic.counters}
        calls = self._state().line(view.service).calls
        return OwnTicket(
            **msgspec.structs.asdict(view),
            service_name=services.get(view.service, view.service),
            counter_name=counters.get(view.counter, view.counter) if view.counter else None,
            last_called=calls[-1].number if calls else None,
        )

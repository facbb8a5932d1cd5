"""The feeds behind the event streams: a board for everyone, the list for staff, a ticket for its patient."""

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
from mediq.http.feed import Feed, encode_event
from mediq.messages.errors import NotFound, Unavailable
from mediq.runtime.bus import Bus

_GATHER: Final = 0.1
"""Seconds for which changes are gathered before tickets and the staff's list are encoded again."""


class BoardEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a board receives: the event, if there was one, and the board as it is now."""

    event: public.PublicEvent | None = None
    board: public.BoardView


class OperatorList(msgspec.Struct, frozen=True, kw_only=True):
    """The open tickets with their patients, oldest first."""

    version: int
    tickets: list[views.StaffTicket]


class OwnTicket(views.TicketView, frozen=True, kw_only=True):
    """A patient's own ticket, with the names for the ticket's page and the number that the service called last."""

    service_name: str
    counter_name: str | None
    last_called: str | None


class EventFeeds:
    """Encodes the queue's events once for each feed, for any number of clients.

    `clinic` is the clinic of the settings and `clock` gives the time, with a time zone.
    """

    def __init__(self, bus: Bus, clinic: Clinic, clock: Callable[[], datetime]) -> None:
        self._bus = bus
        self._configured = self._clinic = clinic
        self._clock = clock
        self._projection = QueueProjection(bus, on_event=self._on_event, on_snapshot=self._on_snapshot)
        self._boards: dict[str, Feed] = {}
        self._services: dict[str, frozenset[str]] = {}
        self._operators = Feed(self._operator_event, ring=0)
        self._tickets: dict[str, Feed] = {}
        self._shown: dict[str, bytes] = {}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Follow the queue and the status of cards, until cancelled."""
        cards = await self._bus.subscribe("ocr.status-changed", self._on_card)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._projection.run())
                group.create_task(self._publish_changes())
        finally:
            await cards.close()

    @property
    def ready(self) -> bool:
        """Whether the queue's state has been loaded."""
        return self._projection.state is not None

    @property
    def clinic(self) -> Clinic:
        """The clinic as it is now; until the queue's state is loaded, as the settings define it."""
        return self._clinic

    def board(self, name: str) -> Feed:
        """The feed of a board.

        Raises:
            NotFound: the clinic has no such board.
            Unavailable: the queue's state is not loaded yet.
        """
        self._state()
        feed = self._boards.get(public.ALL_SERVICES[0] if name in public.ALL_SERVICES else name)
        if feed is None:
            raise NotFound("Papan ini tidak ada.", code="no-board")
        return feed

    def operators(self) -> Feed:
        """The feed of the staff's list.

        Raises:
            Unavailable: the queue's state is not loaded yet.
        """
        self._state()
        return self._operators

    def ticket(self, token: str) -> Feed:
        """The feed of the ticket whose link carries `token`.

        Raises:
            NotFound: no ticket has this token.
            Unavailable: the queue's state is not loaded yet.
        """
        views.by_token(self._state(), token)
        if token not in self._tickets:
            self._tickets[token] = Feed(lambda: self._ticket_event(token), ring=0)
        return self._tickets[token]

    def _state(self) -> Queue:
        if self._projection.state is None:
            raise Unavailable("Antrean belum dapat dihubungi.", retry_after=1)
        return self._projection.state

    def _match_boards_to_services(self) -> None:
        """Keep one board for each service of the clinic, and close those of services that are gone."""
        self._clinic = clinic = self._configured.changed(self._state().configuration)
        names = [public.ALL_SERVICES[0], *(service.id for service in clinic.services)]
        for name in self._boards.keys() - set(names):
            self._boards.pop(name).close()
        for name in names:
            if name not in self._boards:
                self._boards[name] = Feed(lambda name=name: self._board_snapshot(name))  # type: ignore[misc]
        self._services = {
            name: frozenset(service.id for service in public.board_services(name, clinic)) for name in names
        }

    def _on_event(self, recorded: Recorded) -> None:
        event = recorded.event
        if isinstance(event, ClinicChanged):
            self._match_boards_to_services()
            view = public.clinic_view(self._state(), self._clinic, self._clock())
            self._operators.publish(recorded.version, encode_event(type_of(event), recorded.version, view))
        seen = public.public_event(recorded)
        touched = {getattr(event, "service", None), getattr(event, "from_service", None)} - {None}
        for name, feed in self._boards.items():
            if not touched or touched & self._services[name]:
                board = public.board_view(self._state(), name, self._clinic, self._clock())
                data = BoardEvent(event=seen, board=board)
                feed.publish(recorded.version, encode_event(type_of(event), recorded.version, data))
        self._changed.set()

    def _on_card(self, event: CardStatusChanged) -> None:
        if self._operators.subscribers and self._projection.state is not None:
            version = self._projection.state.version
            self._operators.publish(version, encode_event("card", version, event))

    def _on_snapshot(self) -> None:
        self._match_boards_to_services()
        for feed in (*self._boards.values(), self._operators, *self._tickets.values()):
            feed.reset()

    async def _publish_changes(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(_GATHER)
            self._changed.clear()
            version = self._state().version
            if self._operators.subscribers:
                self._operators.publish(version, self._operator_event())
            for token, feed in list(self._tickets.items()):
                if not feed.subscribers:
                    del self._tickets[token]
                    self._shown.pop(token, None)
                    continue
                data = self._ticket_event(token)
                _, _, body = data.partition(b"\n")  # a new id alone is no change
                if self._shown.get(token) != body:
                    self._shown[token] = body
                    feed.publish(version, data)

    def _board_snapshot(self, name: str) -> bytes:
        view = public.board_view(self._state(), name, self._clinic, self._clock())
        return encode_event("snapshot", view.version, BoardEvent(board=view))

    def _operator_event(self) -> bytes:
        state = self._state()
        tickets = views.listing(state, self._clinic, self._clock(), views.Filters())
        return encode_event("snapshot", state.version, OperatorList(version=state.version, tickets=tickets))

    def _ticket_event(self, token: str) -> bytes:
        state = self._state()
        try:
            view = views.ticket_view(state, views.by_token(state, token).id, self._clinic, self._clock())
        except NotFound as error:
            return encode_event("gone", state.version, {"detail": error.detail})
        return encode_event("ticket", state.version, self._own_ticket(view))

    def _own_ticket(self, view: views.TicketView) -> OwnTicket:
        services = {service.id: service.name for service in self._clinic.services}
        counters = {counter.id: counter.name for counter in self._clinic.counters}
        calls = self._state().line(view.service).calls
        return OwnTicket(
            **msgspec.structs.asdict(view),
            service_name=services.get(view.service, view.service),
            counter_name=counters.get(view.counter, view.counter) if view.counter else None,
            last_called=calls[-1].number if calls else None,
        )

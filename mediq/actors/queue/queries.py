"""What the queue service answers without changing anything: tickets, figures, the clinic, and its log."""

import asyncio
from collections.abc import Callable
from datetime import date, datetime

from mediq.actors.audit.messages import GetQueueAudit, QueueTrail
from mediq.actors.queue import messages as wire
from mediq.actors.queue import statistics_csv as figures
from mediq.actors.queue.command_processor import Ledger
from mediq.actors.queue.event_store.sqlite import Trimmed
from mediq.actors.queue.history import History
from mediq.actors.queue.rules import public_views as public
from mediq.actors.queue.rules import queue, views
from mediq.actors.queue.rules.public_views import ClinicView
from mediq.actors.queue.rules.statistics import Statistics, statistics
from mediq.actors.queue.rules.views import StaffTicket, TicketView
from mediq.domain.clinic import Clinic
from mediq.messages.document import Document
from mediq.messages.health import CheckQueue, Part
from mediq.messages.pagination import Page
from mediq.runtime.actor import Actor, handles
from mediq.runtime.bus import Bus
from mediq.runtime.context import Context
from mediq.runtime.health import probe


class QueueReading(Actor):
    """The part of the queue service that only reads.

    `settings` is the clinic as the settings have it; what an administrator has changed since is in the queue.
    """

    name = "queue"

    def __init__(
        self, bus: Bus, ledger: Ledger, history: History, settings: Clinic, clock: Callable[[], datetime]
    ) -> None:
        super().__init__(bus)
        self._ledger = ledger
        self._history = history
        self._settings = settings
        self._clock = clock

    @handles(wire.GetClinic)
    async def get_clinic(self, message: wire.GetClinic, context: Context) -> ClinicView:
        return self._clinic_view(await self._state())

    @handles(wire.GetStatus)
    async def get_status(self, message: wire.GetStatus, context: Context) -> TicketView:
        state = await self._state()
        return self._view(state, views.current_ticket(state, message.user_id).id)

    @handles(wire.GetTicket)
    async def get_ticket(self, message: wire.GetTicket, context: Context) -> TicketView:
        return self._view(await self._state(), message.id)

    @handles(wire.ListTickets)
    async def list_tickets(self, message: wire.ListTickets, context: Context) -> Page[StaffTicket]:
        filters = views.Filters(
            status=(message.status,) if message.status else None,
            service=message.service,
            counter=message.counter,
            user_id=message.user_id,
        )
        state = await self._state()
        found = views.listing(state, self._clinic(state), self._clock(), filters)
        first = (message.page - 1) * message.limit
        return Page.of(found[first : first + message.limit], page=message.page, limit=message.limit, total=len(found))

    @handles(wire.GetStatistics)
    async def get_statistics(self, message: wire.GetStatistics, context: Context) -> Statistics:
        state = await self._state()
        clinic = self._clinic(state)
        first, last = self._range(message, clinic)
        return await asyncio.to_thread(statistics, state, clinic, first, last, message.service)

    @handles(wire.ExportStatistics)
    async def export_statistics(self, message: wire.ExportStatistics, context: Context) -> Document:
        state = await self._state()
        clinic = self._clinic(state)
        first, last = self._range(message, clinic)
        return await asyncio.to_thread(
            figures.table, state, clinic, first, last, service=message.service, before=message.before
        )

    def _range(self, message: wire.GetStatistics | wire.ExportStatistics, clinic: Clinic) -> tuple[date, date]:
        """The first and the last day that are meant."""
        today = clinic.day(self._clock())
        last = message.to or max(today, message.from_ or today)
        return message.from_ or min(today, last), last

    @handles(wire.GetSnapshot)
    async def get_snapshot(self, message: wire.GetSnapshot, context: Context) -> wire.QueueSnapshot:
        state = await self._state()
        dumped = await asyncio.to_thread(queue.dump, state.without_history())
        return wire.QueueSnapshot(version=state.version, state=dumped)

    @handles(wire.GetEvents)
    async def get_events(self, message: wire.GetEvents, context: Context) -> wire.EventList:
        version = (await self._state()).version
        if message.after_version >= version:
            return wire.EventList(version=version)
        try:
            return wire.EventList(version=version, events=tuple(await self._ledger.events(message.after_version)))
        except Trimmed:
            return wire.EventList(version=version, trimmed=True)

    @handles(GetQueueAudit)
    async def get_audit(self, message: GetQueueAudit, context: Context) -> QueueTrail:
        return await self._history.search(message)

    @handles(CheckQueue)
    async def health(self, message: CheckQueue, context: Context) -> Part:
        log = await probe(self._ledger.ping)
        return Part(status=log.status, parts={"event-log": log})

    async def _state(self) -> queue.Queue:
        """The queue as the log has it; where others append to the log too, what they added is read first."""
        return await self._ledger.fresh()

    def _view(self, state: queue.Queue, ticket_id: str) -> TicketView:
        return views.ticket_view(state, ticket_id, self._clinic(state), self._clock())

    def _clinic(self, state: queue.Queue) -> Clinic:
        return self._settings.changed(state.configuration)

    def _clinic_view(self, state: queue.Queue) -> ClinicView:
        return public.clinic_view(state, self._clinic(state), self._clock())

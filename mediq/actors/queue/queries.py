"""The queries of the queue service: tickets, statistics, the clinic, and the log. None of them changes anything."""

import asyncio
from collections.abc import Callable
from datetime import date, datetime

from mediq.actors.audit.messages import GetQueueAudit, QueueTrail
from mediq.actors.queue import messages, statistics_csv
from mediq.actors.queue.command_processor import CommandProcessor
from mediq.actors.queue.event_store.base import Trimmed
from mediq.actors.queue.history import History
from mediq.actors.queue.rules import public_views, views
from mediq.actors.queue.rules.public_views import ClinicView
from mediq.actors.queue.rules.snapshot import dump
from mediq.actors.queue.rules.state import Queue
from mediq.actors.queue.rules.statistics import Statistics, statistics
from mediq.actors.queue.rules.views import StaffTicket, TicketView
from mediq.domain.clinic import Clinic
from mediq.messages.document import Document
from mediq.messages.health import CheckQueue, ComponentHealth
from mediq.messages.pagination import Page
from mediq.runtime.actor import handles
from mediq.runtime.context import Context
from mediq.runtime.health import probe


class Queries:
    """The part of the queue service that only reads.

    `settings` is the clinic of the settings file; an administrator's changes are in the queue's state.
    """

    def __init__(
        self, processor: CommandProcessor, history: History, settings: Clinic, clock: Callable[[], datetime]
    ) -> None:
        self._processor = processor
        self._history = history
        self._settings = settings
        self._clock = clock

    @handles(messages.GetClinic)
    async def get_clinic(self, message: messages.GetClinic, context: Context) -> ClinicView:
        state = await self._state()
        return public_views.clinic_view(state, self._clinic(state), self._clock())

    @handles(messages.GetStatus)
    async def get_status(self, message: messages.GetStatus, context: Context) -> TicketView:
        state = await self._state()
        return self._view(state, views.current_ticket(state, message.user_id).id)

    @handles(messages.GetTicket)
    async def get_ticket(self, message: messages.GetTicket, context: Context) -> TicketView:
        return self._view(await self._state(), message.id)

    @handles(messages.ListTickets)
    async def list_tickets(self, message: messages.ListTickets, context: Context) -> Page[StaffTicket]:
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

    @handles(messages.GetStatistics)
    async def get_statistics(self, message: messages.GetStatistics, context: Context) -> Statistics:
        state = await self._state()
        clinic = self._clinic(state)
        first, last = self._range(message, clinic)
        return await asyncio.to_thread(statistics, state, clinic, first, last, message.service)

    @handles(messages.ExportStatistics)
    async def export_statistics(self, message: messages.ExportStatistics, context: Context) -> Document:
        state = await self._state()
        clinic = self._clinic(state)
        first, last = self._range(message, clinic)
        return await asyncio.to_thread(
            statistics_csv.table, state, clinic, first, last, service=message.service, before=message.before
        )

    def _range(self, message: messages.GetStatistics | messages.ExportStatistics, clinic: Clinic) -> tuple[date, date]:
        """The first and the last day that the message asks for."""
        today = clinic.day(self._clock())
        last = message.to or max(today, message.from_ or today)
        return message.from_ or min(today, last), last

    @handles(messages.GetSnapshot)
    async def get_snapshot(self, message: messages.GetSnapshot, context: Context) -> messages.QueueSnapshot:
        state = await self._state()
        dumped = await asyncio.to_thread(dump, state.without_history())
        return messages.QueueSnapshot(version=state.version, state=dumped)

    @handles(messages.GetEvents)
    async def get_events(self, message: messages.GetEvents, context: Context) -> messages.EventList:
        version = (await self._state()).version
        if message.after_version >= version:
            return messages.EventList(version=version)
        try:
            return messages.EventList(
                version=version, events=tuple(await self._processor.events(message.after_version))
            )
        except Trimmed:
            return messages.EventList(version=version, trimmed=True)

    @handles(GetQueueAudit)
    async def get_audit(self, message: GetQueueAudit, context: Context) -> QueueTrail:
        return await self._history.search(message)

    @handles(CheckQueue)
    async def health(self, message: CheckQueue, context: Context) -> ComponentHealth:
        log = await probe(self._processor.ping)
        return ComponentHealth(status=log.status, parts={"event-log": log})

    async def _state(self) -> Queue:
        """The queue as the log has it, including events that other processes have appended."""
        return await self._processor.fresh()

    def _view(self, state: Queue, ticket_id: str) -> TicketView:
        return views.ticket_view(state, ticket_id, self._clinic(state), self._clock())

    def _clinic(self, state: Queue) -> Clinic:
        return self._settings.changed(state.configuration)

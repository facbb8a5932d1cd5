"""The handlers of the queue's commands: fetch what the rules need, submit the command, answer with a view."""

import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from typing import Final

from mediq.actors.queue.command_processor import CommandProcessor, Outcome
from mediq.actors.queue.messages import AddRegistered, WithdrawPatient
from mediq.actors.queue.patients import Patients
from mediq.actors.queue.rules import public_views, views
from mediq.actors.queue.rules.commands import (
    AddPatient,
    CallNext,
    Cancel,
    CloseCounter,
    CloseDay,
    Command,
    Configure,
    CounterCommand,
    DayEnd,
    Given,
    OpenCounter,
    Prioritise,
    TicketCommand,
    Undo,
)
from mediq.actors.queue.rules.public_views import BoardCounter, ClinicView
from mediq.actors.queue.rules.ticket import Priority, Status
from mediq.actors.queue.rules.views import TicketView
from mediq.domain.clinic import Clinic
from mediq.domain.idempotency import derive
from mediq.domain.roles import Role
from mediq.messages.errors import Conflict, Forbidden, NotFound
from mediq.messages.registry import Done
from mediq.runtime.actor import handles
from mediq.runtime.context import Context

_PRIORITIES_FOR_ANYONE: Final = (None, Priority.NORMAL, Priority.LOW)
_PLAIN: Final = tuple(each for each in TicketCommand.__subclasses__() if each not in (Prioritise, Cancel))
"""The ticket commands about which the rules need to know nothing more."""


class CommandHandlers:
    """The part of the queue service that changes the queue."""

    def __init__(
        self, processor: CommandProcessor, patients: Patients, settings: Clinic, clock: Callable[[], datetime]
    ) -> None:
        self._processor = processor
        self._patients = patients
        self._settings = settings
        self._clock = clock

    @handles(AddPatient)
    async def add_patient(self, command: AddPatient, context: Context) -> TicketView:
        self._refuse_priority(command, context)
        return await self._add(command, context, await self._patients.born(command.user_id))

    @handles(AddRegistered)
    async def add_registered(self, command: AddRegistered, context: Context) -> TicketView:
        self._refuse_priority(command, context)
        return await self._add(command, context, command.born)

    @handles(*_PLAIN)
    async def change_ticket(self, command: TicketCommand, context: Context) -> TicketView:
        return await self._ticket(command, context, self._given(context))

    @handles(Prioritise)
    async def prioritise(self, command: Prioritise, context: Context) -> TicketView:
        born = None
        ticket = (await self._processor.fresh()).ticket(command.id)
        if ticket is not None and command.priority_reason == "lansia":
            born = await self._patients.born(ticket.user_id)
        return await self._ticket(command, context, self._given(context, born=born))

    @handles(Cancel)
    async def cancel(self, command: Cancel, context: Context) -> TicketView:
        principal = context.principal
        if principal is not None and principal.role is Role.PASIEN:
            ticket = (await self._processor.fresh()).ticket(command.id)
            if ticket is None or ticket.user_id != principal.user_id:
                raise NotFound("Nomor antrean ini tidak ada.", code="no-ticket")
        return await self._ticket(command, context, self._given(context))

    @handles(CallNext)
    async def call_next(self, command: CallNext, context: Context) -> TicketView:
        return await self._ticket(command, context, self._given(context))

    @handles(Undo)
    async def undo(self, command: Undo, context: Context) -> TicketView:
        return await self._ticket(command, context, self._given(context))

    @handles(OpenCounter, CloseCounter)
    async def change_counter(self, command: CounterCommand, context: Context) -> BoardCounter:
        state, _ = await self._submit(command, context, self._given(context))
        return public_views.counter_view(state, command.counter, self._settings.changed(state.configuration))

    @handles(Configure)
    async def configure(self, command: Configure, context: Context) -> ClinicView:
        state, _ = await self._submit(command, context, self._given(context))
        return public_views.clinic_view(state, self._settings.changed(state.configuration), self._clock())

    @handles(CloseDay)
    async def close_day(self, command: CloseDay, context: Context) -> DayEnd:
        _, decision = await self._submit(command, context, self._given(context))
        closed = decision.closed
        return DayEnd(day=closed.day if closed else None, ended=closed.ended if closed else 0)

    @handles(WithdrawPatient)
    async def withdraw(self, message: WithdrawPatient, context: Context) -> Done:
        state = await self._processor.fresh()
        for ticket_id in state.users.get(message.user_id, ()):
            ticket = state.tickets.get(ticket_id)
            if ticket is not None and ticket.status in (Status.WAITING, Status.ON_HOLD):
                given = self._given(context, key=derive(context.key, ticket_id))
                with suppress(Conflict):  # called in this moment: a patient at a counter is served
                    await self._submit(Cancel(id=ticket_id, why="user-deleted"), context, given)
        return Done()

    def _refuse_priority(self, command: AddPatient, context: Context) -> None:
        by_staff = context.principal is not None and context.principal.staff
        if not by_staff and (command.priority not in _PRIORITIES_FOR_ANYONE or command.priority_reason):
            raise Forbidden("Prioritas ditetapkan oleh petugas.", code="priority-by-staff")

    async def _add(self, command: AddPatient, context: Context, born: date | None) -> TicketView:
        given = self._given(context, born=born, ticket_id=secrets.token_hex(16), token=secrets.token_urlsafe(16))
        return await self._ticket(command, context, given)

    def _given(
        self,
        context: Context,
        *,
        key: str | None = None,
        born: date | None = None,
        ticket_id: str = "",
        token: str = "",
    ) -> Given:
        return Given(
            at=self._clock(),
            actor=context.actor,
            role=context.principal.role if context.principal else None,
            key=key or context.key,
            ticket_id=ticket_id,
            token=token,
            born=born,
        )

    async def _submit(self, command: Command, context: Context, given: Given) -> Outcome:
        return await self._processor.submit(command, given, deadline=context.deadline)

    async def _ticket(self, command: Command, context: Context, given: Given) -> TicketView:
        state, decision = await self._submit(command, context, given)
        assert decision.ticket_id is not None, "the command is about a ticket"
        clinic = self._settings.changed(state.configuration)
        return views.ticket_view(state, decision.ticket_id, clinic, self._clock())

"""The queue service: fetch, decide, store, reply. The rules are in `mediq.actors.queue.rules.queue`."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from mediq.actors.queue import messages as wire
from mediq.actors.queue.command_processor import Ledger, Outcome
from mediq.actors.queue.event_store.sqlite import EventLog
from mediq.actors.queue.history import History
from mediq.actors.queue.patients import Patients
from mediq.actors.queue.queries import QueueReading
from mediq.actors.queue.rules import commands, day
from mediq.actors.queue.rules import public_views as public
from mediq.actors.queue.rules.commands import Command
from mediq.actors.queue.rules.events import Recorded
from mediq.actors.queue.rules.public_views import BoardCounter, ClinicView
from mediq.actors.queue.rules.ticket import Priority, Status
from mediq.actors.queue.rules.views import TicketView
from mediq.domain.clinic import Clinic, ClinicConfiguration
from mediq.domain.idempotency import derive
from mediq.domain.roles import Role
from mediq.messages.errors import Conflict, Fault, Forbidden, NotFound
from mediq.messages.registry import Done
from mediq.observability import logging
from mediq.runtime.actor import handles
from mediq.runtime.bus import Bus
from mediq.runtime.context import Context, current
from mediq.runtime.periodic import every

_log = logging.logger("queue")
_ANYONES_PRIORITIES: Final = (None, Priority.NORMAL, Priority.LOW)
_ON_TICKET: Final[dict[type[wire.TicketCommand], type[Any]]] = {
    wire.Recall: commands.Recall,
    wire.Start: commands.Start,
    wire.Complete: commands.Complete,
    wire.Skip: commands.Skip,
    wire.Requeue: commands.Requeue,
    wire.Hold: commands.Hold,
    wire.Resume: commands.Resume,
    wire.Prioritise: commands.Prioritise,
    wire.Transfer: commands.Transfer,
    wire.Cancel: commands.Cancel,
}


class QueueActor(QueueReading):
    """Answers `queue.*`. Many commands are handled at once so that the ledger can commit them together.

    `shared` says that other processes append to the log too.
    """

    concurrency = 128

    def __init__(
        self,
        bus: Bus,
        log: EventLog,
        settings: Clinic,
        *,
        shared: bool,
        cleanup_seconds: float,
        clock: Callable[[], datetime],
    ) -> None:
        ledger = Ledger(log, settings, on_recorded=self._publish, shared=shared)
        super().__init__(bus, ledger, History(log), settings, clock)
        self._cleanup_seconds = cleanup_seconds
        self._patients = Patients(bus)

    async def on_start(self) -> None:
        await self._ledger.restore()
        if self._ledger.state.configuration is not None:
            _log.info("services and counters are those that an administrator saved, not those of the settings")

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ledger.run())
            group.create_task(every(self._cleanup_seconds, self._clean))

    @handles(wire.AddPatient)
    async def add_patient(self, message: wire.AddPatient, context: Context) -> TicketView:
        by_staff = context.principal is not None and context.principal.staff
        if not by_staff and (message.priority not in _ANYONES_PRIORITIES or message.priority_reason):
            raise Forbidden("Prioritas ditetapkan oleh petugas.", code="priority-by-staff")
        born = await self._patients.born(message.user_id)
        return await self._carry_out(
            commands.AddPatient(
                **self._asked(context),
                ticket_id=secrets.token_hex(16),
                token=secrets.token_urlsafe(16),
                user_id=message.user_id,
                service=message.service,
                priority=message.priority,
                priority_reason=message.priority_reason,
                born=born,
                by_staff=by_staff,
            )
        )

    @handles(wire.CallNext)
    async def call_next(self, message: wire.CallNext, context: Context) -> TicketView:
        return await self._carry_out(
            commands.CallNext(
                **self._asked(context),
                counter=message.counter,
                service=message.service,
            )
        )

    @handles(wire.Undo)
    async def undo(self, message: wire.Undo, context: Context) -> TicketView:
        return await self._carry_out(commands.Undo(**self._asked(context), counter=message.counter))

    @handles(wire.OpenCounter)
    async def open_counter(self, message: wire.OpenCounter, context: Context) -> BoardCounter:
        return await self._at_counter(commands.OpenCounter, message, context)

    @handles(wire.CloseCounter)
    async def close_counter(self, message: wire.CloseCounter, context: Context) -> BoardCounter:
        return await self._at_counter(commands.CloseCounter, message, context)

    async def _at_counter(
        self,
        command: type[commands.OpenCounter | commands.CloseCounter],
        message: wire.CounterCommand,
        context: Context,
    ) -> BoardCounter:
        state, _ = await self._submit(command(**self._asked(context), why=message.why, counter=message.counter))
        return public.counter_view(state, message.counter, self._clinic(state))

    @handles(wire.Configure)
    async def configure(self, message: wire.Configure, context: Context) -> ClinicView:
        configuration = ClinicConfiguration(
            name=message.name,
            timezone=message.timezone,
            notice=message.notice,
            services=message.services,
            counters=message.counters,
        )
        command = commands.Configure(
            **self._asked(context), why=message.why, configuration=configuration, revision=message.revision
        )
        state, _ = await self._submit(command)
        return self._clinic_view(state)

    @handles(wire.CloseDay)
    async def close_day(self, message: wire.CloseDay, context: Context) -> wire.DayEnd:
        _, decision = await self._submit(commands.CloseDay(**self._asked(context), why=message.why))
        closed = decision.closed
        return wire.DayEnd(day=closed.day if closed else None, ended=closed.ended if closed else 0)

    async def _on_ticket(self, message: wire.TicketCommand, context: Context, **more: Any) -> TicketView:
        command = _ON_TICKET[type(message)]
        return await self._carry_out(
            command(
                **self._asked(context),
                why=message.why,
                ticket_id=message.id,
                **more,
            )
        )

    @handles(wire.Recall)
    async def recall(self, message: wire.Recall, context: Context) -> TicketView:
        return await self._on_ticket(message, context)

    @handles(wire.Start)
    async def start(self, message: wire.Start, context: Context) -> TicketView:
        return await self._on_ticket(message, context)

    @handles(wire.Complete)
    async def complete(self, message: wire.Complete, context: Context) -> TicketView:
        return await self._on_ticket(message, context)

    @handles(wire.Skip)
    async def skip(self, message: wire.Skip, context: Context) -> TicketView:
        return await self._on_ticket(message, context)

    @handles(wire.Requeue)
    async def requeue(self, message: wire.Requeue, context: Context) -> TicketView:
        return await self._on_ticket(message, context)

    @handles(wire.Hold)
    async def hold(self, message: wire.Hold, context: Context) -> TicketView:
        return await self._on_ticket(message, context)

    @handles(wire.Resume)
    async def resume(self, message: wire.Resume, context: Context) -> TicketView:
        return await self._on_ticket(message, context)

    @handles(wire.Prioritise)
    async def prioritise(self, message: wire.Prioritise, context: Context) -> TicketView:
        ticket = (await self._state()).ticket(message.id)
        born = None
        if ticket is not None and message.priority_reason == "lansia":
            born = await self._patients.born(ticket.user_id)
        return await self._on_ticket(
            message, context, priority=message.priority, priority_reason=message.priority_reason, born=born
        )

    @handles(wire.Transfer)
    async def transfer(self, message: wire.Transfer, context: Context) -> TicketView:
        return await self._on_ticket(message, context, service=message.service)

    @handles(wire.Cancel)
    async def cancel(self, message: wire.Cancel, context: Context) -> TicketView:
        principal = context.principal
        by_patient = principal is not None and principal.role is Role.PASIEN
        if principal is not None and by_patient:
            ticket = (await self._state()).ticket(message.id)
            if ticket is None or ticket.user_id != principal.user_id:
                raise NotFound("Nomor antrean ini tidak ada.", code="no-ticket")
        return await self._on_ticket(message, context, by_patient=by_patient)

    @handles(wire.WithdrawPatient)
    async def withdraw(self, message: wire.WithdrawPatient, context: Context) -> Done:
        state = await self._state()
        for ticket_id in state.users.get(message.user_id, ()):
            ticket = state.tickets.get(ticket_id)
            if ticket is not None and ticket.status in (Status.WAITING, Status.ON_HOLD):
                asked = {**self._asked(context), "key": derive(context.key, ticket_id)}
                with suppress(Conflict):  # called just now: whoever is at the counter is served
                    await self._submit(commands.Cancel(**asked, why="user-deleted", ticket_id=ticket_id))
        return Done()

    def _asked(self, context: Context) -> dict[str, Any]:
        """When, by whom and under which key a command is given."""
        role = context.principal.role if context.principal else None
        return {"at": self._clock(), "actor": context.actor, "role": role, "key": context.key}

    async def _submit(self, command: Command) -> Outcome:
        return await self._ledger.submit(command, deadline=current.get().deadline)

    async def _carry_out(self, command: Command) -> TicketView:
        state, decision = await self._submit(command)
        assert decision.ticket_id is not None, "the command is about a ticket"
        return self._view(state, decision.ticket_id)

    async def _publish(self, recorded: Sequence[Recorded]) -> None:
        """Tell what is safe in the log; whoever misses it finds it there."""
        try:
            for each in recorded:
                await self.bus.publish(each, topic=wire.topic_of(each))
        except Fault as error:
            _log.warning("events not published", code=error.code)

    async def _clean(self) -> None:
        """End the day when it is over, so that nobody waits for ever, and tidy the log."""
        now = self._clock()
        state = await self._state()
        if day.is_over(state, self._clinic(state), now):
            # Decided once more in its turn: someone may have come in the meantime.
            await self._ledger.submit(commands.CloseDay(at=now, actor="system", why="day-over", if_over=True))
        await self._ledger.tidy(now)

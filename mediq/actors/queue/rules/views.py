"""Tickets as their patient and the staff see them; `public_views` holds what anyone may see."""

from datetime import datetime
from itertools import chain
from typing import Annotated

import msgspec

from mediq.actors.queue.rules.estimate import Estimate, estimate_for
from mediq.actors.queue.rules.field_types import (
    ShownServiceId,
    ShownTicketId,
    ShownUserId,
    TicketNumber,
    Token,
)
from mediq.actors.queue.rules.priority import call_order, people_ahead
from mediq.actors.queue.rules.sorted_tickets import place_of
from mediq.actors.queue.rules.state import Queue
from mediq.actors.queue.rules.ticket import ACTIVE, AT_COUNTER, Priority, Status, Ticket
from mediq.domain.clinic import Clinic
from mediq.domain.errors import NotFound
from mediq.domain.instant import Instant

_ENDED_BY_MIDNIGHT = {
    Status.WAITING: Status.CANCELLED,
    Status.ON_HOLD: Status.CANCELLED,
    Status.CALLED: Status.NO_SHOW,
    Status.IN_PROGRESS: Status.COMPLETED,
}


class TicketView(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket. `position` counts from 1 and, like `people_ahead`, is null unless the patient waits."""

    id: ShownTicketId
    number: TicketNumber
    service: ShownServiceId
    status: Annotated[Status, msgspec.Meta(examples=["WAITING"])]
    priority: Annotated[Priority, msgspec.Meta(examples=["NORMAL"])]
    priority_reason: str | None
    counter: str | None
    position: Annotated[int | None, msgspec.Meta(examples=[3])]
    people_ahead: Annotated[int | None, msgspec.Meta(examples=[2])]
    estimated_wait: Estimate | None
    issued_at: Instant
    called_at: Instant | None
    started_at: Instant | None
    finished_at: Instant | None
    token: Token


class StaffTicket(TicketView, frozen=True, kw_only=True):
    """A ticket as staff see it in their list, with its patient's id."""

    user_id: ShownUserId


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """The tickets to list; None means any. Without `status`, tickets that are over are left out."""

    status: tuple[Status, ...] | None = None
    service: str | None = None
    counter: str | None = None
    user_id: str | None = None


def ticket_view(queue: Queue, ticket_id: str, clinic: Clinic, now: datetime) -> TicketView:
    """A ticket of the open or the last day.

    Raises:
        NotFound: `no-ticket`.
    """
    ticket = queue.ticket(ticket_id)
    if ticket is None:
        raise NotFound("Nomor antrean ini tidak ada atau sudah lewat harinya.", code="no-ticket")
    status = ticket.status
    if ticket.day < clinic.day(now):
        status = _ENDED_BY_MIDNIGHT.get(status, status)
    ahead = None
    if status is Status.WAITING:
        ahead = people_ahead(queue.line(ticket.service), place_of(ticket), now, clinic.policy)
    return _view(queue, ticket, status, ahead, clinic, now)


def listing(queue: Queue, clinic: Clinic, now: datetime, filters: Filters) -> list[StaffTicket]:
    """The open day's tickets that pass the filters, oldest first."""
    today = clinic.day(now)
    wanted = filters.status or (*ACTIVE, Status.NO_SHOW)
    found = sorted(
        (
            ticket
            for ticket in chain(queue.tickets.values(), queue.finished.values())
            if ticket.status in wanted
            and ticket.day >= today
            and filters.service in (None, ticket.service)
            and filters.counter in (None, ticket.counter)
            and filters.user_id in (None, ticket.user_id)
        ),
        key=lambda ticket: (ticket.issued_at, ticket.number),
    )
    ahead: dict[str, int] = {}
    for service in {ticket.service for ticket in found if ticket.status is Status.WAITING}:
        for index, place in enumerate(call_order(queue.line(service), now, clinic.policy)):
            ahead[place.ticket_id] = index
    shown = (_view(queue, ticket, ticket.status, ahead.get(ticket.id), clinic, now) for ticket in found)
    return [
        StaffTicket(**msgspec.structs.asdict(view), user_id=ticket.user_id)
        for view, ticket in zip(shown, found, strict=True)
    ]


def by_token(queue: Queue, token: str) -> Ticket:
    """The ticket behind a patient's link.

    Raises:
        NotFound: `no-ticket`.
    """
    ticket = queue.ticket(queue.tokens.get(token, ""))
    if ticket is None:
        raise NotFound("Tautan ini tidak berlaku lagi.", code="no-ticket")
    return ticket


def current_ticket(queue: Queue, user_id: str) -> Ticket:
    """The patient's present ticket: one at a counter, else one waiting or held, else the newest.

    Raises:
        NotFound: `no-ticket`, the patient has none of the open or the last day.
    """
    tickets = [ticket for ticket_id in queue.users.get(user_id, ()) if (ticket := queue.ticket(ticket_id))]
    if not tickets:
        raise NotFound("Pasien ini belum mengambil nomor antrean.", code="no-ticket")
    return max(tickets, key=lambda t: (t.status in AT_COUNTER, t.status in ACTIVE, t.issued_at, t.order))


def _view(queue: Queue, ticket: Ticket, status: Status, ahead: int | None, clinic: Clinic, now: datetime) -> TicketView:
    def local(at: datetime | None) -> datetime | None:
        return None if at is None else clinic.local(at)

    return TicketView(
        id=ticket.id,
        number=ticket.number,
        service=ticket.service,
        status=status,
        priority=ticket.priority,
        priority_reason=ticket.priority_reason,
        counter=ticket.counter,
        position=None if ahead is None else ahead + 1,
        people_ahead=ahead,
        estimated_wait=None if ahead is None else estimate_for(queue, ticket.service, ahead, clinic, now),
        issued_at=clinic.local(ticket.issued_at),
        called_at=local(ticket.called_at),
        started_at=local(ticket.started_at),
        finished_at=local(ticket.finished_at),
        token=ticket.token,
    )

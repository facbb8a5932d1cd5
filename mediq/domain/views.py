"""What others see of the queue: staff whose ticket it is, by id; a patient by a link; the boards by a number alone."""

from collections.abc import Iterable
from datetime import datetime
from itertools import chain

import msgspec

from mediq.domain.clinic import Clinic, Counter, Service
from mediq.domain.errors import NotFound
from mediq.domain.estimate import Estimate, estimate_for
from mediq.domain.events import Event, Recorded, TicketIssued, TicketPrioritised
from mediq.domain.line import place_of
from mediq.domain.priority import call_order, people_ahead
from mediq.domain.state import Queue
from mediq.domain.ticket import ACTIVE, AT_COUNTER, Priority, Status, Ticket

ALL_SERVICES = ("all", "utama")
"""The boards that show every service; any other board is named after its service."""

_ENDED_BY_MIDNIGHT = {
    Status.WAITING: Status.CANCELLED,
    Status.ON_HOLD: Status.CANCELLED,
    Status.CALLED: Status.NO_SHOW,
    Status.IN_PROGRESS: Status.COMPLETED,
}


class TicketView(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket as contract.md has it. `position` counts from 1 and, like `people_ahead`, is null unless waiting."""

    id: str
    number: str
    service: str
    status: Status
    priority: Priority
    priority_reason: str | None
    counter: str | None
    position: int | None
    people_ahead: int | None
    estimated_wait: Estimate | None
    issued_at: datetime
    called_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    token: str


class StaffTicket(TicketView, frozen=True, kw_only=True):
    """A ticket as staff see it in their list: with whose it is."""

    user_id: str


class BoardCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call as a board shows it; `version` is that of its event, so that no call is spoken twice."""

    version: int
    number: str
    service: str
    counter: str
    counter_name: str
    at: datetime


class BoardCounter(msgspec.Struct, frozen=True, kw_only=True):
    """A counter and the number it is busy with, if any."""

    counter: str
    counter_name: str
    open: bool
    number: str | None = None
    service: str | None = None
    status: Status | None = None
    recalls: int = 0


class BoardService(msgspec.Struct, frozen=True, kw_only=True):
    """A service, how many wait for it, and the last number called."""

    id: str
    name: str
    open: bool
    waiting: int
    last_number: str | None


class BoardView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything on a board, without personal data. `calls` are newest first, the huge one first of all."""

    board: str
    version: int
    clinic: str
    at: datetime
    waiting: int
    services: tuple[BoardService, ...]
    counters: tuple[BoardCounter, ...]
    calls: tuple[BoardCall, ...]


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which tickets to list; None means any. Without `status` those that are over are left out."""

    status: tuple[Status, ...] | None = None
    service: str | None = None
    counter: str | None = None
    user_id: str | None = None
    priority: Priority | None = None
    search: str | None = None


class PublicEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded event without who did it, why, for whom, the patient's link, and what gave them priority."""

    version: int
    at: datetime
    event: Event


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
            and filters.priority in (None, ticket.priority)
            and (filters.search or "").upper() in ticket.number
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
    """The ticket a patient means by "mine": one at a counter, else one waiting or held, else the newest.

    Raises:
        NotFound: `no-ticket`, the patient has none of the open or the last day.
    """
    tickets = [ticket for ticket_id in queue.users.get(user_id, ()) if (ticket := queue.ticket(ticket_id))]
    if not tickets:
        raise NotFound("Pasien ini belum mengambil nomor antrean.", code="no-ticket")
    return max(tickets, key=lambda t: (t.status in AT_COUNTER, t.status in ACTIVE, t.issued_at, t.order))


def board_view(queue: Queue, board: str, clinic: Clinic, now: datetime) -> BoardView:
    """What a board shows: of every service (`all`, `utama`), or of the one it is named after.

    Raises:
        NotFound: `no-board`.
    """
    services = board_services(board, clinic)
    ids = {service.id for service in services}
    stale = queue.day is not None and queue.day < clinic.day(now)
    shown = Queue(version=queue.version) if stale else queue
    calls = sorted(
        (call for service in ids for call in shown.line(service).calls),
        key=lambda call: call.version,
        reverse=True,
    )
    names = {counter.id: counter.name for counter in clinic.counters}
    rows = tuple(
        BoardService(
            id=service.id,
            name=service.name,
            open=clinic.is_open(service, now),
            waiting=shown.line(service.id).waiting,
            last_number=calls_of[-1].number if (calls_of := shown.line(service.id).calls) else None,
        )
        for service in services
    )
    return BoardView(
        board=board,
        version=queue.version,
        clinic=clinic.name,
        at=clinic.local(now),
        waiting=sum(row.waiting for row in rows),
        services=rows,
        counters=tuple(_counters(shown, ids, clinic)),
        calls=tuple(
            BoardCall(
                version=call.version,
                number=call.number,
                service=call.service,
                counter=call.counter,
                counter_name=names.get(call.counter, call.counter),
                at=clinic.local(call.at),
            )
            for call in calls[:10]
        ),
    )


def board_services(board: str, clinic: Clinic) -> tuple[Service, ...]:
    """The services a board shows.

    Raises:
        NotFound: `no-board`.
    """
    if board in ALL_SERVICES:
        return clinic.services
    services = tuple(service for service in clinic.services if service.id == board)
    if not services:
        raise NotFound(f"Papan {board} tidak ada.", code="no-board")
    return services


def counter_view(queue: Queue, counter_id: str, clinic: Clinic) -> BoardCounter:
    """A counter and the number it is busy with, whatever service that is of.

    Raises:
        Invalid: on field `counter`, when there is none.
    """
    return _counter(queue, clinic.counter(counter_id))


def public_event(recorded: Recorded) -> PublicEvent:
    """An event as anyone may see it."""
    event = recorded.event
    if isinstance(event, TicketIssued):
        event = msgspec.structs.replace(event, user_id="", token="", priority=Priority.NORMAL, priority_reason=None)
    elif isinstance(event, TicketPrioritised):
        event = msgspec.structs.replace(event, priority=Priority.NORMAL, priority_reason=None)
    return PublicEvent(version=recorded.version, at=recorded.at, event=event)


def _counters(queue: Queue, services: set[str], clinic: Clinic) -> Iterable[BoardCounter]:
    for counter in clinic.counters:
        view = _counter(queue, counter)
        if view.service is not None and view.service not in services:
            view = BoardCounter(counter=view.counter, counter_name=view.counter_name, open=view.open)
        if view.service is not None or not counter.services or services.intersection(counter.services):
            yield view


def _counter(queue: Queue, counter: Counter) -> BoardCounter:
    desk = queue.desk(counter.id)
    ticket = queue.tickets.get(desk.ticket_id or "")
    return BoardCounter(
        counter=counter.id,
        counter_name=counter.name,
        open=desk.open,
        number=ticket.number if ticket else None,
        service=ticket.service if ticket else None,
        status=ticket.status if ticket else None,
        recalls=ticket.recalls if ticket else 0,
    )


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

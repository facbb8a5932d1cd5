"""The views that anyone may see: boards, counters, the clinic, and events without personal data."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

import msgspec

from mediq.actors.queue.rules.events import Event, Recorded, TicketIssued, TicketPrioritised
from mediq.actors.queue.rules.field_types import ShownCounterId, ShownServiceId, TicketNumber
from mediq.actors.queue.rules.state import Queue
from mediq.actors.queue.rules.ticket import Priority, Status
from mediq.domain.clinic import (
    Clinic,
    ClinicName,
    ClosingTime,
    Counter,
    CounterName,
    Letter,
    Notice,
    OpeningTime,
    Service,
    ServiceName,
    TimezoneName,
)
from mediq.domain.errors import NotFound
from mediq.domain.instant import Instant

ALL_SERVICES = ("all", "utama")
"""The boards that show every service; any other board is named after its service."""


class BoardCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call as a board shows it; `version` is that of its event, so that no call is spoken twice."""

    version: int
    number: str
    service: str
    counter: str
    counter_name: str
    at: Instant


class BoardCounter(msgspec.Struct, frozen=True, kw_only=True):
    """A counter and the number it is busy with, if any."""

    counter: ShownCounterId
    counter_name: CounterName
    open: bool
    number: TicketNumber | None = None
    service: ShownServiceId | None = None
    status: Annotated[Status | None, msgspec.Meta(examples=["CALLED"])] = None
    recalls: int = 0


class BoardService(msgspec.Struct, frozen=True, kw_only=True):
    """A service, the number of patients who wait for it, and the last number called."""

    id: str
    name: str
    open: bool
    waiting: int
    last_number: str | None


class BoardView(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of a board, without personal data. `calls` are newest first.

    `notice` is the clinic's running text; where it is empty, a board shows a text of its own.
    """

    board: str
    version: int
    clinic: str
    notice: str
    at: Instant
    waiting: int
    services: tuple[BoardService, ...]
    counters: tuple[BoardCounter, ...]
    calls: tuple[BoardCall, ...]


class PublicEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded event without its actor, reason and patient, without the link to the ticket, and without priority."""

    version: int
    at: Instant
    event: Event


class OfferedService(msgspec.Struct, frozen=True, kw_only=True):
    """A service, its hours, and whether it takes patients now."""

    id: ShownServiceId
    name: ServiceName
    letter: Letter
    opens: OpeningTime | None
    closes: ClosingTime | None
    open: bool


class StaffedCounter(msgspec.Struct, frozen=True, kw_only=True):
    """A counter, its services (all of the clinic's where none is named), and whether somebody works there now."""

    id: ShownCounterId
    name: CounterName
    services: tuple[str, ...]
    open: bool


class ClinicView(msgspec.Struct, frozen=True, kw_only=True):
    """The clinic as kiosks and pages need it; `at` is the time on its clock.

    A change of the clinic names the `revision` that its author has seen, so that it does not undo another change.
    """

    name: ClinicName
    timezone: TimezoneName
    notice: Notice
    at: Instant
    services: tuple[OfferedService, ...]
    counters: tuple[StaffedCounter, ...]
    revision: Annotated[str, msgspec.Meta(examples=["5f0c1d2e3a4b5c6d"])]


def board_view(queue: Queue, board: str, clinic: Clinic, now: datetime) -> BoardView:
    """The view of a board: of every service (`all`, `utama`), or of the service that it is named after.

    Raises:
        NotFound: `no-board`.
    """
    services = board_services(board, clinic)
    ids = {service.id for service in services}
    shown = _of_today(queue, clinic, now)
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
        notice=clinic.notice,
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


def clinic_view(queue: Queue, clinic: Clinic, now: datetime) -> ClinicView:
    """The clinic as it is now."""
    return ClinicView(
        name=clinic.name,
        timezone=clinic.timezone,
        notice=clinic.notice,
        at=clinic.local(now),
        services=tuple(
            OfferedService(**msgspec.structs.asdict(service), open=clinic.is_open(service, now))
            for service in clinic.services
        ),
        counters=tuple(
            StaffedCounter(
                **msgspec.structs.asdict(counter), open=_of_today(queue, clinic, now).counter(counter.id).open
            )
            for counter in clinic.counters
        ),
        revision=clinic.revision,
    )


def counter_view(queue: Queue, counter_id: str, clinic: Clinic) -> BoardCounter:
    """A counter and the number that it is busy with, of whichever service.

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


def _of_today(queue: Queue, clinic: Clinic, now: datetime) -> Queue:
    """The queue, or an empty one when the open day is past and not yet closed."""
    return Queue(version=queue.version) if queue.day is not None and queue.day < clinic.day(now) else queue


def _counters(queue: Queue, services: set[str], clinic: Clinic) -> Iterable[BoardCounter]:
    for counter in clinic.counters:
        view = _counter(queue, counter)
        if view.service is not None and view.service not in services:
            view = BoardCounter(counter=view.counter, counter_name=view.counter_name, open=view.open)
        if view.service is not None or not counter.services or services.intersection(counter.services):
            yield view


def _counter(queue: Queue, counter: Counter) -> BoardCounter:
    counter_state = queue.counter(counter.id)
    ticket = queue.tickets.get(counter_state.ticket_id or "")
    return BoardCounter(
        counter=counter.id,
        counter_name=counter.name,
        open=counter_state.open,
        number=ticket.number if ticket else None,
        service=ticket.service if ticket else None,
        status=ticket.status if ticket else None,
        recalls=ticket.recalls if ticket else 0,
    )

"""A patient's ticket, from drawing the number to the end of the visit."""

from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum

import msgspec


class Status(StrEnum):
    """The state of a ticket; `label` is the word shown to people."""

    WAITING = "WAITING"
    CALLED = "CALLED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    NO_SHOW = "NO_SHOW"
    ON_HOLD = "ON_HOLD"
    CANCELLED = "CANCELLED"

    __hash__ = str.__hash__  # that of Enum is written in Python, and every command calls it many times

    @property
    def label(self) -> str:
        return _LABELS[self]


_LABELS = {
    Status.WAITING: "Menunggu",
    Status.CALLED: "Dipanggil",
    Status.IN_PROGRESS: "Sedang Dilayani",
    Status.COMPLETED: "Selesai",
    Status.NO_SHOW: "Tidak Hadir",
    Status.ON_HOLD: "Ditunda",
    Status.CANCELLED: "Batal",
}

ACTIVE = frozenset({Status.WAITING, Status.CALLED, Status.IN_PROGRESS, Status.ON_HOLD})
"""The visit is not over. A patient has at most one such ticket for a service and day."""

AT_COUNTER = frozenset({Status.CALLED, Status.IN_PROGRESS})
"""A counter is busy with this ticket."""

OVER = frozenset({Status.COMPLETED, Status.CANCELLED})
"""Only an undo can follow. A no-show, in contrast, may come back on the same day."""


class Priority(StrEnum):
    """A patient's priority, the one called soonest first."""

    URGENT = "URGENT"
    HIGH = "HIGH"
    NORMAL = "NORMAL"
    LOW = "LOW"

    __hash__ = str.__hash__  # as above


REASONS: dict[str, Priority] = {
    "darurat": Priority.URGENT,
    "lansia": Priority.HIGH,
    "hamil": Priority.HIGH,
    "disabilitas": Priority.HIGH,
}
"""The reasons for a priority above NORMAL, and the priority each gives."""


class Step(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One part of a visit, at one service: waited since, called, started, finished.

    Waiting lasts from `waiting_since` to `called_at`; service from `started_at`, else `called_at`, to `finished_at`.
    `operator` is the account that called the patient.
    """

    service: str
    counter: str | None = None
    operator: str | None = None
    waiting_since: datetime
    called_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def waiting_seconds(self) -> float | None:
        return None if self.called_at is None else (self.called_at - self.waiting_since).total_seconds()

    @property
    def service_seconds(self) -> float | None:
        began = self.started_at or self.called_at
        return None if began is None or self.finished_at is None else (self.finished_at - began).total_seconds()


class Visit(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A ticket as it is kept after its day: without the patient, with enough for statistics."""

    number: str
    status: Status
    priority: Priority
    issued_at: datetime
    steps: tuple[Step, ...]


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[Visit, ...]).decode


def pack(visits: Iterable[Visit]) -> bytes:
    """Visits as MessagePack: a quarter of the memory, and nothing for the garbage collector to walk."""
    return _pack(tuple(visits))


def unpack(packed: bytes) -> tuple[Visit, ...]:
    """The visits that :func:`pack` packed, in their order."""
    return _unpack(packed)


class Ticket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A ticket as the queue keeps it; `views` makes the forms that others see.

    `turn` (the arrival, unless a requeue moved it), then `order` give its place in line. `waiting_since` is the start
    of the present wait. `steps` are the finished parts of the visit. `version` is that of the last event about the
    ticket: an undo sees by it whether anybody acted in between.
    """

    id: str
    number: str
    service: str
    status: Status = Status.WAITING
    priority: Priority = Priority.NORMAL
    priority_reason: str | None = None
    user_id: str
    token: str
    day: date
    issued_at: datetime
    waiting_since: datetime
    turn: datetime
    order: int
    version: int
    counter: str | None = None
    operator: str | None = None
    called_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    recalls: int = 0
    ended_by_closing: bool = False
    steps: tuple[Step, ...] = ()

    @property
    def letter(self) -> str:
        """The letter of its number."""
        return self.number.partition("-")[0]

    @property
    def first_service(self) -> str:
        """The service that gave the number."""
        return self.steps[0].service if self.steps else self.service

    def step(self, finished_at: datetime | None = None) -> Step:
        """The present part of the visit as a record."""
        return Step(
            service=self.service,
            counter=self.counter,
            operator=self.operator,
            waiting_since=self.waiting_since,
            called_at=self.called_at,
            started_at=self.started_at,
            finished_at=finished_at,
        )

    def visit(self) -> Visit:
        """The ticket as history keeps it. A service that only the closing of the day ended has no duration."""
        served = self.status is Status.COMPLETED and not self.ended_by_closing
        return Visit(
            number=self.number,
            status=self.status,
            priority=self.priority,
            issued_at=self.issued_at,
            steps=(*self.steps, self.step(self.finished_at if served else None)),
        )

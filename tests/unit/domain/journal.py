"""A queue with its log beside it, as the queue service keeps them, and a clinic to run it for."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec

from mediq.domain.clinic import Clinic, Counter, Policy, Service
from mediq.domain.commands import AddPatient, CallNext, Command, Complete, Start
from mediq.domain.events import Recorded
from mediq.domain.queue import EMPTY, Decision, Queue, decide, evolve
from mediq.domain.ticket import Ticket

CLINIC = Clinic(
    name="Klinik Melati",
    timezone="Asia/Makassar",
    services=(
        Service(id="umum", name="Poli Umum", letter="A"),
        Service(id="gigi", name="Poli Gigi", letter="B", opens=time(8), closes=time(20)),
        Service(id="farmasi", name="Farmasi", letter="F"),
    ),
    counters=(
        Counter(id="1", name="Loket 1", services=("umum",)),
        Counter(id="2", name="Loket 2", services=("umum", "gigi")),
        Counter(id="3", name="Loket 3"),
    ),
    policy=Policy(max_wait_minutes=30, recall_limit=2, requeue="after-three", retention_days=3),
)

MORNING = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
"""Nine o'clock on the clinic's clock (WITA), a Monday."""


class Journal:
    """Runs commands and keeps every event; each one goes through its bytes, as in a real log."""

    def __init__(self, clinic: Clinic = CLINIC, at: datetime = MORNING) -> None:
        self.clinic = clinic
        self.queue: Queue = EMPTY
        self.log: list[Recorded] = []
        self.at = at
        self.people = 0

    def do(self, kind: type[Command], **fields: Any) -> Decision:
        """Decide a command at the present time, record it and go on from there."""
        command = kind(**{"at": self.at, "actor": "rina", **fields})
        decision = decide(self.queue, command, self.clinic)
        for recorded in decision.recorded(self.queue.version, command):
            kept = msgspec.msgpack.decode(msgspec.msgpack.encode(recorded), type=Recorded)
            assert kept == recorded
            self.log.append(kept)
            self.queue = evolve(self.queue, kept)
        return decision

    def add(self, service: str = "umum", **fields: Any) -> Ticket:
        """A patient draws a number."""
        self.people += 1
        n = self.people
        names = {"ticket_id": f"t{n}", "token": f"token-{n}", "user_id": f"u{n}"}
        decision = self.do(AddPatient, **{**names, "service": service, **fields})
        assert decision.ticket_id is not None
        return self.ticket(decision.ticket_id)

    def call(self, counter: str = "1", **fields: Any) -> Ticket:
        """A counter calls whoever is next."""
        decision = self.do(CallNext, counter=counter, **fields)
        assert decision.ticket_id is not None
        return self.ticket(decision.ticket_id)

    def serve(self, counter: str = "1", minutes: float = 5) -> Ticket:
        """Call, serve and finish one patient."""
        ticket = self.call(counter)
        self.do(Start, ticket_id=ticket.id)
        self.later(minutes=minutes)
        self.do(Complete, ticket_id=ticket.id)
        return self.ticket(ticket.id)

    def ticket(self, ticket_id: str) -> Ticket:
        """A ticket that is known to be there."""
        ticket = self.queue.ticket(ticket_id)
        assert ticket is not None
        return ticket

    def later(self, **span: float) -> None:
        """Let time pass."""
        self.at += timedelta(**span)

    @property
    def today(self) -> date:
        """The clinic's day."""
        return self.clinic_now.day(self.at)

    @property
    def clinic_now(self) -> Clinic:
        """The clinic as an administrator has left it."""
        return self.clinic.changed(self.queue.premises)


def replayed(log: list[Recorded], queue: Queue = EMPTY) -> Queue:
    """What a log adds up to, from a queue on."""
    for recorded in log:
        if recorded.version > queue.version:
            queue = evolve(queue, recorded)
    return queue

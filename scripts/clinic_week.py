"""A week of events at a fictitious clinic, for screenshots: random patients, served by the rules of the queue."""

import heapq
import itertools
import random
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from mediq.actors.queue.event_store.sqlite import SqliteEventLog
from mediq.actors.queue.rules import commands, queue
from mediq.domain.clinic import DEFAULT, ClinicConfiguration, Counter, Service
from mediq.domain.errors import DomainError

CONFIGURATION = ClinicConfiguration(
    name="Klinik Sehat Sentosa",
    services=(
        Service(id="umum", name="Poli Umum", letter="A"),
        Service(id="gigi", name="Poli Gigi", letter="B"),
        Service(id="kia", name="Poli KIA", letter="C"),
        Service(id="farmasi", name="Farmasi", letter="D"),
    ),
    counters=(
        Counter(id="1", name="Loket 1", services=("umum",)),
        Counter(id="2", name="Loket 2", services=("umum",)),
        Counter(id="3", name="Ruang Gigi", services=("gigi",)),
        Counter(id="4", name="Ruang KIA", services=("kia",)),
        Counter(id="5", name="Farmasi", services=("farmasi",)),
    ),
)
PACE = {"umum": (4.8, 7), "gigi": (13, 11), "kia": (12, 10), "farmasi": (7, 5)}
"""By service: the mean minutes between two arrivals, and the typical minutes of a visit."""
DAYS = 6
OPENS = timedelta(hours=7, minutes=30)
MORNING = timedelta(hours=4, minutes=30)
NO_SHOW = 0.05
REASONS = (None, None, None, None, None, "hamil", "disabilitas")


class Week:
    """Makes the `events` of a week. `state` is the queue after them."""

    def __init__(self, seed: int) -> None:
        self.state = queue.EMPTY
        self.events: list[bytes] = []
        self._rng = random.Random(seed)  # noqa: S311 - nothing secret
        self._order = itertools.count()

    def tell(self, command: commands.Command) -> str | None:
        """Carry out a command. Returns the id of its ticket, or None if the rules refuse it."""
        try:
            decision = queue.decide(self.state, command, DEFAULT.changed(self.state.configuration))
        except DomainError:
            return None
        for recorded in decision.recorded(self.state.version, command):
            self.state = queue.evolve(self.state, recorded)
            self.events.append(msgspec.msgpack.encode(recorded))
        return decision.ticket_id

    def morning(self, begins: datetime, ends: datetime) -> None:
        """A morning at all counters. Patients who still wait at its end go on waiting."""
        for counter in CONFIGURATION.counters:
            self.tell(commands.OpenCounter(at=begins, actor="petugas", counter=counter.id))
        # A heap of (time, a number that keeps the order, what happens, to which counter, service or ticket).
        agenda = [(begins, next(self._order), "free", counter.id) for counter in CONFIGURATION.counters]
        agenda += [(at, next(self._order), "comes", service) for service, at in self._arrivals(begins, ends)]
        heapq.heapify(agenda)
        while agenda and agenda[0][0] < ends:
            at, _, what, target = heapq.heappop(agenda)
            for when, next_what, next_target in self._happens(at, what, target):
                heapq.heappush(agenda, (when, next(self._order), next_what, next_target))

    def _arrivals(self, begins: datetime, ends: datetime) -> Iterator[tuple[str, datetime]]:
        for service, (gap, _) in PACE.items():
            at = begins - timedelta(minutes=10)
            while (at := at + timedelta(minutes=self._rng.expovariate(1 / gap))) < ends:
                yield service, max(at, begins)

    def _happens(self, at: datetime, what: str, target: str) -> Iterator[tuple[datetime, str, str]]:
        rng = self._rng
        if what == "comes":
            command = commands.AddPatient(
                at=at,
                actor="kios",
                ticket_id=secrets.token_urlsafe(16),
                token=secrets.token_urlsafe(16),
                user_id=secrets.token_urlsafe(16),
                service=target,
                priority_reason=rng.choice(REASONS),
                by_staff=True,
            )
            self.tell(command)
        elif what == "free":
            ticket = self.tell(commands.CallNext(at=at, actor="petugas", counter=target))
            if ticket is None:
                yield at + timedelta(seconds=20), "free", target
            elif rng.random() < NO_SHOW:
                yield at + timedelta(minutes=2), "missed", ticket
            else:
                yield at + timedelta(seconds=rng.uniform(15, 60)), "starts", ticket
        elif what == "starts":
            self.tell(commands.Start(at=at, actor="petugas", ticket_id=target))
            _, minutes = PACE[self.state.tickets[target].service]
            yield at + timedelta(minutes=minutes * rng.lognormvariate(-0.1, 0.45)), "done", target
        else:
            counter = self.state.tickets[target].counter
            verb = commands.Skip if what == "missed" else commands.Complete
            self.tell(verb(at=at, actor="petugas", ticket_id=target))
            yield at + timedelta(seconds=rng.uniform(5, 40)), "free", str(counter)


async def write(folder: Path, now: datetime, seed: int = 7) -> str:
    """Fill the event log in a data folder up to `now`. Returns the link token of a patient who waits."""
    week = Week(seed)
    local = now.astimezone(ZoneInfo(CONFIGURATION.timezone))
    today = local.replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - timedelta(days=DAYS)
    week.tell(commands.Configure(at=first, actor="administrator", configuration=CONFIGURATION))
    for day in range(DAYS):
        opens = first + timedelta(days=day) + OPENS
        week.morning(opens, opens + MORNING)
    week.morning(max(local - MORNING, today), local)
    log = SqliteEventLog(folder / "queue.db")
    await log.open()
    await log.append(0, week.events)
    await log.close()
    waiting = [each for each in week.state.tickets.values() if each.service == "umum" and each.counter is None]
    return max(waiting, key=lambda each: each.issued_at).token

"""Days of a clinic as they go: people come, counters serve, nobody is on time."""

import heapq
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

import msgspec

from mediq.domain.clinic import Clinic, Counter, Policy, Service
from mediq.domain.commands import AddPatient, CallNext, Complete, OpenCounter, Skip, Start
from mediq.domain.views import ticket_view
from tests.unit.domain.journal import MORNING, Journal

BUSY = Clinic(
    name="Puskesmas",
    services=(Service(id="umum", name="Poli Umum", letter="A"),),
    counters=(Counter(id="1", name="Loket 1"), Counter(id="2", name="Loket 2")),
    policy=Policy(max_wait_minutes=120),
)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a patient was told on arrival, and what came: minutes, null where nothing was told."""

    finished_before: int
    ahead: int
    low: int | None
    high: int | None
    waited: float


def simulated(
    seed: int, days: int, patients: int, clinic: Clinic = BUSY, no_show: float = 0.05
) -> tuple[Journal, list[Told]]:
    """Run days of so many patients each, and what each of them was told.

    People come most in the first hours; a visit takes a median of 7 minutes (log-normal, sigma 0.45), finding the way
    to the counter half a minute; one in ten is HIGH.
    """
    random, journal, told = Random(seed), Journal(clinic), list[Told]()
    for day in range(days):
        told += _one_day(random, journal, MORNING + timedelta(days=day), patients, no_show)
    return journal, told


def _one_day(random: Random, journal: Journal, morning: datetime, patients: int, no_show: float) -> Iterator[Told]:
    counters = [counter.id for counter in journal.clinic.counters]
    span = patients * 8.5 / len(counters)
    happenings: list[tuple[datetime, int, str, str]] = []
    for n in range(patients):
        minute = span * random.betavariate(1.2, 1.8)
        heapq.heappush(happenings, (morning + timedelta(minutes=minute), n, "arrive", ""))
    promised: dict[str, tuple[int, int, int | None, int | None, datetime]] = {}
    idle, order, done = set(counters), patients, 0
    journal.at = morning
    for counter in counters:
        journal.do(OpenCounter, counter=counter)
    while happenings:
        journal.at, _, what, name = heapq.heappop(happenings)
        if what == "arrive":
            journal.people += 1
            n = journal.people
            ids = {"ticket_id": f"t{n}", "token": f"x{n}", "user_id": f"u{n}"}
            reason = "hamil" if random.random() < 0.1 else None
            journal.do(AddPatient, **ids, priority_reason=reason)
            view = ticket_view(journal.queue, f"t{n}", journal.clinic, journal.at)
            wait = view.estimated_wait
            if view.people_ahead and not reason:
                low, high_end = (wait.low_minutes, wait.high_minutes) if wait else (None, None)
                promised[f"t{n}"] = (done, view.people_ahead, low, high_end, journal.at)
        elif what == "finish":
            counter, ticket_id = name.split("/")
            journal.do(Complete, ticket_id=ticket_id)
            done += 1
            idle.add(counter)
        elif what == "start":
            counter, ticket_id = name.split("/")
            if random.random() < no_show:
                journal.do(Skip, ticket_id=ticket_id)
                idle.add(counter)
            else:
                journal.do(Start, ticket_id=ticket_id)
                end = journal.at + timedelta(minutes=7 * random.lognormvariate(0, 0.45))
                order += 1
                heapq.heappush(happenings, (end, order, "finish", name))
        while idle and journal.queue.line("umum").waiting:
            counter = min(idle)
            idle.remove(counter)
            ticket_id = journal.do(CallNext, counter=counter).ticket_id
            assert ticket_id is not None
            if ticket_id in promised:
                finished, ahead, low, high_end, since = promised.pop(ticket_id)
                waited = (journal.at - since).total_seconds() / 60
                yield Told(finished_before=finished, ahead=ahead, low=low, high=high_end, waited=waited)
            order += 1
            heapq.heappush(happenings, (journal.at + timedelta(seconds=30), order, "start", f"{counter}/{ticket_id}"))

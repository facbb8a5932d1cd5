"""Invariants of the queue under random sequences of commands."""

from collections import defaultdict
from datetime import date, timedelta
from itertools import chain
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import asdict

from mediq.actors.queue.rules import commands
from mediq.actors.queue.rules.events import DayClosed, TicketCalled, TicketIssued
from mediq.actors.queue.rules.public_views import board_view
from mediq.actors.queue.rules.queue import EMPTY, Queue, dump, load
from mediq.actors.queue.rules.sorted_tickets import Place, by_turn, by_wait, place_of
from mediq.actors.queue.rules.statistics import statistics
from mediq.actors.queue.rules.ticket import ACTIVE, AT_COUNTER, OVER, Priority, Status, unpack
from mediq.actors.queue.rules.ticket import REASONS as PRIORITY_OF
from mediq.actors.queue.rules.views import Filters, listing, ticket_view
from mediq.domain.clinic import TIMEZONES, ClinicConfiguration, Counter
from mediq.domain.errors import DomainError
from tests.fixtures.queue.journal import CLINIC, MORNING, Journal, replayed
from tests.fixtures.queue.recount import recount, same

COUNTERS = st.sampled_from([counter.id for counter in CLINIC.counters])
SERVICES = st.sampled_from([service.id for service in CLINIC.services])
ON_TICKET = st.sampled_from([commands.Hold, commands.Cancel, commands.Requeue, commands.Complete])
AT_COUNTER_STEPS = st.sampled_from(
    [
        commands.Start,
        commands.Start,
        commands.Complete,
        commands.Complete,
        commands.Skip,
        commands.Hold,
        commands.Recall,
        commands.Transfer,
        commands.Cancel,
        commands.Undo,
        commands.Undo,
        commands.Undo,
    ]
)
AWAY = (Status.NO_SHOW, Status.ON_HOLD)
ZONES = st.sampled_from([CLINIC.timezone, CLINIC.timezone, *TIMEZONES])
PEOPLE = st.integers(1, 12).map(lambda n: f"u{n}")
REASONS = st.sampled_from([None, None, None, "lansia", "hamil", "darurat"])


class ClinicDays(RuleBasedStateMachine):
    """Days of a clinic, with every command in random order."""

    def __init__(self) -> None:
        super().__init__()
        self.journal = Journal()
        self.snapshots: list[bytes] = [dump(EMPTY)]
        self.keys = 0
        self.night = 0

    def attempt(self, kind: type[Any], **fields: Any) -> None:
        """Do a command, every second one under a key and then once more. A refusal must change nothing."""
        self.keys += 1
        if self.keys % 2:
            fields["key"] = f"k{self.keys}"
        before = self.journal.queue
        try:
            decision = self.journal.do(kind, **fields)
        except DomainError as error:
            refusal: DomainError | None = error
        else:
            refusal = None
        if refusal is not None:
            assert self.journal.queue is before
            assert refusal.detail.endswith(".")
            return
        if self.keys % 2 and decision.events:
            again = self.journal.do(kind, **fields)
            assert again.events == ()
            assert again.ticket_id == decision.ticket_id

    @rule(users=st.lists(PEOPLE, min_size=1, max_size=5), service=SERVICES, reason=REASONS, low=st.booleans())
    def arrive(self, users: list[str], service: str, reason: str | None, low: bool) -> None:
        for user in users:
            self.journal.people += 1
            n = self.journal.people
            self.attempt(
                commands.AddPatient,
                ticket_id=f"t{n}",
                token=f"x{n}",
                user_id=user,
                service=service,
                priority=Priority.LOW if low and reason is None else None,
                priority_reason=reason,
            )

    @rule(counter=COUNTERS, service=st.one_of(st.none(), SERVICES))
    def call_next(self, counter: str, service: str | None) -> None:
        self.attempt(commands.CallNext, counter=counter, service=service)

    @rule(
        counter=COUNTERS,
        steps=st.lists(AT_COUNTER_STEPS, min_size=1, max_size=6),
        seconds=st.sampled_from([1, 20, 300]),
    )
    def work(self, counter: str, steps: list[type[Any]], seconds: int) -> None:
        """Work through steps at a counter; without a patient there, a step calls the next one."""
        for kind in steps:
            self.journal.later(seconds=seconds)
            busy = self.journal.queue.counter(counter).ticket_id
            if kind is commands.Undo:
                self.attempt(kind, counter=counter)
            elif busy is None:
                self.attempt(commands.CallNext, counter=counter)
            elif kind is commands.Transfer:
                self.attempt(kind, id=busy, service=CLINIC.services[len(steps) % 3].id)
            else:
                self.attempt(kind, id=busy)

    @precondition(lambda self: self.journal.queue.tickets)
    @rule(data=st.data(), kind=ON_TICKET)
    def act(self, data: st.DataObject, kind: type[Any]) -> None:
        self.attempt(kind, id=data.draw(st.sampled_from(sorted(self.journal.queue.tickets))))

    @precondition(lambda self: any(t.status in AWAY for t in self.journal.queue.tickets.values()))
    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        away = sorted(t.id for t in self.journal.queue.tickets.values() if t.status in AWAY)
        ticket = self.journal.ticket(data.draw(st.sampled_from(away)))
        kind = commands.Resume if ticket.status is Status.ON_HOLD else commands.Requeue
        self.attempt(kind, id=ticket.id)

    @precondition(lambda self: self.journal.queue.tickets)
    @rule(data=st.data(), service=SERVICES)
    def transfer(self, data: st.DataObject, service: str) -> None:
        ticket_id = data.draw(st.sampled_from(sorted(self.journal.queue.tickets)))
        self.attempt(commands.Transfer, id=ticket_id, service=service)

    @precondition(lambda self: self.journal.queue.tickets)
    @rule(data=st.data(), reason=REASONS, priority=st.sampled_from(list(Priority)), why=st.sampled_from([None, "w"]))
    def prioritise(self, data: st.DataObject, reason: str | None, priority: Priority, why: str | None) -> None:
        ticket_id = data.draw(st.sampled_from(sorted(self.journal.queue.tickets)))
        given = priority if reason is None else PRIORITY_OF[reason]
        self.attempt(commands.Prioritise, id=ticket_id, priority=given, priority_reason=reason, why=why)

    @rule(number=st.integers(1, 20))
    def act_on_any_ticket_there_ever_was(self, number: int) -> None:
        self.attempt(commands.Requeue, id=f"t{number}")

    @rule(counter=COUNTERS)
    def undo(self, counter: str) -> None:
        self.attempt(commands.Undo, counter=counter)

    @rule(counter=COUNTERS, opening=st.booleans())
    def open_or_close(self, counter: str, opening: bool) -> None:
        self.attempt(commands.OpenCounter if opening else commands.CloseCounter, counter=counter)

    @rule(services=st.sets(SERVICES, min_size=1), counters=st.sets(COUNTERS, min_size=1), zone=ZONES)
    def change_the_clinic(self, services: set[str], counters: set[str], zone: str) -> None:
        configuration = ClinicConfiguration(
            name=CLINIC.name,
            timezone=zone,
            services=tuple(service for service in CLINIC.services if service.id in services),
            counters=tuple(
                Counter(id=counter.id, name=counter.name) for counter in CLINIC.counters if counter.id in counters
            ),
        )
        self.attempt(commands.Configure, **msgspec.structs.asdict(configuration))

    @rule(seconds=st.sampled_from([20, 70, 600, 1900]))
    def wait(self, seconds: int) -> None:
        self.journal.later(seconds=seconds)

    @precondition(lambda self: self.journal.queue.day is not None)
    @rule(seconds=st.sampled_from([1, 300, 40_000, 10**9]), user=PEOPLE, service=SERVICES, counter=COUNTERS)
    def work_while_the_clock_is_back(self, seconds: int, user: str, service: str, counter: str) -> None:
        now = self.journal.at
        self.journal.later(seconds=-seconds)
        self.arrive([user], service, None, False)
        self.work(counter, [commands.Start, commands.Complete, commands.Undo], 1)
        self.journal.at = now

    @precondition(lambda self: len(self.journal.log) > self.night + 15)
    @rule(days=st.integers(1, 2), closed=st.booleans())
    def sleep(self, days: int, closed: bool) -> None:
        if closed:
            self.attempt(commands.CloseDay, why="pulang")
        self.journal.at = MORNING + timedelta(days=(self.journal.at - MORNING).days + days)
        self.night = len(self.journal.log)

    @rule()
    def snapshot(self) -> None:
        self.snapshots.append(dump(self.journal.queue))

    @invariant()
    def numbers_run_from_one_without_gap_or_repeat(self) -> None:
        given: defaultdict[tuple[date, str], list[str]] = defaultdict(list)
        for recorded in self.journal.log:
            if isinstance(recorded.event, TicketIssued):
                given[recorded.event.day, recorded.event.number[0]].append(recorded.event.number)
        for (_, letter), numbers in given.items():
            assert numbers == [f"{letter}-{n:03}" for n in range(1, len(numbers) + 1)]

    @invariant()
    def no_ticket_is_lost(self) -> None:
        queue = self.journal.queue
        issued = [r.event for r in self.journal.log if isinstance(r.event, TicketIssued)]
        forgotten = [e for e in issued if self._forgotten(e.day)]
        kept = len(queue.tickets) + len(queue.finished) + sum(len(unpack(packed)) for packed in queue.history.values())
        assert kept == len(issued) - len(forgotten)
        assert not set(queue.tickets) & set(queue.finished)
        assert all(t.status not in OVER for t in queue.tickets.values())
        assert set(queue.tokens.values()) == set(queue.tickets) | set(queue.finished)
        assert sorted(chain(*queue.users.values())) == sorted(queue.tokens.values())

    def _forgotten(self, day: date) -> bool:
        closings = [r.event for r in self.journal.log if isinstance(r.event, DayClosed)]
        return any(day < c.forget_before and day < c.day for c in closings)

    @invariant()
    def lines_and_counters_agree_with_the_tickets(self) -> None:
        queue = self.journal.queue
        assert _in_line(queue) == {
            t.id: (t.service, place_of(t)) for t in queue.tickets.values() if t.status is Status.WAITING
        }
        held = {counter: state.ticket_id for counter, state in queue.counters.items() if state.ticket_id}
        assert held == {t.counter: t.id for t in queue.tickets.values() if t.status in AT_COUNTER}
        assert len(held) == len([t for t in queue.tickets.values() if t.status in AT_COUNTER])
        active = sorted((t.user_id, t.service) for t in queue.tickets.values() if t.status in ACTIVE)
        assert len(set(active)) == len(active), "one active ticket for each patient and service"
        assert sorted(queue.active.values()) == sorted(t.id for t in queue.tickets.values() if t.status in ACTIVE)

    @invariant()
    def active_tickets_and_open_counters_are_of_the_configuration(self) -> None:
        queue, clinic = self.journal.queue, self.journal.clinic_now
        offered = {service.id for service in clinic.services}
        assert {t.service for t in queue.tickets.values() if t.status in ACTIVE} <= offered
        open_counters = {counter for counter, state in queue.counters.items() if state.open}
        assert open_counters <= {counter.id for counter in clinic.counters}

    @invariant()
    def lanes_are_in_order(self) -> None:
        for line in self.journal.queue.lines.values():
            for lane in line.lanes:
                assert list(lane) == sorted(lane, key=by_turn)
            assert list(line.arrivals) == sorted(line.arrivals, key=by_wait)
            assert {p.ticket_id for p in line.arrivals} == {p.ticket_id for lane in line.lanes[1:] for p in lane}

    @invariant()
    def no_ticket_of_another_day_waits(self) -> None:
        queue = self.journal.queue
        assert all(t.day == queue.day for t in queue.tickets.values())

    @invariant()
    def views_can_be_made(self) -> None:
        journal = self.journal
        clinic = journal.clinic_now
        board = board_view(journal.queue, "all", clinic, journal.at)
        rows = listing(journal.queue, clinic, journal.at, Filters())
        assert board.waiting == sum(row.status is Status.WAITING for row in rows)
        for row in rows:
            shown = ticket_view(journal.queue, row.id, clinic, journal.at)
            assert asdict(row) == asdict(shown) | {"user_id": journal.ticket(row.id).user_id}

    def teardown(self) -> None:
        journal = self.journal
        assert replayed(journal.log) == journal.queue
        for data in self.snapshots:
            snapshot = load(data)
            assert replayed(journal.log, snapshot) == journal.queue
        first, last = (journal.clinic.day(MORNING), journal.clinic.day(journal.at) + timedelta(days=1))
        kept = [d for d in _days(first, last) if not self._forgotten(d)]
        if kept:
            counted = recount(journal.log, journal.clinic_now, kept[0], last)
            assert same(statistics(journal.queue, journal.clinic_now, kept[0], last), counted)
        for version, call in ((r.version, r.event) for r in journal.log if isinstance(r.event, TicketCalled)):
            assert call.counter, version


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _in_line(queue: Queue) -> dict[str, tuple[str, Place]]:
    found: dict[str, tuple[str, Place]] = {}
    for service, line in queue.lines.items():
        for place in chain(*line.lanes):
            assert place.ticket_id not in found, "a ticket waits in one place only"
            found[place.ticket_id] = (service, place)
    return found


ClinicDays.TestCase.settings = settings(
    max_examples=150, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestClinicDays = pytest.mark.timeout(110)(ClinicDays.TestCase)

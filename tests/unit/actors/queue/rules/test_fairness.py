"""The order of calls: the fairness rules for any arrivals and any calls."""

from datetime import timedelta
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediq.actors.queue.rules.commands import CallNext, Complete, Hold, Requeue, Resume, Skip, Transfer
from mediq.actors.queue.rules.priority import call_order, next_in_turn, people_ahead
from mediq.actors.queue.rules.sorted_tickets import place_of
from mediq.actors.queue.rules.ticket import Priority, Status, Ticket
from mediq.actors.queue.rules.views import ticket_view
from mediq.actors.queue.rules.waiting_line import Line
from mediq.domain.clinic import Clinic, Counter, Policy, Service
from mediq.domain.errors import NotFound
from tests.fixtures.queue.journal import Journal

POLICY = Policy(max_wait_minutes=30)
ONE_LINE = Clinic(
    name="Satu",
    services=(Service(id="umum", name="Umum", letter="A"),),
    counters=tuple(Counter(id=str(n), name=f"Loket {n}") for n in range(1, 4)),
    policy=POLICY,
)
TWO_LINES = Clinic(
    name="Dua",
    services=(Service(id="umum", name="Umum", letter="A"), Service(id="gigi", name="Gigi", letter="B")),
    counters=(Counter(id="1", name="Loket 1"), Counter(id="2", name="Loket 2", services=("gigi",))),
    policy=POLICY,
)
REASON = {Priority.URGENT: "darurat", Priority.HIGH: "hamil"}
ARRIVAL = st.sampled_from(
    [Priority.URGENT, Priority.HIGH, Priority.HIGH, Priority.NORMAL, Priority.NORMAL, Priority.LOW]
)
STEP = st.one_of(
    st.lists(ARRIVAL, min_size=1, max_size=4), st.sampled_from(["call", "call", "call", "skip", "hold", "back", "wait"])
)


def waiting(journal: Journal, *services: str) -> list[Ticket]:
    return [
        t
        for t in journal.queue.tickets.values()
        if t.status is Status.WAITING and (not services or t.service in services)
    ]


def arrive(journal: Journal, priority: Priority, service: str = "umum") -> Ticket:
    return journal.add(service, priority=priority, priority_reason=REASON.get(priority))


class FairnessCheck:
    """Checks each call against the fairness rules, from the tickets alone."""

    def __init__(self) -> None:
        self.high_run = 0
        self.bound: dict[str, int] = {}

    def call(self, journal: Journal, waiting: list[Ticket], called: Ticket) -> None:
        """Check that `called` was the right one of the tickets that were `waiting`."""
        limit = timedelta(minutes=journal.clinic.policy.max_wait_minutes)
        called = next(t for t in waiting if t.id == called.id)
        overdue = [t for t in waiting if journal.at - t.waiting_since >= limit and t.priority is not Priority.URGENT]
        waits = {p: any(t.priority is p for t in waiting) for p in Priority}
        if waits[Priority.URGENT]:
            assert called.priority is Priority.URGENT
        elif overdue:
            assert called.waiting_since == min(t.waiting_since for t in overdue)
        elif called.priority is Priority.HIGH:
            assert self.high_run < 2 or not waits[Priority.NORMAL], "a third HIGH was called before a waiting NORMAL"
        elif called.priority is Priority.NORMAL:
            assert self.high_run >= 2 or not waits[Priority.HIGH], "NORMAL was called before HIGH"
        else:
            assert not waits[Priority.HIGH]
            assert not waits[Priority.NORMAL]
        if called.priority is Priority.HIGH:
            self.high_run += 1
        elif called.priority is Priority.NORMAL:
            self.high_run = 0
        # Before an overdue ticket come URGENT ones, and those that had waited as long when it became overdue.
        for ticket in overdue:
            longer = sum(t.waiting_since <= ticket.waiting_since for t in overdue)
            self.bound.setdefault(ticket.id, longer)
        if called.priority is not Priority.URGENT:
            for ticket in overdue:
                self.bound[ticket.id] -= 1
                assert self.bound[ticket.id] >= 0, "an overdue ticket was passed over too often"
        self.bound.pop(called.id, None)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=60), st.integers(1, 12))
def test_every_call_is_fair(steps: list[list[Priority] | str], minutes: int) -> None:
    journal, check, away = Journal(ONE_LINE), FairnessCheck(), list[Ticket]()
    for step in steps:
        journal.later(minutes=minutes / 2, seconds=1)
        if isinstance(step, list):
            for priority in step:
                arrive(journal, priority)
                journal.later(seconds=1)
        elif step == "wait":
            journal.later(minutes=minutes * 3)
        elif step == "back" and away:
            ticket = away.pop()
            journal.do(Resume if ticket.status is Status.ON_HOLD else Requeue, id=ticket.id)
            check.bound.pop(ticket.id, None)
        elif step in ("call", "skip", "hold") and (there := waiting(journal)):
            called = journal.call("1")
            check.call(journal, there, called)
            journal.do({"call": Complete, "skip": Skip, "hold": Hold}[step], id=called.id)
            if step != "call":
                away.append(journal.ticket(called.id))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(ARRIVAL, st.sampled_from(["umum", "gigi"])), min_size=5, max_size=30),
    st.lists(st.booleans(), min_size=20, max_size=60),
)
def test_one_counter_of_two_services_calls_as_from_one_line(
    arrivals: list[tuple[Priority, str]], more: list[bool]
) -> None:
    journal, check, coming = Journal(TWO_LINES), FairnessCheck(), iter(arrivals)
    for arriving in more:
        journal.later(minutes=1)
        if arriving or len(waiting(journal)) < 4:
            if (one := next(coming, None)) is not None:
                arrive(journal, *one)
            continue
        there, called = waiting(journal), journal.call("1")
        check.call(journal, there, called)
        journal.do(Complete, id=called.id)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(ARRIVAL, st.sampled_from(["umum", "gigi"])), min_size=5, max_size=40),
    st.lists(st.sampled_from(["arrive", "1", "1", "2"]), max_size=80),
)
def test_a_counter_of_two_services_calls_the_longest_overdue_first(
    arrivals: list[tuple[Priority, str]], order: list[str]
) -> None:
    """Only URGENT goes before an overdue ticket of a service that the counter takes."""
    journal, coming = Journal(TWO_LINES), iter(arrivals)
    taken = {"1": ("umum", "gigi"), "2": ("gigi",)}
    for what in order:
        journal.later(minutes=3)
        if what == "arrive":
            if (one := next(coming, None)) is not None:
                arrive(journal, *one)
            continue
        there = waiting(journal, *taken[what])
        if not there:
            continue
        called = journal.call(what)
        overdue = [t.waiting_since for t in there if journal.at - t.waiting_since >= timedelta(minutes=30)]
        if any(t.priority is Priority.URGENT for t in there):
            assert called.priority is Priority.URGENT
        elif overdue:
            assert called.waiting_since == min(overdue)
        journal.do(Complete, id=called.id)


@settings(max_examples=150, deadline=None)
@given(st.lists(ARRIVAL, max_size=25), st.integers(0, 5), st.integers(0, 60))
def test_the_predicted_order_is_the_order_of_the_calls(arrivals: list[Priority], called: int, minutes: int) -> None:
    journal = Journal(ONE_LINE)
    for priority in arrivals:
        arrive(journal, priority)
        journal.later(seconds=90)
    for _ in range(min(called, len(arrivals))):
        journal.serve(minutes=0.1)
    journal.later(minutes=minutes)
    predicted = [place.ticket_id for place in call_order(journal.queue.line("umum"), journal.at, POLICY)]
    for index, ticket_id in enumerate(predicted):
        view = ticket_view(journal.queue, ticket_id, ONE_LINE, journal.at)
        assert (view.people_ahead, view.position) == (index, index + 1)
    order = []
    while waiting(journal):
        ticket = journal.call("1")
        order.append(ticket.id)
        journal.do(Complete, id=ticket.id)
    assert order == predicted


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(ARRIVAL, st.integers(0, 60), st.integers(0, 60)), max_size=30),
    st.integers(0, 4),
    st.integers(1, 3),
)
def test_people_ahead_is_the_index_in_the_order_of_calls(
    tickets: list[tuple[Priority, int, int]], high_run: int, high_in_a_row: int
) -> None:
    """Also where the order of turns differs from that of waits, as after transfers and requeues."""
    journal = Journal(ONE_LINE)
    line, at, policy = Line(high_run=high_run), journal.at, Policy(max_wait_minutes=30, high_in_a_row=high_in_a_row)
    base = place_of(journal.add())
    for n, (priority, turn, since) in enumerate(tickets):
        line = line.join(
            type(base)(f"x{n}", priority, at - timedelta(minutes=turn), at - timedelta(minutes=since), n % 3)
        )
    order = list(call_order(line, at, policy))
    assert sorted(p.ticket_id for p in order) == sorted(f"x{n}" for n in range(len(tickets)))
    for index, place in enumerate(order):
        assert people_ahead(line, place, at, policy) == index
    first = next_in_turn([line], at, policy)
    assert (order[0] if order else None) == first


def test_after_two_high_a_normal_is_called() -> None:
    journal = Journal(ONE_LINE)
    for priority in [Priority.NORMAL] * 2 + [Priority.HIGH] * 5 + [Priority.LOW, Priority.URGENT]:
        arrive(journal, priority)
    called = [journal.serve(minutes=1).priority.value for _ in range(9)]
    assert called == ["URGENT", "HIGH", "HIGH", "NORMAL", "HIGH", "HIGH", "NORMAL", "HIGH", "LOW"]


def test_two_counters_share_the_count_of_high() -> None:
    journal = Journal(ONE_LINE)
    for priority in [Priority.NORMAL] + [Priority.HIGH] * 3:
        arrive(journal, priority)
    assert [journal.call(str(n)).priority.value for n in (1, 2, 3)] == ["HIGH", "HIGH", "NORMAL"]


def test_a_counter_of_two_services_counts_their_high_together() -> None:
    journal = Journal(TWO_LINES)
    for service in ("umum", "gigi", "umum", "gigi"):
        arrive(journal, Priority.HIGH, service)
    arrive(journal, Priority.NORMAL, "umum")
    assert [journal.serve("1", minutes=1).priority.value for _ in range(4)] == ["HIGH", "HIGH", "NORMAL", "HIGH"]


def test_an_overdue_low_is_called_before_a_normal() -> None:
    journal = Journal(ONE_LINE)
    low = arrive(journal, Priority.LOW)
    journal.later(minutes=29)
    high, normal = arrive(journal, Priority.HIGH), arrive(journal, Priority.NORMAL)
    assert journal.serve(minutes=1).id == high.id
    assert journal.serve(minutes=1).id == low.id
    assert journal.serve(minutes=1).id == normal.id


@pytest.mark.parametrize(("policy", "position"), [("head", 1), ("after-three", 4), ("end", 6)])
def test_a_requeued_patient_waits_where_the_policy_says(
    policy: Literal["head", "after-three", "end"], position: int
) -> None:
    clinic = Clinic(
        name="Satu",
        services=ONE_LINE.services,
        counters=ONE_LINE.counters,
        policy=Policy(requeue=policy),
    )
    journal = Journal(clinic)
    for _ in range(6):
        journal.add()
        journal.later(seconds=10)
    skipped = journal.call("1")
    journal.do(Skip, id=skipped.id)
    journal.do(Requeue, id=skipped.id)
    assert ticket_view(journal.queue, skipped.id, clinic, journal.at).position == position


def test_after_three_counts_the_patients_in_the_order_of_calls() -> None:
    clinic = Clinic(name="Satu", services=ONE_LINE.services, counters=ONE_LINE.counters)
    journal = Journal(clinic)
    skipped = journal.add()
    journal.call("1")
    journal.do(Skip, id=skipped.id)
    for priority in [Priority.HIGH, Priority.NORMAL, Priority.HIGH, Priority.NORMAL]:
        arrive(journal, priority)
    journal.do(Requeue, id=skipped.id)
    order = [journal.serve(minutes=1).id for _ in range(5)]
    assert order.index(skipped.id) == 3


def test_a_transferred_patient_keeps_the_place_of_arrival_at_the_clinic() -> None:
    journal = Journal(TWO_LINES)
    early = journal.add("umum")
    journal.later(minutes=1)
    journal.add("gigi")
    ticket = journal.call("1", service="umum")
    journal.later(minutes=1)
    journal.do(Transfer, id=ticket.id, service="gigi")
    assert ticket.id == early.id
    assert journal.call("2").id == early.id
    assert journal.ticket(early.id).number == "A-001"
    assert journal.ticket(early.id).issued_at == early.issued_at


def test_a_call_without_waiting_patients_is_not_found() -> None:
    journal = Journal(ONE_LINE)
    with pytest.raises(NotFound) as refusal:
        journal.do(CallNext, counter="1")
    assert refusal.value.code == "nobody-waiting"


@given(
    steps=st.lists(st.tuples(st.sampled_from(["add", "add", "call"]), st.integers(-5_000, 5_000)), max_size=60),
)
def test_patients_are_called_in_the_order_of_their_numbers_whatever_the_clocks_say(
    steps: list[tuple[str, int]],
) -> None:
    """Several queue processes write to one log, each by its own clock, and the loser of an append decides later."""
    journal, called = Journal(), list[str]()
    for step, milliseconds in steps:
        now, journal.at = journal.at, journal.at + timedelta(milliseconds=milliseconds)
        if step == "add":
            journal.add()
        elif journal.queue.line("umum").waiting:
            ticket = journal.call("3")
            called.append(ticket.number)
            journal.do(Complete, id=ticket.id)
        journal.at = now + timedelta(seconds=1)
    assert called == [f"A-{n:03}" for n in range(1, len(called) + 1)]
    times = [recorded.at for recorded in journal.log]
    assert times == sorted(times)

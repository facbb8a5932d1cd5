"""Who is called when: the rule of fairness, for any arrivals and any calls."""

from datetime import timedelta

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
HAPPENING = st.one_of(
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


class Judge:
    """Watches a queue's calls and says when one was unfair, knowing nothing but tickets."""

    def __init__(self) -> None:
        self.high_run = 0
        self.bound: dict[str, int] = {}

    def see(self, journal: Journal, there: list[Ticket], called: Ticket) -> None:
        """`there` are those who could have been called, `called` one of them."""
        limit = timedelta(minutes=journal.clinic.policy.max_wait_minutes)
        called = next(t for t in there if t.id == called.id)
        overdue = [t for t in there if journal.at - t.waiting_since >= limit and t.priority is not Priority.URGENT]
        there_is = {p: any(t.priority is p for t in there) for p in Priority}
        if there_is[Priority.URGENT]:
            assert called.priority is Priority.URGENT
        elif overdue:
            assert called.waiting_since == min(t.waiting_since for t in overdue)
        elif called.priority is Priority.HIGH:
            assert self.high_run < 2 or not there_is[Priority.NORMAL], "a third HIGH before a waiting NORMAL"
        elif called.priority is Priority.NORMAL:
            assert self.high_run >= 2 or not there_is[Priority.HIGH], "NORMAL before HIGH without cause"
        else:
            assert not there_is[Priority.HIGH]
            assert not there_is[Priority.NORMAL]
        if called.priority is Priority.HIGH:
            self.high_run += 1
        elif called.priority is Priority.NORMAL:
            self.high_run = 0
        # Once overdue, no more calls (but URGENT) may pass than there were people who had waited as long.
        for ticket in overdue:
            longer = sum(t.waiting_since <= ticket.waiting_since for t in overdue)
            self.bound.setdefault(ticket.id, longer)
        if called.priority is not Priority.URGENT:
            for ticket in overdue:
                self.bound[ticket.id] -= 1
                assert self.bound[ticket.id] >= 0, "waited past the bound"
        self.bound.pop(called.id, None)


@settings(max_examples=150, deadline=None)
@given(st.lists(HAPPENING, max_size=60), st.integers(1, 12))
def test_every_call_is_fair(happenings: list[list[Priority] | str], minutes: int) -> None:
    journal, judge, away = Journal(ONE_LINE), Judge(), list[Ticket]()
    for what in happenings:
        journal.later(minutes=minutes / 2, seconds=1)
        if isinstance(what, list):
            for priority in what:
                arrive(journal, priority)
                journal.later(seconds=1)
        elif what == "wait":
            journal.later(minutes=minutes * 3)
        elif what == "back" and away:
            ticket = away.pop()
            journal.do(Resume if ticket.status is Status.ON_HOLD else Requeue, id=ticket.id)
            judge.bound.pop(ticket.id, None)
        elif what in ("call", "skip", "hold") and (there := waiting(journal)):
            called = journal.call("1")
            judge.see(journal, there, called)
            journal.do({"call": Complete, "skip": Skip, "hold": Hold}[what], id=called.id)
            if what != "call":
                away.append(journal.ticket(called.id))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(ARRIVAL, st.sampled_from(["umum", "gigi"])), min_size=5, max_size=30),
    st.lists(st.booleans(), min_size=20, max_size=60),
)
def test_one_counter_of_two_services_calls_as_from_one_line(
    arrivals: list[tuple[Priority, str]], more: list[bool]
) -> None:
    journal, judge, coming = Journal(TWO_LINES), Judge(), iter(arrivals)
    for arriving in more:
        journal.later(minutes=1)
        if arriving or len(waiting(journal)) < 4:
            if (one := next(coming, None)) is not None:
                arrive(journal, *one)
            continue
        there, called = waiting(journal), journal.call("1")
        judge.see(journal, there, called)
        journal.do(Complete, id=called.id)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(ARRIVAL, st.sampled_from(["umum", "gigi"])), min_size=5, max_size=40),
    st.lists(st.sampled_from(["arrive", "1", "1", "2"]), max_size=80),
)
def test_a_counter_of_two_services_is_as_fair(arrivals: list[tuple[Priority, str]], order: list[str]) -> None:
    """Nobody who is overdue at either service is passed over by a counter that takes them, but for URGENT."""
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
def test_the_foretold_order_is_the_order_of_the_calls(arrivals: list[Priority], called: int, minutes: int) -> None:
    journal = Journal(ONE_LINE)
    for priority in arrivals:
        arrive(journal, priority)
        journal.later(seconds=90)
    for _ in range(min(called, len(arrivals))):
        journal.serve(minutes=0.1)
    journal.later(minutes=minutes)
    foretold = [place.ticket_id for place in call_order(journal.queue.line("umum"), journal.at, POLICY)]
    for index, ticket_id in enumerate(foretold):
        view = ticket_view(journal.queue, ticket_id, ONE_LINE, journal.at)
        assert (view.people_ahead, view.position) == (index, index + 1)
    came = []
    while waiting(journal):
        ticket = journal.call("1")
        came.append(ticket.id)
        journal.do(Complete, id=ticket.id)
    assert came == foretold


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(ARRIVAL, st.integers(0, 60), st.integers(0, 60)), max_size=30),
    st.integers(0, 4),
    st.integers(1, 3),
)
def test_counting_those_ahead_agrees_with_walking_the_line(
    tickets: list[tuple[Priority, int, int]], high_run: int, high_in_a_row: int
) -> None:
    """Also where turns and waits do not run the same way, as after transfers and requeues."""
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


def test_two_high_then_a_normal() -> None:
    journal = Journal(ONE_LINE)
    for priority in [Priority.NORMAL] * 2 + [Priority.HIGH] * 5 + [Priority.LOW, Priority.URGENT]:
        arrive(journal, priority)
    called = [journal.serve(minutes=1).priority.value for _ in range(9)]
    assert called == ["URGENT", "HIGH", "HIGH", "NORMAL", "HIGH", "HIGH", "NORMAL", "HIGH", "LOW"]


def test_high_called_by_two_counters_count_together() -> None:
    journal = Journal(ONE_LINE)
    for priority in [Priority.NORMAL] + [Priority.HIGH] * 3:
        arrive(journal, priority)
    assert [journal.call(str(n)).priority.value for n in (1, 2, 3)] == ["HIGH", "HIGH", "NORMAL"]


def test_high_of_two_services_count_together_at_a_counter_of_both() -> None:
    journal = Journal(TWO_LINES)
    for service in ("umum", "gigi", "umum", "gigi"):
        arrive(journal, Priority.HIGH, service)
    arrive(journal, Priority.NORMAL, "umum")
    assert [journal.serve("1", minutes=1).priority.value for _ in range(4)] == ["HIGH", "HIGH", "NORMAL", "HIGH"]


def test_low_is_called_once_it_has_waited_too_long() -> None:
    journal = Journal(ONE_LINE)
    low = arrive(journal, Priority.LOW)
    journal.later(minutes=29)
    high, normal = arrive(journal, Priority.HIGH), arrive(journal, Priority.NORMAL)
    assert journal.serve(minutes=1).id == high.id
    assert journal.serve(minutes=1).id == low.id
    assert journal.serve(minutes=1).id == normal.id


@pytest.mark.parametrize(("policy", "position"), [("head", 1), ("after-three", 4), ("end", 6)])
def test_a_skipped_patient_comes_back_where_the_clinic_says(policy: str, position: int) -> None:
    clinic = Clinic(
        name="Satu",
        services=ONE_LINE.services,
        counters=ONE_LINE.counters,
        policy=Policy(requeue=policy),  # type: ignore[arg-type]
    )
    journal = Journal(clinic)
    for _ in range(6):
        journal.add()
        journal.later(seconds=10)
    skipped = journal.call("1")
    journal.do(Skip, id=skipped.id)
    journal.do(Requeue, id=skipped.id)
    assert ticket_view(journal.queue, skipped.id, clinic, journal.at).position == position


def test_after_three_counts_those_really_called_first() -> None:
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


def test_a_transferred_patient_stands_by_arrival_at_the_clinic() -> None:
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


def test_nobody_waiting_is_not_found() -> None:
    journal = Journal(ONE_LINE)
    with pytest.raises(NotFound) as refusal:
        journal.do(CallNext, counter="1")
    assert refusal.value.code == "nobody-waiting"


@given(
    coming=st.lists(st.tuples(st.sampled_from(["add", "add", "call"]), st.integers(-5_000, 5_000)), max_size=60),
)
def test_whatever_their_clocks_say_patients_are_called_in_the_order_of_their_numbers(
    coming: list[tuple[str, int]],
) -> None:
    """Several queue processes write to one log, each by a clock of its own, and whoever loses decides again later."""
    journal, called = Journal(), list[str]()
    for what, milliseconds in coming:
        now, journal.at = journal.at, journal.at + timedelta(milliseconds=milliseconds)
        if what == "add":
            journal.add()
        elif journal.queue.line("umum").waiting:
            ticket = journal.call("3")
            called.append(ticket.number)
            journal.do(Complete, id=ticket.id)
        journal.at = now + timedelta(seconds=1)
    assert called == [f"A-{n:03}" for n in range(1, len(called) + 1)]
    times = [recorded.at for recorded in journal.log]
    assert times == sorted(times)

"""The estimated waiting time: a range from measured service times, or none."""

from datetime import timedelta
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediq.actors.queue.rules.commands import CloseCounter, OpenCounter
from mediq.actors.queue.rules.estimate import Estimate, estimate
from mediq.actors.queue.rules.views import ticket_view
from tests.fixtures.queue.journal import Journal
from tests.fixtures.queue.simulation import BUSY, simulated


def shown(journal: Journal) -> Estimate | None:
    """The estimate on the ticket of one more patient."""
    ticket = journal.add()
    return ticket_view(journal.queue, ticket.id, journal.clinic, journal.at).estimated_wait


@pytest.mark.parametrize(
    ("minutes", "counters", "ahead", "low", "high"),
    [
        # Equal visits of 5 minutes: the low end is those ahead, the high end one turn more.
        ([5] * 9, 2, 8, 20, 23),  # a turn is 2.5 minutes: 8 turns, and 9 turns (22.5) rounded up
        ([5] * 9, 1, 8, 40, 45),
        ([5] * 9, 1, 0, 0, 5),
        # The quartiles are 4 and 8 minutes, so one visit deviates by 4 / 1.349 = 2.97 minutes, and one turn at two
        # counters by 1.48. Over four patients that is 1.48 x 1.28 x 2 = 3.8. Four turns of 3 less 3.8, five plus 3.8.
        ([2, 4, 6, 8, 10], 2, 4, 8, 19),
        # The same visits for one patient ahead at one counter: 6 - 3.8 and 12 + 3.8.
        ([2, 4, 6, 8, 10], 1, 1, 2, 16),
        # One very long visit: the median (1) and the quartiles ignore it, the mean (3) lengthens the high end.
        ([1, 1, 1, 1, 11], 1, 3, 3, 12),
    ],
)
def test_the_range_comes_from_service_times_counters_and_people_ahead(
    minutes: list[int], counters: int, ahead: int, low: int, high: int
) -> None:
    seconds = tuple(60.0 * each for each in minutes)
    assert estimate(seconds, counters, ahead) == Estimate(low_minutes=low, high_minutes=high)


@pytest.mark.parametrize(("seconds", "counters"), [((), 2), ((300.0,), 0)])
def test_without_service_times_or_open_counters_there_is_no_estimate(seconds: tuple[float, ...], counters: int) -> None:
    assert estimate(seconds, counters, 3) is None


@given(st.lists(st.floats(1, 7200), min_size=1, max_size=30), st.integers(1, 9), st.integers(0, 300))
def test_the_range_is_not_empty_and_grows_with_people_ahead_and_fewer_counters(
    seconds: list[float], counters: int, ahead: int
) -> None:
    found = estimate(tuple(seconds), counters, ahead)
    longer_line = estimate(tuple(seconds), counters, ahead + 1)
    more_counters = estimate(tuple(seconds), counters + 1, ahead)
    assert found is not None
    assert longer_line is not None
    assert more_counters is not None
    assert 0 <= found.low_minutes < found.high_minutes
    assert longer_line.high_minutes >= found.high_minutes
    assert more_counters.high_minutes <= found.high_minutes


@given(st.integers(1, 120), st.integers(1, 300), st.integers(1, 30))
def test_with_equal_visits_at_one_counter_the_wait_is_the_visits_ahead(minutes: int, ahead: int, visits: int) -> None:
    found = estimate((60.0 * minutes,) * visits, 1, ahead)
    assert found == Estimate(low_minutes=minutes * ahead, high_minutes=minutes * ahead + minutes)


def test_the_first_day_has_no_estimate_before_a_visit_is_finished() -> None:
    journal = Journal(BUSY)
    journal.do(OpenCounter, counter="1")
    assert shown(journal) is None
    journal.serve("1", minutes=6)
    assert shown(journal) == Estimate(low_minutes=0, high_minutes=6)


def test_without_an_open_counter_a_ticket_has_no_estimate() -> None:
    journal = Journal(BUSY)
    for _ in range(6):
        journal.add()
        journal.serve("1")
    journal.do(CloseCounter, counter="1")
    assert shown(journal) is None


def test_early_in_the_day_the_same_hour_of_earlier_days_counts() -> None:
    journal = Journal(BUSY)
    morning = journal.at
    for minutes, hours in ((2, 0), (20, 5)):  # two minutes at nine, twenty at two
        journal.at = morning + timedelta(hours=hours)
        for _ in range(5):
            journal.add()
            journal.serve("1", minutes=minutes)
    journal.at = morning + timedelta(days=1, minutes=1)
    journal.do(OpenCounter, counter="1")
    journal.add()
    assert shown(journal) == Estimate(low_minutes=2, high_minutes=4)
    journal.later(hours=5)
    assert shown(journal) == Estimate(low_minutes=40, high_minutes=60)
    journal.later(hours=3)
    assert shown(journal) is None, "no visit was ever finished in this hour"
    for _ in range(4):
        journal.serve("1", minutes=9)
    journal.add()
    journal.serve("1", minutes=9)
    assert shown(journal) == Estimate(low_minutes=0, high_minutes=9), "five visits finished today are enough"


def test_the_median_error_over_simulated_days_is_under_thirty_percent(capsys: pytest.CaptureFixture[str]) -> None:
    errors, inside, estimated_early, all_early = list[float](), 0, 0, 0
    for seed in range(4):
        _, waits = simulated(seed, days=3, patients=110)
        for wait in waits:
            if wait.finished_before < 20:
                all_early += 1
                estimated_early += wait.low is not None
                continue
            assert wait.low is not None
            assert wait.high is not None
            errors.append(abs((wait.low + wait.high) / 2 - wait.waited) / max(wait.waited, 1))
            inside += wait.low <= wait.waited <= wait.high
    with capsys.disabled():
        print(
            f"\nestimate: median error {median(errors):.1%} over {len(errors)} waits,"
            f" {inside / len(errors):.0%} within the range shown;"
            f" {estimated_early / all_early:.0%} of those before the 20th had an estimate"
        )
    assert len(errors) > 400
    assert median(errors) < 0.30

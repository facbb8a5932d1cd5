"""The waiting time shown: from what was measured, as a range, or not at all."""

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
    """What one more patient is told."""
    ticket = journal.add()
    return ticket_view(journal.queue, ticket.id, journal.clinic, journal.at).estimated_wait


def test_it_is_the_median_times_those_ahead_over_the_open_counters() -> None:
    assert estimate([300.0] * 9, 2, 8) == Estimate(low_minutes=20, high_minutes=23)
    assert estimate([300.0] * 9, 1, 8) == Estimate(low_minutes=40, high_minutes=45)
    assert estimate([300.0] * 9, 1, 0) == Estimate(low_minutes=0, high_minutes=5)


@pytest.mark.parametrize(("seconds", "counters"), [([], 2), ([300.0], 0)])
def test_without_grounds_there_is_none(seconds: list[float], counters: int) -> None:
    assert estimate(seconds, counters, 3) is None


@given(st.lists(st.floats(1, 7200), min_size=1, max_size=30), st.integers(1, 9), st.integers(0, 300))
def test_the_range_holds_the_rule(seconds: list[float], counters: int, ahead: int) -> None:
    told = estimate(seconds, counters, ahead)
    assert told is not None
    rule = median(seconds) / counters * ahead / 60
    assert 0 <= told.low_minutes <= rule + 1e-6
    assert rule - 1e-6 <= told.high_minutes
    assert told.low_minutes < told.high_minutes
    more = estimate(seconds, counters, ahead + 1)
    assert more is not None
    assert more.high_minutes >= told.high_minutes


def test_the_first_day_says_nothing_before_somebody_is_finished() -> None:
    journal = Journal(BUSY)
    journal.do(OpenCounter, counter="1")
    assert shown(journal) is None
    journal.serve("1", minutes=6)
    assert shown(journal) == Estimate(low_minutes=0, high_minutes=6)


def test_a_closed_clinic_says_nothing() -> None:
    journal = Journal(BUSY)
    for _ in range(6):
        journal.add()
        journal.serve("1")
    journal.do(CloseCounter, counter="1")
    assert shown(journal) is None


def test_a_young_day_falls_back_to_the_same_hour_of_the_last_days() -> None:
    journal = Journal(BUSY)
    morning = journal.at
    for minutes, hours in ((2, 0), (20, 5)):  # fast at nine, slow at two
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
    assert shown(journal) is None, "an hour never worked in tells nothing"
    for _ in range(4):
        journal.serve("1", minutes=9)
    journal.add()
    journal.serve("1", minutes=9)
    assert shown(journal) == Estimate(low_minutes=0, high_minutes=9), "five finished today are enough"


def test_the_median_error_over_simulated_days_is_under_thirty_percent(capsys: pytest.CaptureFixture[str]) -> None:
    errors, inside, told_early, all_early = [], 0, 0, 0
    for seed in range(4):
        _, told = simulated(seed, days=3, patients=110)
        for one in told:
            if one.finished_before < 20:
                all_early += 1
                told_early += one.low is not None
                continue
            assert one.low is not None
            assert one.high is not None
            errors.append(abs((one.low + one.high) / 2 - one.waited) / max(one.waited, 1))
            inside += one.low <= one.waited <= one.high
    with capsys.disabled():
        print(
            f"\nestimate: median error {median(errors):.1%} over {len(errors)} waits,"
            f" {inside / len(errors):.0%} within the range shown;"
            f" {told_early / all_early:.0%} of those before the 20th were told one"
        )
    assert len(errors) > 400
    assert median(errors) < 0.30

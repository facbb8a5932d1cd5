"""The priority of a new ticket."""

from datetime import date

import pytest

from mediq.actors.queue.rules.ticket import Priority
from mediq.domain.errors import Invalid
from tests.fixtures.queue.journal import Journal


@pytest.mark.parametrize(
    ("asked", "reason", "born", "given", "why"),
    [
        (None, None, None, "NORMAL", None),
        ("LOW", None, None, "LOW", None),
        (None, None, date(1966, 11, 23), "HIGH", "lansia"),
        (None, None, date(1966, 11, 24), "NORMAL", None),
        ("LOW", None, date(1940, 1, 1), "HIGH", "lansia"),
        ("NORMAL", None, date(1940, 1, 1), "HIGH", "lansia"),
        ("HIGH", None, date(1940, 1, 1), "HIGH", "lansia"),
        ("HIGH", "hamil", date(1999, 1, 1), "HIGH", "hamil"),
        (None, "disabilitas", None, "HIGH", "disabilitas"),
        ("HIGH", "lansia", None, "HIGH", "lansia"),
        ("URGENT", None, date(1940, 1, 1), "URGENT", "darurat"),
        (None, "darurat", None, "URGENT", "darurat"),
    ],
)
def test_the_priority_follows_from_request_reason_and_age(
    journal: Journal, asked: str | None, reason: str | None, born: date | None, given: str, why: str | None
) -> None:
    ticket = journal.add(priority=asked and Priority(asked), priority_reason=reason, born=born)
    assert (ticket.priority.value, ticket.priority_reason) == (given, why)


@pytest.mark.parametrize(
    ("asked", "reason", "born"),
    [
        ("HIGH", None, None),
        ("HIGH", None, date(1999, 1, 1)),
        ("HIGH", "darurat", None),
        ("URGENT", "hamil", None),
        ("NORMAL", "hamil", None),
        (None, "pejabat", None),
        (None, "lansia", date(1999, 1, 1)),
    ],
)
def test_a_priority_without_a_valid_reason_is_refused(
    journal: Journal, asked: str | None, reason: str | None, born: date | None
) -> None:
    with pytest.raises(Invalid) as refusal:
        journal.add(priority=asked and Priority(asked), priority_reason=reason, born=born)
    assert [e.field for e in refusal.value.errors] == ["priority_reason"]

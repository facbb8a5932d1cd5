"""The undo of a counter's last action."""

from typing import Any

import pytest

from mediq.actors.queue.rules.commands import (
    CallNext,
    Cancel,
    Command,
    Complete,
    Hold,
    OpenCounter,
    Recall,
    Requeue,
    Skip,
    Start,
    Transfer,
    Undo,
)
from mediq.actors.queue.rules.events import ActionUndone
from mediq.actors.queue.rules.queue import Queue
from mediq.actors.queue.rules.state import EMPTY_LINE
from mediq.actors.queue.rules.ticket import Status
from tests.fixtures.queue.journal import Journal, refused


def non_empty(queue: Queue, name: str) -> dict[str, Any]:
    """One map of a queue without its empty entries."""
    return {key: value for key, value in getattr(queue, name).items() if value and value != EMPTY_LINE}


UNDOABLE: list[list[tuple[type[Command], dict[str, Any]]]] = [
    [(CallNext, {"counter": "1"})],
    [(CallNext, {"counter": "1"}), (Recall, {})],
    [(CallNext, {"counter": "1"}), (Start, {})],
    [(CallNext, {"counter": "1"}), (Complete, {})],
    [(CallNext, {"counter": "1"}), (Start, {}), (Complete, {})],
    [(CallNext, {"counter": "1"}), (Skip, {})],
    [(CallNext, {"counter": "1"}), (Hold, {})],
    [(CallNext, {"counter": "1"}), (Start, {}), (Hold, {})],
    [(CallNext, {"counter": "1"}), (Cancel, {})],
    [(CallNext, {"counter": "1"}), (Transfer, {"service": "gigi"})],
    [(CallNext, {"counter": "1"}), (Start, {}), (Transfer, {"service": "gigi"})],
]


@pytest.mark.parametrize("reason", [None, "hamil", "darurat"])
@pytest.mark.parametrize("steps", UNDOABLE, ids=lambda steps: "-".join(kind.__name__ for kind, _ in steps))
def test_an_undo_restores_the_queue_before_the_action(
    journal: Journal, steps: list[tuple[type[Command], dict[str, Any]]], reason: str | None
) -> None:
    journal.do(OpenCounter, counter="1")
    ticket = journal.add(priority_reason=reason)
    for _ in range(3):
        journal.add()
    for command, fields in steps[:-1]:
        journal.do(command, **(fields or {"id": ticket.id}))
        journal.later(minutes=2)
    before = journal.queue
    command, fields = steps[-1]
    journal.do(command, **({"id": ticket.id} | fields if command is not CallNext else fields))
    journal.later(seconds=60)
    decision = journal.do(Undo, counter="1")
    assert isinstance(decision.events[0], ActionUndone)
    assert decision.ticket_id == ticket.id
    after = journal.queue
    assert journal.ticket(ticket.id).visit() == before.tickets[ticket.id].visit()
    for name in ("lines", "active", "tokens", "users", "numbers", "finished", "history"):
        assert non_empty(after, name) == non_empty(before, name)
    assert all(not pace.seconds and not pace.finished for pace in after.paces.values())
    assert not any(after.hours.values())
    assert after.counter("1").ticket_id == before.counter("1").ticket_id
    assert refused(journal, Undo, counter="1").code == "nothing-to-undo", "an undo cannot be undone"


def test_an_undo_after_more_than_a_minute_is_refused(journal: Journal) -> None:
    journal.add()
    journal.call("1")
    journal.later(seconds=61)
    assert refused(journal, Undo, counter="1").code == "undo-too-late"


def test_an_undo_takes_back_the_last_action_of_its_own_counter(journal: Journal) -> None:
    first, second = journal.add(), journal.add()
    journal.call("1")
    journal.call("2")
    journal.do(Undo, counter="1")
    assert journal.ticket(first.id).status is Status.WAITING
    assert journal.ticket(second.id).status is Status.CALLED
    assert refused(journal, Undo, counter="3").code == "nothing-to-undo"


def test_an_undo_is_refused_once_the_ticket_or_its_patient_moved_on(journal: Journal) -> None:
    ticket = journal.add(user_id="siti")
    journal.call("1")
    journal.do(Skip, id=ticket.id)
    journal.do(Requeue, id=ticket.id)
    assert refused(journal, Undo, counter="1").code == "undo-superseded"
    journal.call("1")
    journal.do(Complete, id=ticket.id)
    journal.add(user_id="siti")
    assert refused(journal, Undo, counter="1").code == "already-queued"


def test_an_undone_call_is_removed_from_the_boards(journal: Journal) -> None:
    journal.add()
    journal.call("1")
    assert len(journal.queue.line("umum").calls) == 1
    journal.do(Undo, counter="1")
    assert journal.queue.line("umum").calls == ()

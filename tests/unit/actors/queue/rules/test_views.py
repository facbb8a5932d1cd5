"""The views of boards, patients and staff."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from mediq.actors.queue.rules.commands import Complete, Hold, OpenCounter, Skip, Transfer
from mediq.actors.queue.rules.events import TicketIssued
from mediq.actors.queue.rules.public_views import board_view, counter_view, public_event
from mediq.actors.queue.rules.ticket import Status
from mediq.actors.queue.rules.views import Filters, by_token, current_ticket, listing, ticket_view
from mediq.domain.errors import Invalid, NotFound
from tests.fixtures.queue.journal import CLINIC, Journal

TICKET_FIELDS = [
    "id",
    "number",
    "service",
    "status",
    "priority",
    "priority_reason",
    "counter",
    "position",
    "people_ahead",
    "estimated_wait",
    "issued_at",
    "called_at",
    "started_at",
    "finished_at",
    "token",
]


def test_a_ticket_view_has_the_fields_of_the_contract(journal: Journal) -> None:
    journal.add()
    ticket = journal.add(priority_reason="hamil", user_id="3171234567890123")
    view = json.loads(msgspec.json.encode(ticket_view(journal.queue, ticket.id, CLINIC, journal.at)))
    assert list(view) == TICKET_FIELDS
    assert view["issued_at"] == "2026-11-23T09:00:00+08:00"
    assert (view["position"], view["people_ahead"], view["estimated_wait"]) == (1, 0, None)
    assert "3171234567890123" not in str(view)
    journal.serve("1")
    journal.serve("1")
    view = json.loads(msgspec.json.encode(ticket_view(journal.queue, ticket.id, CLINIC, journal.at)))
    assert (view["status"], view["position"], view["people_ahead"], view["counter"]) == ("COMPLETED", None, None, "1")
    assert view["finished_at"] == "2026-11-23T09:05:00+08:00"


def test_a_ticket_of_yesterday_is_shown_as_ended(journal: Journal) -> None:
    waits, called = journal.add(), journal.add()
    journal.call("1")
    journal.later(days=1)
    shown = {t.id: ticket_view(journal.queue, t.id, CLINIC, journal.at) for t in (waits, called)}
    assert [view.status for view in shown.values()] == [Status.NO_SHOW, Status.CANCELLED]
    assert all(view.position is None for view in shown.values())
    assert listing(journal.queue, CLINIC, journal.at, Filters()) == []
    board = board_view(journal.queue, "all", CLINIC, journal.at)
    assert (board.waiting, board.calls, [c.number for c in board.counters]) == (0, (), [None] * 3)
    assert not any(counter.open for counter in board.counters)


def test_boards_show_no_patient_token_or_operator(journal: Journal) -> None:
    for _ in range(3):
        journal.add(user_id=f"siti-{journal.people}", token=f"secret-{journal.people}")
    journal.call("1", actor="budi")
    seen = msgspec.json.encode(board_view(journal.queue, "utama", CLINIC, journal.at)).decode()
    seen += msgspec.json.encode([public_event(r) for r in journal.log]).decode()
    assert "A-001" in seen
    for private in ("siti", "secret", "budi", "rina"):
        assert private not in seen
    issued = public_event(journal.log[0]).event
    assert isinstance(issued, TicketIssued)
    assert journal.log[0].event != issued


def test_a_board_shows_its_own_service(journal: Journal) -> None:
    journal.add("umum")
    journal.add("gigi")
    journal.add("gigi")
    journal.call("2", service="gigi")
    journal.later(seconds=1)
    journal.call("1")
    everything = board_view(journal.queue, "all", CLINIC, journal.at)
    assert [(s.id, s.waiting, s.last_number) for s in everything.services] == [
        ("umum", 0, "A-001"),
        ("gigi", 1, "B-001"),
        ("farmasi", 0, None),
    ]
    assert [call.number for call in everything.calls] == ["A-001", "B-001"]
    assert [(c.counter, c.number, c.open) for c in everything.counters] == [
        ("1", "A-001", True),
        ("2", "B-001", True),
        ("3", None, False),
    ]
    gigi = board_view(journal.queue, "gigi", CLINIC, journal.at)
    assert (gigi.waiting, [call.counter_name for call in gigi.calls]) == (1, ["Loket 2"])
    assert [counter.counter for counter in gigi.counters] == ["2", "3"]
    assert gigi.version == journal.queue.version
    with pytest.raises(NotFound):
        board_view(journal.queue, "jantung", CLINIC, journal.at)


def test_a_board_shows_the_last_ten_calls(journal: Journal) -> None:
    for _ in range(15):
        journal.add()
        journal.serve("1")
    calls = board_view(journal.queue, "all", CLINIC, journal.at).calls
    assert [call.number for call in calls] == [f"A-{n:03}" for n in range(15, 5, -1)]
    assert len({call.version for call in calls}) == 10


def test_the_list_is_oldest_first_and_can_be_filtered(journal: Journal) -> None:
    for service in ("umum", "gigi", "umum", "umum"):
        journal.add(service)
        journal.later(minutes=1)
    journal.do(Hold, id="t4")
    journal.serve("1")

    def numbers(**filters: Any) -> list[str]:
        return [v.number for v in listing(journal.queue, CLINIC, journal.at, Filters(**filters))]

    assert numbers() == ["B-001", "A-002", "A-003"]
    assert numbers(status=tuple(Status)) == ["A-001", "B-001", "A-002", "A-003"]
    assert numbers(status=(Status.ON_HOLD,)) == ["A-003"]
    assert numbers(service="gigi") == ["B-001"]
    assert numbers(user_id="u2") == ["B-001"]
    assert numbers(status=tuple(Status), counter="1") == ["A-001"]


def test_a_token_finds_its_ticket_through_the_next_day(journal: Journal) -> None:
    ticket = journal.add()
    assert by_token(journal.queue, ticket.token).id == ticket.id
    journal.serve("1")
    assert by_token(journal.queue, ticket.token).status is Status.COMPLETED
    journal.later(days=1)
    journal.add()
    assert by_token(journal.queue, ticket.token).id == ticket.id
    journal.later(days=1)
    journal.add()
    for token in (ticket.token, "guess", ""):
        with pytest.raises(NotFound):
            by_token(journal.queue, token)


def test_a_patients_current_ticket_is_the_one_at_a_counter_or_the_newest(journal: Journal) -> None:
    first = journal.add("umum", user_id="siti")
    journal.later(minutes=1)
    second = journal.add("gigi", user_id="siti")
    assert current_ticket(journal.queue, "siti").id == second.id
    journal.call("1")
    assert current_ticket(journal.queue, "siti").id == first.id
    journal.do(Complete, id=first.id)
    assert current_ticket(journal.queue, "siti").id == second.id
    journal.call("2")
    journal.do(Skip, id=second.id)
    assert current_ticket(journal.queue, "siti").id == second.id
    with pytest.raises(NotFound):
        current_ticket(journal.queue, "budi")


def test_a_transfer_moves_the_patient_between_boards(journal: Journal) -> None:
    ticket = journal.add("umum")
    journal.do(OpenCounter, counter="1")
    journal.do(Transfer, id=ticket.id, service="gigi")
    waiting = {s.id: s.waiting for s in board_view(journal.queue, "all", CLINIC, journal.at).services}
    assert waiting == {"umum": 0, "gigi": 1, "farmasi": 0}


def test_a_board_shows_the_open_services(journal: Journal) -> None:
    journal.later(hours=11)
    open_now = {s.id: s.open for s in board_view(journal.queue, "all", CLINIC, journal.at).services}
    assert open_now == {"umum": True, "gigi": False, "farmasi": True}
    assert journal.clinic.local(journal.at) - journal.at == timedelta()


def test_only_staff_see_the_patient_of_a_ticket(journal: Journal) -> None:
    ticket = journal.add(user_id="siti")
    [row] = listing(journal.queue, CLINIC, journal.at, Filters())
    assert row.user_id == "siti"
    assert "user_id" not in msgspec.to_builtins(ticket_view(journal.queue, ticket.id, CLINIC, journal.at))


def test_a_counter_view_shows_its_ticket(journal: Journal) -> None:
    journal.add("gigi")
    journal.call("2")
    seen = counter_view(journal.queue, "2", CLINIC)
    assert (seen.counter_name, seen.open, seen.number, seen.service) == ("Loket 2", True, "B-001", "gigi")
    assert not counter_view(journal.queue, "1", CLINIC).open
    with pytest.raises(Invalid):
        counter_view(journal.queue, "99", CLINIC)

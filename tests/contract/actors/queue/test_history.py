"""The audit trail's search of the event log, newest entry first: each matching event is found once, on every log."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from mediq.actors.audit.messages import GetQueueAudit, QueueEntry
from mediq.actors.queue.command_processor import CommandProcessor
from mediq.actors.queue.event_store.base import EventLog
from mediq.actors.queue.history import History, last_before
from mediq.actors.queue.messages import topic_of
from mediq.actors.queue.rules import commands
from mediq.actors.queue.rules.commands import Command, Given
from mediq.actors.queue.rules.events import Recorded, TicketIssued
from mediq.actors.queue.rules.ticket import Priority
from mediq.domain.clinic import ClinicConfiguration
from mediq.domain.roles import Role
from tests.fixtures.queue.journal import CLINIC, Journal

DAYS = 3


@pytest.fixture
async def journal(log: EventLog) -> Journal:
    """Three days of a clinic with all their events in the log."""
    journal = Journal()
    for _ in range(DAYS):
        for n in range(8):
            journal.add(
                user_id=f"user-{n % 5}", service="umum" if n % 2 else "gigi", actor=f"user-{n % 5}", role=Role.PASIEN
            )
            journal.later(minutes=1)
        journal.serve("1")
        called = journal.call("2", actor="budi", role=Role.OPERATOR)
        journal.do(commands.Skip, id=called.id, actor="budi", role=Role.OPERATOR, why="tidak menjawab")
        waiting = next(t for t in journal.queue.tickets.values() if t.status == "WAITING")
        journal.do(
            commands.Prioritise,
            id=waiting.id,
            priority=Priority.HIGH,
            priority_reason="hamil",
            actor="budi",
            role=Role.OPERATOR,
        )
        journal.do(commands.CloseDay, actor="system", why="day-over")
        journal.later(days=1)
    await log.append(0, [msgspec.msgpack.encode(each) for each in journal.log])
    return journal


async def everything(history: History, **wanted: Any) -> list[QueueEntry]:
    """Every entry that matches, page after page."""
    found: list[QueueEntry] = []
    before = None
    while True:
        trail = await history.search(GetQueueAudit(**wanted, before=before))
        found += trail.entries
        if trail.next is None:
            return found
        assert before is None or trail.next < before, "the next page begins no further back"
        before = trail.next


def versions(found: Sequence[QueueEntry]) -> list[int]:
    return [each.version for each in found]


@pytest.mark.parametrize("limit", [1, 7, 1000])
@pytest.mark.parametrize("searched", [1, 10, 100_000])
async def test_every_event_is_found_once_and_newest_first(
    log: EventLog, journal: Journal, limit: int, searched: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediq.actors.queue.history._SEARCHED", searched)
    monkeypatch.setattr("mediq.actors.queue.history._PAGE", 9)
    found = await everything(History(log), limit=limit)
    assert versions(found) == list(range(len(journal.log), 0, -1))
    logged = {each.version: each for each in journal.log}
    for version, entry in ((each.version, each.entry) for each in found):
        recorded = logged[version]
        assert (entry.at, entry.action, entry.ref) == (recorded.at, topic_of(recorded), str(version))
        assert (entry.actor, entry.role) == (None if recorded.actor == "system" else recorded.actor, recorded.role)


async def test_an_entry_names_actor_role_subject_and_reason(log: EventLog, journal: Journal) -> None:
    found = {each.entry.action: each.entry for each in await everything(History(log), limit=1000)}
    issued, skipped = found["queue.ticket-issued"], found["queue.ticket-skipped"]
    assert (issued.actor, issued.role, issued.subject) == ("user-0", "PASIEN", "user-0")
    assert (skipped.actor, skipped.role, skipped.why) == ("budi", "OPERATOR", "tidak menjawab")
    assert skipped.subject is not None
    assert skipped.subject.startswith("t")
    assert found["queue.ticket-prioritised"].why == "hamil"
    assert found["queue.counter-opened"].subject == "1"
    closed = found["queue.day-closed"]
    assert (closed.actor, closed.why, closed.subject) == (None, "day-over", "2026-11-23")


async def test_a_change_of_the_clinic_names_the_parts_that_changed(log: EventLog, journal: Journal) -> None:
    umum, gigi, farmasi = CLINIC.services
    services = (umum, msgspec.structs.replace(gigi, name="Poli Gigi dan Mulut"), farmasi)
    configuration = ClinicConfiguration(
        name="Klinik Baru", timezone=CLINIC.timezone, services=services, counters=CLINIC.counters
    )
    journal.do(
        commands.Configure,
        **msgspec.structs.asdict(configuration),
        actor="sari",
        role=Role.ADMIN_FASKES,
        why="papan nama baru",
    )
    await log.append(journal.log[-1].version - 1, [msgspec.msgpack.encode(journal.log[-1])])
    newest = (await everything(History(log), action="queue.clinic-changed"))[0].entry
    assert (newest.actor, newest.subject, newest.why) == ("sari", "name, services.gigi", "papan nama baru")


async def test_a_search_by_actor_or_action(log: EventLog, journal: Journal) -> None:
    history = History(log)
    for actor in ("budi", "rina", "user-3", "unknown"):
        found = await everything(history, actor=actor)
        assert versions(found) == [r.version for r in reversed(journal.log) if r.actor == actor]
    for action in (
        "queue.ticket-called",
        "queue.day-closed",
        "queue.",
        "queue.nothing",
        "user.create",
        "ticket-called",
    ):
        found = await everything(history, action=action)
        expected = [r.version for r in reversed(journal.log) if action in (topic_of(r), "queue.")]
        assert versions(found) == expected, action
    both = await everything(history, actor="budi", action="queue.ticket-skipped")
    assert len(both) == DAYS


async def test_a_search_by_patient_finds_all_events_of_the_patients_tickets(
    log: EventLog, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediq.actors.queue.history._PAGE", 4)
    history = History(log)
    for patient in ("user-0", "user-1", "unknown"):
        own = {
            r.event.ticket_id for r in journal.log if isinstance(r.event, TicketIssued) and r.event.user_id == patient
        }
        expected = [r.version for r in reversed(journal.log) if getattr(r.event, "ticket_id", None) in own]
        assert versions(await everything(history, subject=patient, limit=3)) == expected
        assert (len(expected) > 0) == (patient != "unknown")
    ticket = "t1"
    expected = [r.version for r in reversed(journal.log) if getattr(r.event, "ticket_id", None) == ticket]
    assert versions(await everything(history, subject=ticket)) == expected
    # A later ticket is found too, although the history remembers the tickets of each patient.
    later = journal.add(user_id="user-0")
    await log.append(journal.log[-1].version - 1, [msgspec.msgpack.encode(journal.log[-1])])
    newest = (await everything(history, subject="user-0"))[0]
    assert (newest.version, newest.entry.subject) == (later.version, "user-0")


async def test_a_search_by_counter_finds_its_openings_and_closings(log: EventLog, journal: Journal) -> None:
    found = await everything(History(log), subject="2")
    assert {each.entry.action for each in found} == {"queue.counter-opened"}
    assert len(found) == DAYS


async def test_a_search_between_two_times(log: EventLog, journal: Journal) -> None:
    history = History(log)
    times = [journal.log[0].at, journal.log[5].at, journal.log[-20].at, journal.log[-1].at]
    for since in times:
        for until in (*times, journal.log[-1].at + timedelta(days=9)):
            found = await everything(history, since=since, until=until, limit=5)
            assert versions(found) == [r.version for r in reversed(journal.log) if since <= r.at < until]
    assert await last_before(log, journal.log[0].at, len(journal.log)) == 0
    assert await last_before(log, journal.at, len(journal.log)) == len(journal.log)


async def test_a_search_ends_at_the_trimmed_events(log: EventLog, journal: Journal) -> None:
    last = len(journal.log)
    await log.save_snapshot(last, b"")
    await log.trim(last - 10)
    found = await everything(History(log), limit=3)
    assert versions(found) == list(range(last, last - 10, -1))
    assert versions(await everything(History(log), since=journal.log[0].at)) == versions(found)
    assert await everything(History(log), until=journal.log[2].at) == []
    assert (await History(log).search(GetQueueAudit(before=last - 10))).entries == ()
    assert len(await everything(History(log), subject="user-0")) < 10


async def test_an_empty_log_has_no_entries(log: EventLog) -> None:
    assert await everything(History(log)) == []
    assert await everything(History(log), subject="x", since=Journal().at) == []


@pytest.fixture
async def processor(log: EventLog) -> AsyncIterator[CommandProcessor]:
    async def published(_events: object) -> None:
        await asyncio.sleep(0)

    processor = CommandProcessor(log, CLINIC, on_recorded=published)
    run = asyncio.create_task(processor.run())
    yield processor
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)


async def test_events_that_a_processor_wrote_are_found(log: EventLog, processor: CommandProcessor) -> None:
    """The search compares bytes, so it must expect the bytes that the processor writes."""
    at = Journal().at
    submitted: list[Command] = [
        commands.AddPatient(user_id="u" * 40),
        commands.CallNext(counter="1"),
        commands.Complete(id="t" * 32, why="ü" * 50),
        commands.CloseCounter(counter="1"),
    ]
    for number, command in enumerate(submitted):
        given = Given(at=at, actor="a" * 32, role=Role.OPERATOR, key=f"x{number}", ticket_id="t" * 32, token="k")
        await processor.submit(command, given)
    history = History(log)
    events: list[Recorded] = await processor.events(0)
    assert len(events) == 5
    assert versions(await everything(history, actor="a" * 32)) == [5, 4, 3, 2, 1]
    assert versions(await everything(history, subject="u" * 40)) == [4, 3, 1]
    assert versions(await everything(history, subject="t" * 32)) == [4, 3, 1]
    assert versions(await everything(history, subject="1")) == [5, 2]
    assert versions(await everything(history, action="queue.ticket-completed")) == [4]

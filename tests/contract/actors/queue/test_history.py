"""The log read backwards for the audit trail, over every event log: nothing is passed over, nothing told twice."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from mediq.actors.audit.messages import GetQueueAudit, QueueEntry
from mediq.actors.queue import history as histories
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
    """Three days of a clinic, and their events in the log."""
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
    """All that is wanted, page after page."""
    found: list[QueueEntry] = []
    before = None
    while True:
        trail = await history.search(GetQueueAudit(**wanted, before=before))
        found += trail.entries
        if trail.next is None:
            return found
        assert before is None or trail.next < before, "every search gets further"
        before = trail.next


def versions(found: Sequence[QueueEntry]) -> list[int]:
    return [each.version for each in found]


@pytest.mark.parametrize("limit", [1, 7, 1000])
@pytest.mark.parametrize("searched", [1, 10, 100_000])
async def test_everything_comes_newest_first_and_once(
    log: EventLog, journal: Journal, limit: int, searched: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histories, "_SEARCHED", searched)
    monkeypatch.setattr(histories, "_PAGE", 9)
    found = await everything(History(log), limit=limit)
    assert versions(found) == list(range(len(journal.log), 0, -1))
    told = {each.version: each for each in journal.log}
    for version, entry in ((each.version, each.entry) for each in found):
        recorded = told[version]
        assert (entry.at, entry.action, entry.ref) == (recorded.at, topic_of(recorded), str(version))
        assert (entry.actor, entry.role) == (None if recorded.actor == "system" else recorded.actor, recorded.role)


async def test_what_it_says_of_an_act(log: EventLog, journal: Journal) -> None:
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


async def test_what_was_changed_of_the_clinic(log: EventLog, journal: Journal) -> None:
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


async def test_of_one_actor_or_one_kind(log: EventLog, journal: Journal) -> None:
    history = History(log)
    for actor in ("budi", "rina", "user-3", "nobody"):
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
        told = [r.version for r in reversed(journal.log) if action in (topic_of(r), "queue.")]
        assert versions(found) == told, action
    both = await everything(history, actor="budi", action="queue.ticket-skipped")
    assert len(both) == DAYS


async def test_of_a_patient_come_all_acts_on_their_tickets(
    log: EventLog, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histories, "_PAGE", 4)
    history = History(log)
    for patient in ("user-0", "user-1", "nobody"):
        own = {
            r.event.ticket_id for r in journal.log if isinstance(r.event, TicketIssued) and r.event.user_id == patient
        }
        told = [r.version for r in reversed(journal.log) if getattr(r.event, "ticket_id", None) in own]
        assert versions(await everything(history, subject=patient, limit=3)) == told
        assert (len(told) > 0) == (patient != "nobody")
    ticket = "t1"
    told = [r.version for r in reversed(journal.log) if getattr(r.event, "ticket_id", None) == ticket]
    assert versions(await everything(history, subject=ticket)) == told
    # What comes later is found too, although who has which ticket is remembered.
    drawn = journal.add(user_id="user-0")
    await log.append(journal.log[-1].version - 1, [msgspec.msgpack.encode(journal.log[-1])])
    newest = (await everything(history, subject="user-0"))[0]
    assert (newest.version, newest.entry.subject) == (drawn.version, "user-0")


async def test_of_a_counter_come_its_openings_and_closings(log: EventLog, journal: Journal) -> None:
    found = await everything(History(log), subject="2")
    assert {each.entry.action for each in found} == {"queue.counter-opened"}
    assert len(found) == DAYS


async def test_between_two_moments(log: EventLog, journal: Journal) -> None:
    history = History(log)
    moments = [journal.log[0].at, journal.log[5].at, journal.log[-20].at, journal.log[-1].at]
    for since in moments:
        for until in (*moments, journal.log[-1].at + timedelta(days=9)):
            found = await everything(history, since=since, until=until, limit=5)
            assert versions(found) == [r.version for r in reversed(journal.log) if since <= r.at < until]
    assert await last_before(log, journal.log[0].at, len(journal.log)) == 0
    assert await last_before(log, journal.at, len(journal.log)) == len(journal.log)


async def test_what_was_trimmed_is_over(log: EventLog, journal: Journal) -> None:
    last = len(journal.log)
    await log.save_snapshot(last, b"")
    await log.trim(last - 10)
    found = await everything(History(log), limit=3)
    assert versions(found) == list(range(last, last - 10, -1))
    assert versions(await everything(History(log), since=journal.log[0].at)) == versions(found)
    assert await everything(History(log), until=journal.log[2].at) == []
    assert (await History(log).search(GetQueueAudit(before=last - 10))).entries == ()
    assert len(await everything(History(log), subject="user-0")) < 10


async def test_an_empty_log_has_no_acts(log: EventLog) -> None:
    assert await everything(History(log)) == []
    assert await everything(History(log), subject="x", since=Journal().at) == []


@pytest.fixture
async def processor(log: EventLog) -> AsyncIterator[CommandProcessor]:
    async def told(_events: object) -> None:
        await asyncio.sleep(0)

    processor = CommandProcessor(log, CLINIC, on_recorded=told)
    run = asyncio.create_task(processor.run())
    yield processor
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)


async def test_what_a_processor_writes_is_found(log: EventLog, processor: CommandProcessor) -> None:
    """The bytes that are looked for are those that a processor writes."""
    at = Journal().at
    asked: list[Command] = [
        commands.AddPatient(user_id="u" * 40),
        commands.CallNext(counter="1"),
        commands.Complete(id="t" * 32, why="ü" * 50),
        commands.CloseCounter(counter="1"),
    ]
    for number, command in enumerate(asked):
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

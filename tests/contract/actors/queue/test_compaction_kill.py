"""A process is killed while it compacts the log or closes the day: the next process finishes the work exactly once."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from mediq.actors.queue.command_processor import CommandProcessor
from mediq.actors.queue.event_store.base import EventLog, Trimmed
from mediq.actors.queue.rules import commands
from mediq.actors.queue.rules.events import DayClosed, Recorded, TicketCancelled, TicketCompleted, TicketSkipped
from mediq.actors.queue.rules.queue import Queue
from mediq.actors.queue.rules.statistics import statistics
from mediq.actors.queue.rules.ticket import Status
from tests.fixtures.application import ROOT
from tests.fixtures.queue.journal import CLINIC, Journal, replayed
from tests.fixtures.stores.backends import OpenLog

DAYS = 6
"""Twice the clinic's retention, so that half of the log is to be trimmed."""


@pytest.fixture
async def journal(open_log: OpenLog) -> Journal:
    """Days of a clinic with all their events in the log; the last day is open and has tickets in every status."""
    journal = Journal()
    for day in range(DAYS):
        for _ in range(12):
            journal.add()
            journal.later(minutes=1)
        for _ in range(4):
            journal.serve("1")
        absent = journal.call("1")
        journal.do(commands.Skip, id=absent.id)
        journal.call("1")
        served = journal.call("2")
        journal.do(commands.Start, id=served.id)
        held = next(t for t in journal.queue.tickets.values() if t.status is Status.WAITING)
        journal.do(commands.Hold, id=held.id)
        if day < DAYS - 1:
            journal.later(days=1)
    await (await open_log()).append(0, [msgspec.msgpack.encode(each) for each in journal.log])
    return journal


def kill_at(place: str, work: str, point: str, at: datetime) -> None:
    """Run `compaction_writer` on the log at `place`, and kill it at that point of its work."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fixtures.stores.compaction_writer", place, work, point, at.isoformat()],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        process.kill()
    assert process.returncode < 0


class NextProcess:
    """A command processor on the log as the killed process left it, and the events that it has published."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.published: list[Recorded] = []
        self.processor = CommandProcessor(log, CLINIC, on_recorded=self._publish)

    async def _publish(self, recorded: Sequence[Recorded]) -> None:
        self.published += recorded

    async def do(self, command: commands.Command, **given: Any) -> None:
        run = asyncio.create_task(self.processor.run())
        await self.processor.submit(command, commands.Given(**given))
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def restarted(open_log: OpenLog) -> NextProcess:
    again = NextProcess(await open_log())
    await again.processor.restore()
    return again


async def first_version(log: EventLog) -> int:
    """The version of the first event that the log still has."""
    after = 0
    while True:
        try:
            await log.read(after, 1)
        except Trimmed:
            after += 1
        else:
            return after + 1


def same_statistics(one: Queue, other: Queue, journal: Journal) -> bool:
    first = journal.today - timedelta(days=CLINIC.policy.retention_days - 1)
    return statistics(one, CLINIC, first, journal.today) == statistics(other, CLINIC, first, journal.today)


@pytest.mark.parametrize("point", ["before-snapshot", "after-snapshot", "after-trim"])
async def test_a_kill_during_compaction_loses_nothing(
    log_place: str, open_log: OpenLog, journal: Journal, point: str
) -> None:
    kill_at(log_place, "compact", point, journal.at)
    again = await restarted(open_log)
    assert again.processor.state == journal.queue
    # The next process finishes the compaction, although no event is new.
    await again.processor.compact(journal.at)
    kept = await again.log.snapshot()
    assert kept is not None
    assert kept[0] == len(journal.log)
    first = await first_version(again.log)
    oldest = journal.at - timedelta(days=CLINIC.policy.retention_days)
    assert [each for each in journal.log if each.at < oldest]
    assert first == next(each.version for each in journal.log if each.at >= oldest)
    third = await restarted(open_log)
    assert third.processor.state == journal.queue
    assert same_statistics(third.processor.state, journal.queue, journal)
    await third.do(
        commands.AddPatient(user_id="new"), at=journal.at, actor="a", ticket_id="new", token="new", key="once"
    )
    ticket = third.processor.state.ticket("new")
    assert ticket is not None
    assert ticket.number == "A-013", "the numbers of the day go on"


@pytest.mark.parametrize("point", ["before-append", "after-append"])
async def test_a_kill_while_the_day_is_closed_closes_it_whole_or_not_at_all(
    log_place: str, open_log: OpenLog, journal: Journal, point: str
) -> None:
    at = journal.at + timedelta(hours=8)
    kill_at(log_place, "close", point, at)
    again = await restarted(open_log)
    closed = point == "after-append"
    assert (again.processor.state.day is None) == closed, "the day is closed whole or not at all"
    # The next process closes the day again, as it tries to every few minutes.
    await again.do(commands.CloseDay(why="day-over"), at=at, actor="system")
    journal.do(commands.CloseDay, at=at, actor="system", why="day-over")
    events = await again.processor.events(0, 100_000)
    assert events == journal.log
    assert again.processor.state == replayed(events) == journal.queue
    of_today = [each for each in events if each.at == at]
    ends = (TicketCancelled, TicketSkipped, TicketCompleted)
    ended = [each.event for each in of_today if isinstance(each.event, ends)]
    assert Counter(type(event) for event in ended) == {TicketCancelled: 5, TicketSkipped: 1, TicketCompleted: 1}
    assert {event.reason for event in ended} == {"day-closed"}
    assert [each.event.ended for each in of_today if isinstance(each.event, DayClosed)] == [7]
    assert len(again.published) == (0 if closed else len(of_today))


async def test_repeated_kills_at_every_point_lose_nothing(log_place: str, open_log: OpenLog, journal: Journal) -> None:
    at = journal.at + timedelta(hours=8)
    for work, point in (
        ("compact", "before-snapshot"),
        ("close", "before-append"),
        ("compact", "after-snapshot"),
        ("close", "after-append"),
        ("compact", "after-snapshot"),
        ("compact", "after-trim"),
    ):
        kill_at(log_place, work, point, at)
    journal.do(commands.CloseDay, at=at, actor="system", why="day-over")
    again = await restarted(open_log)
    assert again.processor.state == journal.queue
    await again.processor.compact(at)
    assert (await restarted(open_log)).processor.state == journal.queue


async def test_a_log_without_new_events_is_trimmed_too(open_log: OpenLog, journal: Journal) -> None:
    """While the clinic is closed for weeks nothing is appended, and old events are still removed."""
    again = await restarted(open_log)
    await again.processor.compact(journal.at)
    assert await first_version(again.log) <= len(journal.log)
    await again.processor.compact(journal.at + timedelta(days=CLINIC.policy.retention_days + 1))
    assert await first_version(again.log) == len(journal.log) + 1
    assert (await restarted(open_log)).processor.state == journal.queue

"""Operating-system processes on one event log, also killed ones: each acknowledged command is in the log once."""

import itertools
import subprocess
import sys
from collections import Counter

import msgspec

from mediq.actors.queue.rules import queue
from mediq.actors.queue.rules.events import Recorded, TicketCalled, TicketIssued
from mediq.actors.queue.rules.ticket import Status
from tests.fixtures.application import ROOT
from tests.fixtures.stores.backends import OpenLog
from tests.fixtures.stores.command_writer import PATIENTS

ROUNDS = 4


class PrintedAnswer(msgspec.Struct, frozen=True):
    """The answer to one command as a process printed it.

    `outcome` is `done` with the ticket's number as `value`, or `refused` with the error code.
    """

    key: str
    outcome: str
    value: str


class Writer:
    """A queue process in a program of its own, `command_writer`, and the answers that it has printed."""

    def __init__(self, place: str, name: str) -> None:
        self.answers: list[PrintedAnswer] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fixtures.stores.command_writer", place, name, str(ROUNDS)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def go(self) -> None:
        """Start its next round, once it is ready for it."""
        assert self._process.stdin is not None
        self.read()
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def read(self, lines: int = sys.maxsize) -> None:
        """Read at most that number of answers, up to the end of the round or of the process."""
        assert self._process.stdout is not None
        for line in itertools.islice(self._process.stdout, lines):
            # The last line may have been cut off when the process was killed.
            if line == "ready\n" or not line.endswith("\n"):
                return
            self.answers.append(PrintedAnswer(*line.split()))

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> int:
        """Read the remaining answers and return the exit status."""
        self.read()
        self._process.communicate()
        return self._process.returncode


async def events_in(open_log: OpenLog) -> list[Recorded]:
    events = await (await open_log()).read(limit=1_000_000)
    assert [version for version, _ in events] == list(range(1, len(events) + 1))
    return [msgspec.msgpack.decode(body, type=Recorded) for _, body in events]


def assert_consistent(log: list[Recorded], answers: list[PrintedAnswer]) -> None:
    """The log replays, issues each number once and in order, and calls patients in that order.

    Each acknowledged command is in the log once, with the number that was answered.
    """
    state = queue.EMPTY
    for recorded in log:
        if isinstance(recorded.event, TicketCalled):
            waiting = [each.number for each in state.tickets.values() if each.status is Status.WAITING]
            assert recorded.event.number == min(waiting)
        state = queue.evolve(state, recorded)
    issued = [each.event for each in log if isinstance(each.event, TicketIssued)]
    assert [event.number for event in issued] == [f"A-{n:03}" for n in range(1, len(issued) + 1)]
    assert len({event.user_id for event in issued}) == len(issued)
    keys = Counter(each.key for each in log if each.key is not None)
    assert set(keys.values()) <= {1}
    by_key = {each.key: each.event.number for each in log if each.key is not None and hasattr(each.event, "number")}
    for each in answers:
        if each.outcome == "done":
            assert by_key[each.key] == each.value
        else:
            assert each.value in ("counter-busy", "nobody-waiting")
            assert each.key not in keys


async def test_two_processes_append_at_once(log_place: str, open_log: OpenLog) -> None:
    writers = [Writer(log_place, name) for name in ("ani", "budi")]
    for _ in range(ROUNDS):
        for writer in writers:
            writer.go()
    assert [writer.end() for writer in writers] == [0, 0]
    log = await events_in(open_log)
    answers = [each for writer in writers for each in writer.answers]
    assert_consistent(log, answers)
    assert sum(each.key.startswith("add-") for each in answers) == 2 * ROUNDS * PATIENTS
    assert sum(isinstance(each.event, TicketIssued) for each in log) == 2 * ROUNDS * PATIENTS


async def test_one_of_two_processes_is_killed_and_started_again(log_place: str, open_log: OpenLog) -> None:
    killed, survivor = Writer(log_place, "ani"), Writer(log_place, "budi")
    for _ in range(2):
        killed.go()
        survivor.go()
    killed.read(PATIENTS // 3)
    killed.kill()
    assert killed.end() < 0
    again = Writer(log_place, "ani")
    for _ in range(ROUNDS):
        again.go()
    for _ in range(ROUNDS - 2):
        survivor.go()
    assert [again.end(), survivor.end()] == [0, 0]
    log = await events_in(open_log)
    # A command that was refused before the kill may be granted when it is repeated.
    done = [each for each in killed.answers if each.outcome == "done"]
    assert_consistent(log, done + again.answers + survivor.answers)
    assert sum(isinstance(each.event, TicketIssued) for each in log) == 2 * ROUNDS * PATIENTS

"""Several queue processes on one log, and killed ones: every acknowledged command is in the log once."""

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


class Told(msgspec.Struct, frozen=True):
    """What a process printed of one command: its key, whether it was done, and the number or the refusal."""

    key: str
    outcome: str
    what: str


class Writer:
    """A queue process; see `ledger_writer`."""

    def __init__(self, place: str, name: str) -> None:
        self.said: list[Told] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fixtures.stores.command_writer", place, name, str(ROUNDS)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def go(self) -> None:
        """Let it begin its next round, once it is ready for it."""
        assert self._process.stdin is not None
        self.listen()
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def listen(self, lines: int = sys.maxsize) -> None:
        """Hear so many answers, or all up to the end of the round or of the process."""
        assert self._process.stdout is not None
        for line in itertools.islice(self._process.stdout, lines):
            # The last line may have been cut off when the process was killed.
            if line == "ready\n" or not line.endswith("\n"):
                return
            self.said.append(Told(*line.split()))

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> int:
        """Hear what is left to be heard; how the process ended."""
        self.listen()
        self._process.communicate()
        return self._process.returncode


async def kept(open_log: OpenLog) -> list[Recorded]:
    events = await (await open_log()).read(limit=1_000_000)
    assert [version for version, _ in events] == list(range(1, len(events) + 1))
    return [msgspec.msgpack.decode(body, type=Recorded) for _, body in events]


def assert_sound(log: list[Recorded], said: list[Told]) -> None:
    """The log adds up, gives each number once and in order, calls them in that order, and holds what was acknowledged,
    once, as it was told.
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
    for each in said:
        if each.outcome == "done":
            assert by_key[each.key] == each.what
        else:
            assert each.what in ("counter-busy", "nobody-waiting")
            assert each.key not in keys


async def test_processes_that_append_at_once(log_place: str, open_log: OpenLog) -> None:
    writers = [Writer(log_place, name) for name in ("ani", "budi")]
    for _ in range(ROUNDS):
        for writer in writers:
            writer.go()
    assert [writer.end() for writer in writers] == [0, 0]
    log = await kept(open_log)
    said = [each for writer in writers for each in writer.said]
    assert_sound(log, said)
    assert sum(each.key.startswith("add-") for each in said) == 2 * ROUNDS * PATIENTS
    assert sum(isinstance(each.event, TicketIssued) for each in log) == 2 * ROUNDS * PATIENTS


async def test_a_process_killed_beside_another_and_started_again(log_place: str, open_log: OpenLog) -> None:
    killed, lives = Writer(log_place, "ani"), Writer(log_place, "budi")
    for _ in range(2):
        killed.go()
        lives.go()
    killed.listen(PATIENTS // 3)
    killed.kill()
    assert killed.end() < 0
    again = Writer(log_place, "ani")
    for _ in range(ROUNDS):
        again.go()
    for _ in range(ROUNDS - 2):
        lives.go()
    assert [again.end(), lives.end()] == [0, 0]
    log = await kept(open_log)
    # What was refused before it was killed may be granted when it asks again.
    assert_sound(log, [each for each in killed.said if each.outcome == "done"] + again.said + lives.said)
    assert sum(isinstance(each.event, TicketIssued) for each in log) == 2 * ROUNDS * PATIENTS

"""Several queue processes on one log, and killed ones: every acknowledged command is in the log once."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec

from mediq.domain import queue
from mediq.domain.events import Recorded, TicketIssued
from tests.contract.stores.conftest import OpenLog

PATIENTS = 200


class Told(msgspec.Struct, frozen=True):
    """What a process printed of one command: its key, whether it was done, and the number or the refusal."""

    key: str
    outcome: str
    what: str


def start(place: str, name: str, patients: int) -> "subprocess.Popen[str]":
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.contract.stores.ledger_writer", place, name, str(patients)],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    return writer


def go(writer: "subprocess.Popen[str]") -> None:
    assert writer.stdin is not None
    writer.stdin.write("go\n")
    writer.stdin.flush()


def told(line: str) -> Told:
    return Told(*line.split())


def rest(writer: "subprocess.Popen[str]") -> list[Told]:
    assert writer.stdout is not None
    # The last line may have been cut off when the process was killed.
    said = [told(line) for line in writer.stdout if line.endswith("\n")]
    writer.communicate()
    return said


async def kept(open_log: OpenLog) -> list[Recorded]:
    events = await (await open_log()).read(limit=1_000_000)
    assert [version for version, _ in events] == list(range(1, len(events) + 1))
    return [msgspec.msgpack.decode(body, type=Recorded) for _, body in events]


def assert_sound(log: list[Recorded], said: list[Told]) -> None:
    """The log adds up, gives each number once and in order, and holds what was acknowledged, once, as it was told."""
    state = queue.EMPTY
    for recorded in log:
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
    writers = [start(log_place, name, PATIENTS) for name in ("ani", "budi")]
    for writer in writers:
        go(writer)
    said = [each for writer in writers for each in rest(writer)]
    assert [writer.returncode for writer in writers] == [0, 0]
    log = await kept(open_log)
    assert_sound(log, said)
    assert sum(each.key.startswith("add-") for each in said) == 2 * PATIENTS
    assert sum(isinstance(each.event, TicketIssued) for each in log) == 2 * PATIENTS
    # They were really at it together: neither had finished when the other began.
    order = "".join(each.actor[0] for each in log)
    assert "ab" in order
    assert "ba" in order


async def test_a_process_killed_beside_another_and_started_again(log_place: str, open_log: OpenLog) -> None:
    writers = [start(log_place, name, PATIENTS) for name in ("ani", "budi")]
    for writer in writers:
        go(writer)
    killed, lives = writers
    assert killed.stdout is not None
    said = [told(killed.stdout.readline()) for _ in range(50)]
    killed.kill()
    said += rest(killed)
    again = start(log_place, "ani", PATIENTS)
    go(again)
    repeated = rest(again)
    said += rest(lives)
    assert [again.returncode, lives.returncode] == [0, 0]
    log = await kept(open_log)
    # What was refused before it was killed may be granted when it asks again.
    assert_sound(log, [each for each in said if each.outcome == "done"] + repeated)
    assert sum(isinstance(each.event, TicketIssued) for each in log) == 2 * PATIENTS

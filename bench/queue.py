"""What the queue carries: adds and calls a second on SQLite and Redis, beside what the store itself can write.

    python bench/queue.py [--commands 2000] [--rounds 3] [--events 1000 10000 100000 1000000]

Commands go through the real `QueueActor` over the in-memory bus of one process, so an add also asks a user service who
the patient is; there is no HTTP in the way. They come one at a time and 64 at once, and are durable when answered. The
store's own rate in the same run: single appends, and appends of as many events at a time as the processor put together.
Beside that stands what the rules of an add would allow without any store. Of each the CPU is told as well, which other
work on the machine changes less. Then what a command, a start and the memory
cost as the log grows, in a process of its own for each size.
"""

import sys
from pathlib import Path

sys.path.pop(0)  # the folder of this file, whose queue.py would stand before the library's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import asyncio
import gc
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import uvloop

from bench.measure import CONNECTIONS, machine, measured, number, quiet, report, resident, show
from mediq.actors.queue.actor import QueueActor
from mediq.actors.queue.event_store.base import EventLog
from mediq.actors.queue.event_store.redis import RedisEventLog
from mediq.actors.queue.event_store.sqlite import SqliteEventLog
from mediq.actors.queue.messages import GetSnapshot, GetStatistics
from mediq.actors.queue.rules import commands, queue
from mediq.actors.queue.rules.commands import AddPatient, CallNext, Complete
from mediq.actors.queue.rules.events import DayClosed, Recorded
from mediq.actors.users.messages import FindPeople, Person
from mediq.domain.clinic import Clinic, Counter, Service
from mediq.runtime.actor import Actor, handles
from mediq.runtime.bus import Bus
from mediq.runtime.cell import ActorCell
from mediq.runtime.context import Context
from mediq.transport.memory import MemoryTransport
from tests.fixtures.servers import MissingServer, Redis

T = TypeVar("T")

MAILBOXES: Final = {"queue": "queue", "user": "user"}
COUNTERS: Final = [str(n) for n in range(1, CONNECTIONS + 1)]
CLINIC: Final = Clinic(
    name="Klinik Uji",
    services=(Service(id="umum", name="Poli Umum", letter="A"),),
    counters=tuple(Counter(id=counter, name=f"Loket {counter}") for counter in COUNTERS),
)
DAYS: Final = 30
"""Days over which the events of a grown log are spread."""
BULK: Final = 5_000
"""Events of one append when a grown log is laid."""
ALONE, RULES = "the store alone, in the same groups", "— the rules of an add alone, no store"
ADDS, CALLS = "adds", "calls and completions"

OpenLog = Callable[[], EventLog]


class Registry(Actor):
    """A user service that knows everyone."""

    name = "user"
    concurrency = CONNECTIONS

    @handles(FindPeople)
    async def find(self, message: FindPeople, context: Context) -> tuple[Person, ...]:
        return tuple(Person(id=each, patient=True, born=date(1990, 1, 5)) for each in message.ids)


class Noted:
    """A log that remembers how many events each append had, and one of the appended events."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.groups: list[int] = []
        self.event = b""

    async def append(self, expected_version: int, events: Sequence[bytes]) -> int:
        if events:
            self.groups.append(len(events))
            self.event = events[0]
        return await self.log.append(expected_version, events)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)


@asynccontextmanager
async def desk(log: EventLog, *, shared: bool) -> AsyncIterator[Bus]:
    """A queue service over an open log."""
    transport = MemoryTransport()
    await transport.start()
    bus = Bus(transport, MAILBOXES)
    await bus.start()
    actor = QueueActor(bus, log, CLINIC, shared=shared, cleanup_seconds=3600, clock=lambda: datetime.now(UTC))
    cells = [ActorCell(each, transport, MAILBOXES[each.name]) for each in (Registry(bus), actor)]
    for cell in cells:
        await cell.start()
    running = [asyncio.create_task(cell.run()) for cell in cells]
    try:
        yield bus
    finally:
        for cell in cells:
            await cell.stop()
        await asyncio.gather(*running)
        await bus.stop()
        await transport.stop()


class Pace(NamedTuple):
    """How fast something was done: times a second, and microseconds of this process's CPU each."""

    rate: float
    cpu: float

    @classmethod
    def clock(cls) -> Callable[[int], "Pace"]:
        """Start; what this returns tells the pace of so many since."""
        begun, spent = time.perf_counter(), time.process_time()
        return lambda count: cls(count / (time.perf_counter() - begun), 1e6 * (time.process_time() - spent) / count)


async def together(width: int, count: int, work: Callable[[int, int], Coroutine[Any, Any, object]]) -> Pace:
    """Do `work(worker, number)` so often, so many at a time."""
    numbers = iter(range(count))

    async def worker(who: int) -> None:
        for each in numbers:
            await work(who, each)

    pace = Pace.clock()
    await asyncio.gather(*(worker(who) for who in range(width)))
    return pace(count)


class Day(NamedTuple):
    """How fast patients were added, and called and seen off; how many events each append had, and one of the events."""

    adds: Pace
    calls: Pace
    groups: list[int]
    event: bytes


async def day(log: EventLog, width: int, count: int, *, shared: bool) -> Day:
    """So many patients draw numbers, then are called and seen off by as many counters."""
    await log.open()
    noted = Noted(log)
    try:
        async with desk(noted, shared=shared) as bus:

            async def add(_: int, each: int) -> None:
                await bus.ask(AddPatient(user_id=f"patient-{each}"))

            async def call(who: int, each: int) -> None:
                called = await bus.ask(CallNext(counter=COUNTERS[who]))
                await bus.ask(Complete(id=called.id))

            await together(width, 2 * width, add)  # warm; these patients come again and get the ticket they have
            noted.groups.clear()
            adds = await together(width, count, add)
            visits = await together(width, count // 2, call)
            return Day(adds, Pace(2 * visits.rate, visits.cpu / 2), noted.groups, noted.event)
    finally:
        await log.close()


async def raw(log: EventLog, groups: Sequence[int], event: bytes) -> Pace:
    """How fast events are written when the store alone appends groups of these sizes, one after the other."""
    await log.open()
    try:
        version = await log.version()
        pace = Pace.clock()
        for size in groups:
            version = await log.append(version, [event] * size)
        return pace(sum(groups))
    finally:
        await log.close()


def rules(count: int) -> Pace:
    """How fast patients are added when all that is done is to decide, to fold and to encode: no store, bus or views."""
    encode = msgspec.msgpack.Encoder().encode
    state, now = queue.EMPTY, datetime.now(UTC)
    pace = Pace.clock()
    for each in range(count):
        mark = f"{each:032x}"
        command = commands.AddPatient(user_id=f"patient-{each}")
        given = commands.Given(at=now, actor="system", key=mark, ticket_id=mark, token=mark)
        for recorded in queue.decide(state, command, given, CLINIC).recorded(state.version):
            state = queue.evolve(state, recorded)
            encode(recorded)
    return pace(count)


def compare(name: str, open_log: OpenLog, rounds: int, count: int, *, shared: bool) -> None:
    """Print one store's tables: commands one at a time, and many at once."""
    for width, few in ((1, count // 4), (CONNECTIONS, count)):
        found: dict[str, list[Pace]] = {}
        sizes: list[float] = []
        for _ in range(rounds):
            today = in_loop(partial(day, open_log(), width, few, shared=shared))
            alone = in_loop(partial(raw, open_log(), today.groups, today.event))
            sizes.append(statistics.mean(today.groups))
            rates = {ALONE: alone, ADDS: today.adds, CALLS: today.calls, RULES: rules(few)}
            for what, rate in rates.items():
                found.setdefault(what, []).append(rate)
        groups = f"groups of {number(statistics.median(sizes))} events"
        goals = {ADDS: "≥ 0.7", CALLS: "≥ 0.7"} if width > 1 else None
        show(
            f"Queue on {name}, {width} at once, {groups}; real QueueActor, in-memory bus",
            "events/s",
            {what: [pace.rate for pace in paces] for what, paces in found.items()},
            goals=goals,
        )
        show(
            "The same in CPU of this process, which a server of the store has none of",
            "µs an event",
            {what: [pace.cpu for pace in paces] for what, paces in found.items()},
        )


def in_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return uvloop.run(work())


def run(rounds: int = 3, count: int = 2000) -> None:
    """Compare on SQLite, and on a private Redis that syncs every write."""
    quiet()
    with tempfile.TemporaryDirectory() as folder:
        files = itertools.count(1)
        compare("SQLite", lambda: SqliteEventLog(Path(folder) / f"{next(files)}.db"), rounds, count, shared=False)
    try:
        server = Redis()
        server.start()
    except MissingServer as missing:
        print(f"Redis is left out: {missing}")
        return
    try:
        compare("Redis", lambda: RedisEventLog(server.url()), rounds, count, shared=True)
    finally:
        server.close()


# As the log grows


def history(events: int, now: datetime) -> Iterator[tuple[Recorded, queue.Queue]]:
    """About so many events of a clinic's last days, up to `now`, each with the queue after it: patients draw numbers,
    are called and seen off."""
    state = queue.EMPTY
    tickets = max(DAYS, events // 3)
    first = now - timedelta(days=DAYS - 1, hours=1)
    for ticket in range(tickets):
        of_day, place = divmod(ticket * DAYS, tickets)
        at = first + timedelta(days=of_day, seconds=3600 * place / tickets)
        counter = COUNTERS[ticket % 4]
        mark = f"{ticket:032x}"
        ids = {"ticket_id": mark, "token": mark[::-1]}
        for command in (
            commands.AddPatient(user_id=f"patient-{ticket}"),
            commands.CallNext(counter=counter),
            commands.Complete(id=mark),
        ):
            given = commands.Given(at=at, actor="system", key=f"{type(command).__name__}{mark}", **ids)
            for recorded in queue.decide(state, command, given, CLINIC).recorded(state.version):
                state = queue.evolve(state, recorded)
                yield recorded, state


async def grow(path: Path, events: int) -> None:
    """Lay a log of about so many events, with the snapshot that the last midnight would have left."""
    log = SqliteEventLog(path)
    await log.open()
    encode = msgspec.msgpack.Encoder().encode
    version, bulk = 0, list[bytes]()
    kept = queue.EMPTY
    for recorded, state in history(events, datetime.now(UTC)):
        bulk.append(encode(recorded))
        if isinstance(recorded.event, DayClosed):
            kept = state
        if len(bulk) == BULK:
            version, bulk = await log.append(version, bulk), []
    version = await log.append(version, bulk)
    if kept.version:
        await log.save_snapshot(kept.version, queue.dump(kept))
    await log.close()
    report({"events": version})


async def look(path: Path) -> None:
    """What the service costs on a log that is there; in a process of its own, so that the memory is its alone."""
    quiet()
    gc.collect()
    bare = resident()
    log = SqliteEventLog(path)
    await log.open()
    begun = time.perf_counter()
    async with desk(log, shared=False) as bus:
        found = {"start, s": time.perf_counter() - begun}
        gc.collect()
        found["memory, MB"] = resident() - bare
        new = (f"new-{each}" for each in itertools.count())

        async def add(*_: int) -> None:
            await bus.ask(AddPatient(user_id=next(new)))

        async def call(who: int, _: int) -> None:
            called = await bus.ask(CallNext(counter=COUNTERS[who]))
            await bus.ask(Complete(id=called.id))

        await together(CONNECTIONS, CONNECTIONS, add)  # warm
        took: list[float] = []
        for _ in range(200):  # while the queue makes a new snapshot, if one is due
            begun = time.perf_counter()
            await add()
            took.append(1000 * (time.perf_counter() - begun))
        found["one add, ms"], found["longest, ms"] = statistics.median(took), max(took)
        found["adds/s at 64"] = (await together(CONNECTIONS, 1000, add)).rate
        found["calls/s at 64"] = 2 * (await together(CONNECTIONS, 500, call)).rate
        begun = time.perf_counter()
        await bus.ask(GetStatistics(from_=(datetime.now(UTC) - timedelta(days=DAYS)).date()), timeout=60)
        found["statistics, s"] = time.perf_counter() - begun
        begun = time.perf_counter()
        snapshot = await bus.ask(GetSnapshot(), timeout=60)
        found["snapshot, s"] = time.perf_counter() - begun
        found["snapshot, MB"] = len(snapshot.state) / 2**20
    await log.close()
    report(found)


def run_growing(sizes: Sequence[int]) -> None:
    """Print what commands, a start and the memory cost for each size of the log."""
    print(f"\nThe queue on SQLite as its log grows: events over {DAYS} days, started from last midnight's snapshot")
    titles: list[str] = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "queue.db"
            events = measured(__file__, "--lay", str(size), str(path))["events"]
            found = measured(__file__, "--look", str(path))
            if not titles:
                titles = list(found)
                print(f"{'events':>10}" + "".join(f"{title:>15}" for title in titles))
            print(f"{events:10,.0f}" + "".join(f"{number(found[title]):>15}" for title in titles), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--commands", type=int, default=2000, help="adds in a round of many at once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--events", type=int, nargs="*", default=[1000, 10_000, 100_000, 1_000_000], help="sizes of logs"
    )
    parser.add_argument("--lay", nargs=2, metavar=("EVENTS", "FILE"), help=argparse.SUPPRESS)
    parser.add_argument("--look", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.lay:
        uvloop.run(grow(Path(given.lay[1]), int(given.lay[0])))
    elif given.look:
        uvloop.run(look(given.look))
    else:
        print(machine())
        run(given.rounds, given.commands)
        run_growing(given.events)


if __name__ == "__main__":
    main()

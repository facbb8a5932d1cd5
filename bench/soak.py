"""A soak test: minutes at two thirds of the highest rate, with a full waiting room of event streams.

    python bench/soak.py [--minutes 10] [--streams 500] [--share 0.67]

Ten seconds at full load find the highest rate. Then requests come at a share of that rate, whether or not earlier ones
are answered; each is measured from the moment it was due. Nine of ten requests read (a ticket, the list, a board's
page, the profile, the clinic, one in five hundred the day's report). Each tenth is a step of a visit: draw a number,
call, start, complete. Boards and counters listen meanwhile.

The bench prints errors, response times, events received by the streams, and the application's memory minute by minute.
Finished visits stay in memory for the day's statistics, so the number of visits is printed beside the memory.
"""

import sys
from pathlib import Path

sys.path.pop(0)  # this folder: its queue.py would shadow the standard library's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import asyncio
import itertools
import random
import statistics
import tempfile
import time
from collections import Counter, deque
from contextlib import AsyncExitStack

import aiohttp
import uvloop

from bench.measure import cpu, machine, number, resident, serving
from tests.fixtures.application import HANG, Application, made_with_admin
from tests.fixtures.client import Client, client_at
from tests.fixtures.patients import register_all
from tests.fixtures.ports import free_port

CLIENTS = 64
CALIBRATING = 10.0
SERVICES = ("umum", "gigi")


class RunningApplication(Application):
    """An application that another process started."""

    def __init__(self, address: str) -> None:
        self.address = address


class Clinic:
    """The requests of people at a clinic, one at a time."""

    def __init__(self, admin: Client, patients: list[str]) -> None:
        self._admin = admin
        self._patients = deque(patients)
        self._counters = deque("123")
        self._waiting = 0
        self.known: deque[str] = deque(maxlen=200)
        self.visits = 0

    async def ask(self) -> int:
        """Send one request; returns the status of the answer."""
        if random.random() < 0.1:
            return await self._step()
        return await self._look()

    async def _look(self) -> int:
        path = random.choice(("/queue", "/clinic", "/users/profile", "/display/utama", "/queue/status/"))
        if random.random() < 0.002:
            path = "/queue/statistics"  # whose cost grows with the day
        if path == "/queue/status/":
            path = f"/queue/status/{random.choice(self.known)}" if self.known else "/health"
        return (await self._admin.get(path)).status

    async def _step(self) -> int:
        if self._waiting < 30 and self._patients:
            patient = self._patients.popleft()
            body = {"user_id": patient, "service": random.choice(SERVICES)}
            drawn = await self._admin.post("/queue/add", body)
            self._patients.append(patient)
            self.known.append(patient)
            self._waiting += drawn.status == 201
            return drawn.status
        if not self._counters:
            return await self._look()
        counter = self._counters.popleft()
        try:
            called = await self._admin.patch("/queue/call-next", {"counter": counter})
            if called.status == 404 and called.problem == "nobody-waiting":
                return 200  # not for this counter
            if called.status != 200:
                return called.status
            self._waiting -= 1
            for verb in ("start", "complete"):
                answered = await self._admin.patch(f"/queue/{called.body['id']}/{verb}", {})
                if answered.status != 200:
                    return answered.status
            self.visits += 1
            return 200
        finally:
            self._counters.append(counter)


async def capacity(clinic: Clinic) -> float:
    """Requests a second that the application answers under full load."""
    until = time.monotonic() + CALIBRATING
    answered = 0

    async def client() -> None:
        nonlocal answered
        while time.monotonic() < until:
            await clinic.ask()
            answered += 1

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return answered / CALIBRATING


async def listen(client: Client, path: str, heard: Counter[str]) -> None:
    async with client.events(path) as stream:
        while await stream.next() is not None:
            heard["events"] += 1
    heard["ended early"] += 1


async def soak(clinic: Clinic, rate: float, seconds: float, pid: int) -> None:
    took: list[float] = []
    statuses: Counter[int] = Counter()
    memory = [resident(pid)]
    spent = [cpu(pid)]

    async def one(due: float) -> None:
        try:
            status = await clinic.ask()
        except (aiohttp.ClientError, TimeoutError):
            status = 0
        statuses[status] += 1
        took.append(time.monotonic() - due)

    began = due = time.monotonic()
    visits = clinic.visits
    async with asyncio.TaskGroup() as group:
        while due < began + seconds:
            due += random.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(one(due))
            if due - began > 60 * len(memory):
                memory.append(resident(pid))
                spent.append(cpu(pid))
    memory.append(resident(pid))
    took.sort()
    share = {name: took[min(len(took) - 1, int(len(took) * part))] * 1000 for name, part in SHARES.items()}
    print(f"  requests {len(took):,} at {number(rate)}/s; answers {dict(sorted(statuses.items()))} (0: none came)")
    print("  took, from when they were due: " + ", ".join(f"{name} {number(ms)} ms" for name, ms in share.items()))
    print("  resident, minute by minute: " + " ".join(f"{each:.0f}" for each in memory) + " MB")
    busy = " ".join(f"{100 * (after - before) / 60:.0f}" for before, after in itertools.pairwise(spent))
    print(f"  of one core, minute by minute: {busy} %")
    done = clinic.visits - visits
    grown = statistics.mean(memory[-2:]) - memory[min(2, len(memory) - 1)]
    print(f"  visits finished {done:,}; grown since the second minute {grown:.1f} MB")


SHARES = {"half": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "longest": 1.0}


async def run(address: str, pid: int, patients: list[str], minutes: float, streams: int, share: float) -> None:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(client_at(RunningApplication(address)))
        await client.ready()
        async with asyncio.timeout(HANG):
            while (await client.get("/health")).body["status"] != "up":
                pass  # the card reader loads its networks
        admin = await client.sign_in()
        clinic = Clinic(admin, patients)
        heard: Counter[str] = Counter()
        paths = itertools.cycle(("/events/board/utama", "/events/board/umum", "/events/board/gigi", "/events/operator"))
        listening = [asyncio.create_task(listen(admin, path, heard)) for path in itertools.islice(paths, streams)]
        most = await capacity(clinic)
        print(f"{streams} streams; busy, the application answers {number(most)} requests/s", flush=True)
        heard.clear()
        await soak(clinic, most * share, minutes * 60, pid)
        print(f"  streams: {heard['events']:,} events, {heard['ended early']} ended before their time", flush=True)
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--share", type=float, default=0.67)
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as base:
        folder = made_with_admin(Path(base))
        patients = asyncio.run(register_all(f"sqlite+aiosqlite:///{folder / 'users.db'}", 500))
        port = str(free_port())
        with serving("bench/application.py", "--port", port, env={"MEDIQ_DATA": str(folder)}) as application:
            uvloop.run(run(application.address, application.pid, patients, given.minutes, given.streams, given.share))
    print(machine())


if __name__ == "__main__":
    main()

"""Measures the cost of reading a card: in the engine, in the whole application, and with two cards at once.

    python bench/cards.py [--cards 4] [--rounds 3]

The reference is rapidocr, the general reader that carries the engine's networks, without its angle classifier. It reads
the same pictures. Reader and engine each run in a process of their own, which first reads another card to warm up. In
the application a card goes from its upload over HTTP to the ticket of the registered patient.
"""

import sys
from pathlib import Path

sys.path.pop(0)  # the folder of this file, whose queue.py would stand before the library's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from bench.gateway import RunningApplication, the_application
from bench.measure import Served, costing, machine, measured, report, show
from tests.fixtures.client import Client, client_at
from tests.fixtures.visitors import CLEAN, card

GENERAL, ENGINE, APPLICATION = "the general reader alone", "mediq's engine alone", "mediq, from upload to ticket"
IN_A_ROW, AT_ONCE = "two cards in a row", "two cards at once"
GOALS = {APPLICATION: "≤ 0.8", ENGINE: "≤ 0.8"}


def read_with(kind: str, files: list[Path]) -> None:
    """Read the files one by one, the first to warm up, then two at once; report seconds for each card."""
    read: Callable[[bytes], object]
    if kind == "general":
        from rapidocr import RapidOCR

        reader = RapidOCR(params={"Global.log_level": "critical"})
        read = partial(reader, use_cls=False)
    else:
        from mediq.ocr_engine.reader import CardReader

        read = CardReader(threads=2).read
    pictures = [file.read_bytes() for file in files]
    read(pictures.pop(0))
    took, spent = [], time.process_time()
    for picture in pictures:
        begun = time.perf_counter()
        read(picture)
        took.append(time.perf_counter() - begun)
    spent = time.process_time() - spent
    begun = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(read, pictures[:2]))
    at_once = time.perf_counter() - begun
    report({"card": statistics.mean(took), "cpu": spent / len(took), "row": sum(took[:2]), "at once": at_once})


class FrontDesk:
    """Uploads cards to an application and waits for their patients to be registered."""

    def __init__(self, application: Served, bearer: dict[str, str]) -> None:
        self.application, self.bearer = application, bearer

    async def _register(self, pictures: list[bytes]) -> float:
        async with client_at(RunningApplication(int(self.application.said))) as connected:
            client = Client(connected.http, {"access_token": self.bearer["Authorization"].removeprefix("Bearer ")})
            begun = time.perf_counter()
            answers = await asyncio.gather(*(client.upload(picture, wait=30) for picture in pictures))
            took = time.perf_counter() - begun
            assert all(answer.body["status"] == "REGISTERED" for answer in answers), answers
            return took

    def one_by_one(self, pictures: list[bytes]) -> float:
        """Seconds for all pictures, each uploaded after the one before is registered."""
        return sum(asyncio.run(self._register([picture])) for picture in pictures)

    def at_once(self, pictures: list[bytes]) -> float:
        """Seconds for all pictures, uploaded together."""
        return asyncio.run(self._register(pictures))


def run(count: int = 4, rounds: int = 3) -> None:
    warm, *cards = [card(seed) for seed in CLEAN[: count + 1]]
    found: dict[str, list[float]] = {GENERAL: [], ENGINE: [], APPLICATION: []}
    spent: dict[str, list[float]] = {GENERAL: [], ENGINE: [], APPLICATION: []}
    engine: dict[str, list[float]] = {IN_A_ROW: [], AT_ONCE: []}
    application: dict[str, list[float]] = {IN_A_ROW: [], AT_ONCE: []}
    with tempfile.TemporaryDirectory() as folder, the_application() as (served, bearer, _):
        files = [Path(folder) / f"{number}.jpg" for number in range(count + 1)]
        for file, picture in zip(files, [warm, *cards], strict=True):
            file.write_bytes(picture)
        client = FrontDesk(served, bearer)
        client.one_by_one([warm])
        for _ in range(rounds):
            for name, kind in ((GENERAL, "general"), (ENGINE, "mediq")):
                read = measured(__file__, "--read", kind, *files)
                found[name].append(read["card"])
                spent[name].append(read["cpu"])
            engine[IN_A_ROW].append(read["row"])
            engine[AT_ONCE].append(read["at once"])
            took, cpu = costing(served.pid, lambda: client.one_by_one(cards))
            found[APPLICATION].append(took / count)
            spent[APPLICATION].append(cpu / count)
            application[IN_A_ROW].append(client.one_by_one(cards[:2]))
            application[AT_ONCE].append(client.at_once(cards[:2]))
    show("A card", "seconds", found, goals=GOALS)
    show("The same, as CPU of the process that reads", "s of CPU", spent)
    show("Two cards, engine", "seconds", engine, goals={AT_ONCE: "≤ 1.1"})
    show("Two cards, application", "seconds", application, goals={AT_ONCE: "≤ 1.1"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cards", type=int, default=4, help="cards in a round, at most 5")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--read", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        kind, *files = given.read
        read_with(kind, [Path(file) for file in files])
        return
    print(machine())
    run(given.cards, given.rounds)


if __name__ == "__main__":
    main()

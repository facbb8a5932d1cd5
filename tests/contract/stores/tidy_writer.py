"""A queue process that tidies its log or ends its day, and stops dead at one place on the way there.

`python -m tests.contract.stores.tidy_writer LOG WORK PLACE AT`. WORK is `tidy` or `close`, AT the time that it is. It
prints `there` before (`before-append`) or after (`after-trim`) what PLACE names, and then goes no further until it is
killed; if it never comes there it prints `done`.
"""

import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mediq.domain import commands
from mediq.stores.eventlog import EventLog
from mediq.stores.ledger import Ledger
from tests.contract.stores.conftest import log_at
from tests.unit.domain.journal import CLINIC


class Stopping:
    """A log that lets nobody pass one place."""

    def __init__(self, log: EventLog, place: str) -> None:
        self._log = log
        self._place = place

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append(self, expected_version: int, events: Sequence[bytes]) -> int:
        await self._pass("before-append")
        version = await self._log.append(expected_version, events)
        await self._pass("after-append")
        return version

    async def save_snapshot(self, version: int, blob: bytes) -> None:
        await self._pass("before-snapshot")
        await self._log.save_snapshot(version, blob)
        await self._pass("after-snapshot")

    async def trim(self, upto_version: int) -> int:
        removed = await self._log.trim(upto_version)
        await self._pass("after-trim")
        return removed

    async def _pass(self, place: str) -> None:
        if place == self._place:
            print("there", flush=True)
            await asyncio.Event().wait()


async def write(where: str, work: str, place: str, at: datetime) -> None:
    log = log_at(where)
    await log.open()

    async def published(_events: object) -> None:
        await asyncio.sleep(0)

    ledger = Ledger(Stopping(log, place), CLINIC, on_recorded=published)
    await ledger.restore()
    run = asyncio.create_task(ledger.run())
    if work == "tidy":
        await ledger.tidy(at)
    else:
        await ledger.submit(commands.CloseDay(at=at, actor="system", why="day-over"))
    run.cancel()
    print("done", flush=True)
    await log.close()


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2], sys.argv[3], datetime.fromisoformat(sys.argv[4])))

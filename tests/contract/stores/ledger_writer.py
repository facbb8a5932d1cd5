"""A queue process at its hardest: many commands at once on a log that others append to, each answer printed.

`python -m tests.contract.stores.ledger_writer LOG NAME ROUNDS`. A round starts with a line on standard input and ends
with the line `ready`. Each patient draws a number, and all processes call for the same counter. The same name asks
with the same keys: what an earlier run was told comes out the same.
"""

import asyncio
import sys
from datetime import datetime, timedelta

from mediq.domain import commands
from mediq.domain.commands import Command
from mediq.domain.errors import DomainError
from mediq.stores.ledger import Ledger
from tests.contract.stores.conftest import log_at
from tests.unit.domain.journal import CLINIC, MORNING

PATIENTS = 40
"""How many there are in a round; they all come at once."""


async def write(place: str, name: str, rounds: int) -> None:
    log = log_at(place)
    await log.open()

    async def published(_events: object) -> None:
        await asyncio.sleep(0)

    ledger = Ledger(log, CLINIC, on_recorded=published, shared=True)
    await ledger.restore()
    run = asyncio.create_task(ledger.run())

    async def ask(command: Command) -> str | None:
        try:
            state, decision = await ledger.submit(command)
        except DomainError as refusal:
            print(command.key, "refused", refusal.reason, flush=True)
            return None
        assert decision.ticket_id is not None
        ticket = state.ticket(decision.ticket_id)
        assert ticket is not None
        print(command.key, "done", ticket.number, flush=True)
        return ticket.id

    async def serve(n: int, at: datetime) -> None:
        called = await ask(commands.CallNext(at=at, actor=name, key=f"call-{name}-{n}", counter="1"))
        if called is not None:
            await ask(commands.Complete(at=at, actor=name, key=f"complete-{name}-{n}", ticket_id=called))

    for round_ in range(rounds):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        async with asyncio.TaskGroup() as group:
            for n in range(round_ * PATIENTS, (round_ + 1) * PATIENTS):
                at = MORNING + timedelta(seconds=n)
                who = f"{name}-{n}"
                added = commands.AddPatient(
                    at=at, actor=name, key=f"add-{who}", ticket_id=f"t-{who}", token=f"k-{who}", user_id=f"u-{who}"
                )
                group.create_task(ask(added))
                if n % 4 == 3:
                    group.create_task(serve(n, at))
    run.cancel()
    await log.close()


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3])))

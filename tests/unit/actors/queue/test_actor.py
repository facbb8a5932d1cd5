"""The queue service over the in-memory transport: tickets for patients that the user service has just registered."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from mediq.actors.queue.actor import QueueActor
from mediq.actors.queue.event_store.sqlite import SqliteEventLog
from mediq.actors.queue.messages import AddPatient, AddRegistered
from mediq.actors.queue.rules.ticket import Priority
from mediq.actors.users.messages import FindPeople, Person
from mediq.runtime.actor import Actor, handles
from mediq.runtime.bus import Bus
from mediq.runtime.cell import ActorCell
from mediq.runtime.context import Context
from mediq.transport.memory import MemoryTransport
from tests.fixtures.queue.journal import CLINIC, MORNING

MAILBOXES = {"queue": "queue", "user": "user"}
SIXTY_TODAY = date(1966, 11, 23)
SIXTY_TOMORROW = date(1966, 11, 24)


class UserService(Actor):
    """A user service whose patients turn sixty today. It notes the ids that it is asked for."""

    name = "user"

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        self.asked: list[str] = []

    @handles(FindPeople)
    async def find(self, message: FindPeople, context: Context) -> tuple[Person, ...]:
        self.asked += message.ids
        return tuple(Person(id=each, patient=True, born=SIXTY_TODAY) for each in message.ids)


@pytest.fixture
async def bus() -> AsyncIterator[Bus]:
    transport = MemoryTransport()
    await transport.start()
    bus = Bus(transport, MAILBOXES)
    await bus.start()
    yield bus
    await bus.stop()
    await transport.stop()


@pytest.fixture
async def users(bus: Bus, tmp_path: Path) -> AsyncIterator[UserService]:
    """A user service beside a queue service, both at work."""
    log = SqliteEventLog(tmp_path / "queue.db")
    await log.open()
    users = UserService(bus)
    queue = QueueActor(bus, log, CLINIC, shared=False, cleanup_seconds=3600, clock=lambda: MORNING)
    cells = [ActorCell(actor, bus.transport, MAILBOXES[actor.name]) for actor in (users, queue)]
    for cell in cells:
        await cell.start()
    running = [asyncio.create_task(cell.run()) for cell in cells]
    yield users
    for cell in cells:
        await cell.stop()
    await asyncio.gather(*running)
    await log.close()


async def test_a_registered_patient_gets_a_ticket_without_a_request_to_the_user_service(
    bus: Bus, users: UserService
) -> None:
    ticket = await bus.ask(AddRegistered(user_id="siti"))
    assert (ticket.number, ticket.service, ticket.priority) == ("A-001", "umum", Priority.NORMAL)
    assert users.asked == []
    assert (await bus.ask(AddPatient(user_id="budi"))).number == "A-002"
    assert users.asked == ["budi"]


@pytest.mark.parametrize(
    ("born", "priority", "reason"),
    [(SIXTY_TODAY, Priority.HIGH, "lansia"), (SIXTY_TOMORROW, Priority.NORMAL, None), (None, Priority.NORMAL, None)],
)
async def test_a_registered_patient_of_sixty_gets_the_priority_lansia(
    bus: Bus, users: UserService, born: date | None, priority: Priority, reason: str | None
) -> None:
    ticket = await bus.ask(AddRegistered(user_id="siti", born=born))
    assert (ticket.priority, ticket.priority_reason) == (priority, reason)
    assert users.asked == []


async def test_a_repetition_of_a_registered_patient_gets_the_first_ticket(bus: Bus, users: UserService) -> None:
    first = await bus.ask(AddRegistered(user_id="siti", born=SIXTY_TODAY), key="job-1")
    again = await bus.ask(AddRegistered(user_id="siti", born=SIXTY_TODAY), key="job-1")
    assert again == first
    assert (await bus.ask(AddPatient(user_id="siti"))).id == first.id, "a patient has one active ticket for a service"

"""What event streams send, held against the description: every event that a running application sends is described."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_schema_validator import OAS31Validator

from mediq.actors.queue.event_store.sqlite import SqliteEventLog
from mediq.actors.queue.rules.events import DayClosed, Event, Recorded, TicketIssued
from mediq.actors.queue.rules.ticket import Priority
from mediq.http.openapi import document
from mediq.http.routes import table
from tests.fixtures.application import GENEROUS, HANG, Application, made_with_admin, running
from tests.fixtures.client import Client, EventStream, client_at
from tests.fixtures.visitors import CLEAN, card, new_nik

DOCUMENT: dict[str, Any] = json.loads(document(table(open_registration=False)))
OLD_TOKEN = "tautan-pasien-kemarin"


def closed(tree: Any) -> Any:
    """The same schemas, with every property refused that they do not describe."""
    match tree:
        case {"properties": dict()}:
            return {name: closed(value) for name, value in tree.items()} | {"additionalProperties": False}
        case dict():
            return {name: closed(value) for name, value in tree.items()}
        case list():
            return [closed(value) for value in tree]
        case _:
            return tree


COMPONENTS = {"schemas": closed(DOCUMENT["components"]["schemas"])}


def described(path: str) -> dict[str, Any]:
    """The schema of each event of a stream, by the event's name."""
    content = DOCUMENT["paths"][path]["get"]["responses"]["200"]["content"]
    return dict(content["text/event-stream"]["x-events"])


class Follower:
    """Reads a stream and notes what in it differs from the description of `path`."""

    def __init__(self, path: str, stream: EventStream) -> None:
        self.seen: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._stream = stream
        self._schemas = described(path)
        self._changed = asyncio.Condition()

    async def read(self) -> None:
        while (event := await self._stream.next()) is not None:
            schema = self._schemas.get(event.name)
            if schema is None:
                self.wrong.append(f"{event.name} is not described")
            else:
                validator = OAS31Validator(schema | {"components": COMPONENTS})
                self.wrong += [f"{event.name}: {error.message}" for error in validator.iter_errors(event.data)]
            async with self._changed:
                self.seen[event.name] += 1
                self._changed.notify_all()

    async def saw(self, name: str, times: int = 1) -> None:
        """Return when the event of that name has been seen so often."""
        async with asyncio.timeout(HANG), self._changed:
            await self._changed.wait_for(lambda: self.seen[name] >= times)

    def check(self) -> None:
        """Every event was described, and every event that is described was seen."""
        assert self.wrong == []
        assert set(self.seen) == set(self._schemas)


@asynccontextmanager
async def following(client: Client, path: str, **parameters: str) -> AsyncIterator[Follower]:
    async with client.events(path.format(**parameters)) as stream:
        follower = Follower(path, stream)
        reading = asyncio.create_task(follower.read())
        try:
            yield follower
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def write_log(folder: Path, *events: tuple[datetime, Event]) -> None:
    """Write an event log for the application to start with."""
    log = SqliteEventLog(folder / "queue.db")
    await log.open()
    recorded = [Recorded(version=n, at=at, actor="meja", event=event) for n, (at, event) in enumerate(events, 1)]
    await log.append(0, [msgspec.msgpack.encode(each) for each in recorded])
    await log.close()


def a_day_with_one_ticket(day: date) -> list[tuple[datetime, Event]]:
    at = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=3)
    issued = TicketIssued(
        ticket_id="tiket-kemarin",
        number="B-001",
        service="gigi",
        token=OLD_TOKEN,
        user_id="pasien-kemarin",
        day=day,
        priority=Priority.NORMAL,
    )
    return [(at, issued), (at, DayClosed(day=day, ended=1, forget_before=day - timedelta(days=30)))]


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Application]:
    """An application of the test's own, whose day it may close. It has a ticket of yesterday."""
    folder = made_with_admin(tmp_path)
    asyncio.run(write_log(folder, *a_day_with_one_ticket((datetime.now(UTC) - timedelta(days=1)).date())))
    with running(tmp_path, GENEROUS) as application:
        yield application
        assert application.stop() == 0, application.log


@pytest.fixture
async def staff(clinic: Application) -> AsyncIterator[Client]:
    async with client_at(clinic) as client:
        await client.ready()
        yield await client.sign_in()


async def succeed(staff: Client, method: str, path: str, body: object = None) -> dict[str, Any]:
    answered = await staff.ask(method, path, json=body)
    assert answered.status in (200, 201), answered
    return dict(answered.body)


async def change_clinic(staff: Client) -> None:
    seen = await succeed(staff, "GET", "/clinic")
    services = [{name: each[name] for name in ("id", "name", "letter", "opens", "closes")} for each in seen["services"]]
    counters = [{name: each[name] for name in ("id", "name", "services")} for each in seen["counters"]]
    body = {"name": seen["name"], "timezone": seen["timezone"], "services": services, "counters": counters}
    await succeed(staff, "PUT", "/clinic", body | {"notice": f"{seen['notice']}!"})


async def test_a_board_sends_every_event_as_described(staff: Client) -> None:
    async with following(staff, "/events/board/{board}", board="all") as board:
        await succeed(staff, "POST", "/queue/counters/3/open", {})
        ticket = await staff.queue(await staff.register(new_nik()), service="gigi")
        await succeed(staff, "PATCH", "/queue/call-next", {"counter": "3"})
        await succeed(staff, "PATCH", f"/queue/{ticket['id']}/start", {})
        await succeed(staff, "PATCH", f"/queue/{ticket['id']}/complete", {})
        await succeed(staff, "POST", "/queue/undo", {"counter": "3"})
        await succeed(staff, "PATCH", f"/queue/{ticket['id']}/complete", {})
        ticket = await staff.queue(await staff.register(new_nik()), service="gigi")
        await succeed(staff, "PATCH", "/queue/call-next", {"counter": "3"})
        for verb, body in (
            ("recall", {}),
            ("skip", {}),
            ("requeue", {}),
            ("hold", {}),
            ("resume", {}),
            ("priority", {"priority": "HIGH", "priority_reason": "hamil"}),
            ("transfer", {"service": "umum"}),
        ):
            await succeed(staff, "PATCH", f"/queue/{ticket['id']}/{verb}", body)
        await succeed(staff, "DELETE", f"/queue/{ticket['id']}")
        await succeed(staff, "POST", "/queue/counters/3/close", {})
        await change_clinic(staff)
        await succeed(staff, "POST", "/queue/close-day", {"why": "uji"})
        await board.saw("day-closed")
        board.check()


async def test_the_operators_stream_sends_every_event_as_described(staff: Client) -> None:
    async with following(staff, "/events/operator") as operator:
        await staff.queue(await staff.register(new_nik()), service="umum")
        await operator.saw("snapshot", 2)
        await change_clinic(staff)
        await operator.saw("clinic-changed")
        await staff.upload(card(CLEAN[0]))
        await operator.saw("card", 2)
        operator.check()


async def test_a_tickets_stream_sends_every_event_as_described(staff: Client) -> None:
    """The ticket is of yesterday: it is gone once today has been closed too."""
    async with following(Client(staff.http), "/events/ticket/{token}", token=OLD_TOKEN) as ticket:
        await ticket.saw("ticket")
        await staff.queue(await staff.register(new_nik()), service="gigi")
        await succeed(staff, "POST", "/queue/close-day", {"why": "uji"})
        await ticket.saw("gone")
        ticket.check()

"""A steady stream of patients and calls at the gateways of a split house, which goes on whatever breaks behind them.

Every client insists: what was not answered with success is asked again under the same Idempotency-Key, so that at the
end each undertaking has one known outcome, and the books can be compared with the house's.
"""

import asyncio
import itertools
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, NamedTuple, Self

import aiohttp
import msgspec

from mediq.domain.events import Recorded, TicketCalled, TicketIssued
from mediq.stores.redis_eventlog import RedisEventLog
from tests.fixtures.desk import Desk, Reply, desk_at
from tests.fixtures.house import HANG, House
from tests.fixtures.split import Split
from tests.fixtures.visitors import new_nik

THINKING: Final = 1.5
"""Seconds between two undertakings of a client that meets no trouble."""
AGAIN: Final = 0.25
"""Seconds after which a client that was refused asks again."""
PATIENTS: Final = 8
"""Clients at each gateway that register patients."""
COUNTERS: Final = {"1": "umum", "2": "umum", "3": "gigi"}
_decode: Final = msgspec.msgpack.Decoder(Recorded).decode


class Answer(NamedTuple):
    """One answer: `began` is monotonic; the `status` is 0 where the gateway itself was not there."""

    what: str
    began: float
    seconds: float
    status: int
    problem: str

    @property
    def ended(self) -> float:
        return self.began + self.seconds

    @property
    def good(self) -> bool:
        return self.status in (200, 201) or self.problem == "nobody-waiting"


class Stream:
    """Patients and counters at both gateways, as long as the block lasts; then every client ends what it has begun."""

    def __init__(self, split: Split, tokens: Mapping[str, Any]) -> None:
        self.answers: list[Answer] = []
        self.users: dict[str, str] = {}
        self.issued: dict[str, str] = {}
        self.called: dict[str, str] = {}
        self.opened: set[str] = set()
        """The breakers that were seen open, as `gateway/service`."""
        self._open_now: set[str] = set()
        self._split = split
        self._tokens = tokens
        self._stack = AsyncExitStack()
        self._desks: list[Desk] = []
        self._ending = asyncio.Event()
        self._happened = asyncio.Condition()
        self._clients: list[asyncio.Task[None]] = []
        self._aside: list[asyncio.Task[None]] = []
        self._last_good: dict[str, float] = {}
        self._boards = [-1] * len(split.gateways)
        self._services = itertools.cycle(["umum", "gigi"])

    async def __aenter__(self) -> Self:
        for house in self._split.gateways:
            self._desks.append(Desk((await self._stack.enter_async_context(desk_at(house))).http, self._tokens))
        starts: list[tuple[str, Callable[[str, int], Coroutine[Any, Any, None]]]] = [
            *((f"patients-{n}", self._patients) for n in range(PATIENTS * len(self._desks))),
            *((f"counter-{counter}", self._counter) for counter in COUNTERS),
        ]
        for number, (name, work) in enumerate(starts):
            self._last_good[name] = 0.0
            self._clients.append(asyncio.create_task(work(name, number % len(self._desks))))
        for number, house in enumerate(self._split.gateways):
            self._aside += [
                asyncio.create_task(self._watch_breakers(house)),
                asyncio.create_task(self._watch_board(number)),
            ]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._ending.set()
                async with asyncio.timeout(HANG):
                    await asyncio.gather(*self._clients)
                await self._compare_the_books()
        finally:
            for task in (*self._clients, *self._aside):
                task.cancel()
            results = await asyncio.gather(*self._clients, *self._aside, return_exceptions=True)
            await self._stack.aclose()
        if kind is None:
            for result in results:
                if isinstance(result, Exception):
                    raise result

    async def flowing(self, since: float, within: float) -> None:
        """Return when every client has been served with what it asked after `since`, and every breaker is closed."""
        async with asyncio.timeout(within), self._happened:
            await self._happened.wait_for(
                lambda: not self._open_now and all(good > since for good in self._last_good.values())
            )

    # Clients

    async def _patients(self, name: str, gateway: int) -> None:
        while not self._ending.is_set():
            nik = new_nik()
            body = {"nik": nik, "nama": "SITI UJI"}
            created = await self._insist(name, gateway, "POST", "/users", body)
            self.users[nik] = created.body["id"]
            add = {"user_id": created.body["id"], "service": next(self._services)}
            ticket = await self._insist(name, gateway, "POST", "/queue/add", add)
            assert ticket.body["id"] not in self.issued, "two patients have one ticket"
            self.issued[ticket.body["id"]] = ticket.body["number"]
            await self._think()

    async def _counter(self, name: str, gateway: int) -> None:
        counter = name.removeprefix("counter-")
        while not self._ending.is_set():
            called = await self._insist(name, gateway, "PATCH", "/queue/call-next", {"counter": counter})
            if called.status == 200:
                ticket_id = called.body["id"]
                assert ticket_id not in self.called, "one patient was called twice"
                assert called.body["counter"] == counter
                self.called[ticket_id] = counter
                await self._insist(name, gateway, "PATCH", f"/queue/{ticket_id}/complete", {})
            await self._think()

    async def _think(self) -> None:
        try:
            async with asyncio.timeout(THINKING):
                await self._ending.wait()
        except TimeoutError:
            return

    async def _insist(self, name: str, gateway: int, method: str, path: str, body: object) -> Reply:
        """Ask until the answer is a good one, and at the other gateway where this one is not there."""
        key = {"Idempotency-Key": uuid.uuid4().hex}
        what = re.sub(r"/[0-9a-f]{32}", "/{id}", f"{method} {path}")
        while True:
            reply, answer = None, Answer(what, time.monotonic(), 0.0, 0, "")
            try:
                reply = await self._desks[gateway].ask(method, path, json=body, headers=key)
                answer = answer._replace(status=reply.status, problem=reply.problem if reply.status >= 400 else "")
            except (aiohttp.ClientError, ConnectionError):
                gateway = (gateway + 1) % len(self._desks)
            answer = answer._replace(seconds=time.monotonic() - answer.began)
            self.answers.append(answer)
            if reply is not None and answer.good:
                async with self._happened:
                    self._last_good[name] = answer.began
                    self._happened.notify_all()
                return reply
            assert answer.status in (0, 503, 504), (what, reply)
            assert reply is None or int(reply.headers["Retry-After"]) >= 1
            await asyncio.sleep(AGAIN)

    # Onlookers

    async def _watch_breakers(self, house: House) -> None:
        async with desk_at(house) as desk:
            while True:
                try:
                    text = (await desk.get("/metrics")).body
                except (aiohttp.ClientError, ConnectionError):
                    text = ""
                found = {
                    f"{house.address}/{service}"
                    for service in re.findall(r'^mediq_breaker_open\{service="(\w+)"\} 1', text, re.MULTILINE)
                }
                self.opened |= found
                async with self._happened:
                    self._open_now = {one for one in self._open_now if not one.startswith(house.address)} | found
                    self._happened.notify_all()
                await asyncio.sleep(AGAIN)

    async def _watch_board(self, gateway: int) -> None:
        """A screen that comes back by itself: after a snapshot, every event follows its predecessor."""
        last: int | None = None
        while True:
            try:
                async with self._desks[gateway].http.get(
                    "/events/board/all", headers={} if last is None else {"Last-Event-ID": str(last)}
                ) as response:
                    if response.status == 200:
                        async for line in response.content:
                            name, _, value = line.decode().strip().partition(": ")
                            if name == "event":
                                kind = value
                            elif name == "id":
                                number = int(value)
                            elif name == "data":
                                assert kind == "snapshot" or last is None or number == last + 1, (last, number, kind)
                                last = self._boards[gateway] = number
                                async with self._happened:
                                    self._happened.notify_all()
            except (aiohttp.ClientError, ConnectionError):
                pass
            await asyncio.sleep(AGAIN)

    # The books

    async def _compare_the_books(self) -> None:
        """What was answered with success is there; no number is lost or doubled; no patient is there twice."""
        events = await self._events()
        issued = [recorded.event for recorded in events if isinstance(recorded.event, TicketIssued)]
        called = [recorded.event for recorded in events if isinstance(recorded.event, TicketCalled)]
        assert [recorded.version for recorded in events] == list(range(1, len(events) + 1))
        for letter in ("A", "B"):
            numbers = [event.number for event in issued if event.number[0] == letter]
            assert numbers == [f"{letter}-{n:03}" for n in range(1, len(numbers) + 1)], "numbers lost or doubled"
        assert max(Counter(event.user_id for event in issued).values()) == 1, "a patient has two tickets"
        assert max(Counter(event.ticket_id for event in called).values()) == 1, "a patient was called twice"
        in_log = {event.ticket_id: event.number for event in issued}
        assert {ticket: in_log.get(ticket) for ticket in self.issued} == self.issued
        counters = {event.ticket_id: event.counter for event in called}
        assert {ticket: counters.get(ticket) for ticket in self.called} == self.called
        known = await self._known()
        niks = Counter(nik for nik, _ in known)
        assert max(niks.values()) == 1, "a patient was registered twice"
        assert {nik: dict(known).get(nik) for nik in self.users} == self.users
        async with asyncio.timeout(HANG), self._happened:
            await self._happened.wait_for(lambda: set(self._boards) == {len(events)})

    async def _events(self) -> list[Recorded]:
        log = RedisEventLog(self._split.servers.redis_url)
        await log.open()
        try:
            return [_decode(blob) for _, blob in await log.read(0, 1_000_000)]
        finally:
            await log.close()

    async def _known(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for page in itertools.count(1):
            reply = await self._desks[0].get(f"/users?role=PASIEN&limit=100&page={page}")
            assert reply.status == 200, reply
            found += [(user["nik"], user["id"]) for user in reply.body["data"]]
            if page >= reply.body["pagination"]["pages"]:
                return found
        raise AssertionError("unreachable")

"""Power cuts: whatever was answered is there after the restart, and nothing is there twice."""

import asyncio
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fixtures.application import ADMIN, HANG, Application, made_with_admin, running
from tests.fixtures.client import Client, client_at
from tests.fixtures.specimens.cards import person
from tests.fixtures.visitors import CLEAN, card, new_nik

ROUNDS = 8
CLERKS = 4


class Notebook:
    """What the clerks were answered, and what they asked without an answer."""

    def __init__(self) -> None:
        self.users: dict[str, str] = {}
        self.tickets: dict[str, str] = {}
        self.called: set[str] = set()
        self.completed: set[str] = set()
        self.asked: list[str] = []
        self.answers = 0


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    made_with_admin(tmp_path)
    with running(tmp_path) as application:
        yield application


async def test_kills_at_any_moment_lose_nothing_that_was_answered(application: Application) -> None:
    rng = random.Random("power cuts")
    book = Notebook()
    for _ in range(ROUNDS):
        async with client_at(application) as client:
            await client.ready()
            admin = await client.sign_in()
            await _compare(admin, book)
            cut = asyncio.Event()
            after = book.answers + rng.randint(3, 60)
            clerks = [asyncio.create_task(_clerk(admin, book, counter, cut)) for counter in ("1", "2", "", "")]
            assert len(clerks) == CLERKS
            await _until(lambda after=after: book.answers >= after, clerks)
            # Somewhere within the writes that are now under way.
            await asyncio.sleep(rng.uniform(0, 0.02))
            application.kill()
            cut.set()
            await asyncio.gather(*clerks)
        application.start()
    async with client_at(application) as client:
        await client.ready()
        admin = await client.sign_in()
        await _compare(admin, book)
        # The same requests again, under the same keys: whoever was not answered is registered now, and nobody twice.
        for nik in book.asked:
            assert await _register(admin, book, nik)
        await _compare(admin, book)
        total = (await admin.get("/users?limit=1&role=PASIEN")).body["pagination"]["total"]
        assert total == len(book.asked)
        assert len(book.tickets) == len(book.asked)
    assert application.stop() == 0
    print(f"{ROUNDS} kills, {len(book.asked)} patients, {len(book.completed)} served, {book.answers} answers")
    for name in ("users.db", "queue.db", "cards.db"):
        with sqlite3.connect(application.folder / name) as file:
            assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def _until(reached: Any, clerks: list[asyncio.Task[None]]) -> None:
    while not reached():
        await asyncio.sleep(0)
        for clerk in clerks:
            assert not clerk.done(), "no clerk stops before the cut"


async def _clerk(admin: Client, book: Notebook, counter: str, cut: asyncio.Event) -> None:
    """Register patients and draw their numbers, and at a counter call and complete as well, until the power is cut."""
    while not cut.is_set():
        nik = new_nik()
        book.asked.append(nik)
        try:
            await _register(admin, book, nik)
            if counter:
                await _serve(admin, book, counter)
        except (aiohttp.ClientError, ConnectionError):
            await cut.wait()


async def _register(admin: Client, book: Notebook, nik: str) -> bool:
    created = await admin.post("/users", {"nik": nik, "nama": "PASIEN UJI"}, headers={"Idempotency-Key": f"user-{nik}"})
    assert created.status == 201, created
    assert book.users.setdefault(nik, created.body["id"]) == created.body["id"]
    book.answers += 1
    body = {"user_id": created.body["id"]}
    issued = await admin.post("/queue/add", body, headers={"Idempotency-Key": f"ticket-{nik}"})
    assert issued.status == 201, issued
    assert book.tickets.setdefault(nik, issued.body["number"]) == issued.body["number"]
    book.answers += 1
    return True


async def _serve(admin: Client, book: Notebook, counter: str) -> None:
    called = await admin.patch("/queue/call-next", {"counter": counter})
    if called.status == 200:
        assert called.body["id"] not in book.called, "nobody is called to two counters"
        book.called.add(called.body["id"])
        book.answers += 1
        ticket_id = called.body["id"]
    else:
        # Called before the cut, and not yet completed.
        assert called.status == 409, called
        [busy] = (await admin.get(f"/queue?counter={counter}&status=CALLED")).body["data"]
        ticket_id = busy["id"]
        book.called.add(ticket_id)
    done = await admin.patch(f"/queue/{ticket_id}/complete")
    assert (done.status, done.body["status"]) == (200, "COMPLETED"), done
    book.completed.add(ticket_id)
    book.answers += 1


async def _compare(admin: Client, book: Notebook) -> None:
    """Everything that was answered is there; numbers have neither gap nor repeat, and no NIK two users."""
    users = await _all(admin, "/users?role=PASIEN")
    assert max(Counter(user["nik"] for user in users).values(), default=1) == 1
    found = {user["nik"]: user["id"] for user in users}
    assert found.items() >= book.users.items()
    assert found.keys() <= set(book.asked)

    tickets = [
        ticket
        for status in ("WAITING", "CALLED", "COMPLETED")
        for ticket in await _all(admin, f"/queue?status={status}")
    ]
    numbers = sorted(int(re.sub("[^0-9]", "", ticket["number"])) for ticket in tickets)
    assert numbers == list(range(1, len(numbers) + 1))
    assert {ticket["number"] for ticket in tickets} >= set(book.tickets.values())
    assert len(set(book.tickets.values())) == len(book.tickets)
    done = {ticket["id"] for ticket in tickets if ticket["status"] == "COMPLETED"}
    assert done >= book.completed
    statistics = (await admin.get("/queue/statistics")).body
    assert (statistics["tickets"], statistics["by_status"]["COMPLETED"]) == (len(tickets), len(done))


async def _all(admin: Client, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page, pages = 1, 1
    while page <= pages:
        answered = await admin.get(f"{path}&limit=100&page={page}")
        assert answered.status == 200, answered
        found += answered.body["data"]
        page, pages = page + 1, answered.body["pagination"]["pages"]
    return found


async def test_a_card_that_was_accepted_comes_to_its_end(application: Application) -> None:
    """Killed at once after the answer, while the card is read, and again while the restarted application reads it."""
    jobs = []
    async with client_at(application) as client:
        await client.ready()
        admin = await client.sign_in()
        for seed in CLEAN[:2]:
            accepted = await admin.upload(card(seed), headers={"Idempotency-Key": f"card-{seed}"})
            assert accepted.status == 202, accepted
            jobs.append(accepted.body["id"])
        application.kill()
    application.start()
    application.kill()
    application.start()
    async with client_at(application) as client:
        await client.ready()
        admin = await client.sign_in()
        numbers = []
        for seed, job_id in zip(CLEAN, jobs, strict=False):
            result = await admin.result_of(job_id)
            assert result["status"] == "REGISTERED", result
            assert (await admin.get(f"/users?search={person(seed)['nik']}")).body["pagination"]["total"] == 1
            numbers.append(result["ticket"]["number"])
            # The same upload again, by whoever lost the answer: the same job.
            again = await admin.upload(card(seed), headers={"Idempotency-Key": f"card-{seed}"})
            assert (again.status, again.body["id"]) == (202, job_id)
        assert sorted(numbers) == ["A-001", "A-002"]
        assert (await admin.get("/queue/statistics")).body["tickets"] == 2


async def test_a_kill_between_the_steps_of_a_registration(application: Application) -> None:
    """Cards registered one after the other, killed as soon as a user is seen: one user and one ticket each."""
    seeds = CLEAN[:2]
    jobs = {}
    for seed in seeds:
        async with client_at(application) as client:
            await client.ready()
            admin = await client.sign_in()
            accepted = await admin.upload(card(seed))
            assert accepted.status == 202, accepted
            jobs[seed] = accepted.body["id"]
            async with asyncio.timeout(HANG):
                while not (await admin.get(f"/users/check-nik/{person(seed)['nik']}")).body["exists"]:
                    status = (await admin.get(f"/ocr/status/{jobs[seed]}")).body["status"]
                    assert status in ("PENDING", "PROCESSING", "REGISTERED"), status
        application.kill()
        application.start()
    async with client_at(application) as client:
        await client.ready()
        admin = await client.sign_in()
        for seed in seeds:
            result = await admin.result_of(jobs[seed])
            assert result["status"] == "REGISTERED", result
            assert (await admin.get(f"/users?search={person(seed)['nik']}")).body["pagination"]["total"] == 1
        assert (await admin.get("/queue/statistics")).body["tickets"] == len(seeds)


async def test_a_kill_right_after_the_first_administrator(tmp_path: Path) -> None:
    with running(tmp_path) as application:
        async with client_at(application) as client:
            await client.ready()
            await client.set_up(application)
            application.kill()
        application.start()
        assert len(application.stdout) == 1, "no second set-up link"
        async with client_at(application) as client:
            await client.ready()
            await client.sign_in(*ADMIN)

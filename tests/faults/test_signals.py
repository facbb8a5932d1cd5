"""Signals: an orderly end that loses nothing, and an end at once for whoever asks twice."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.fixtures.application import GENEROUS, Application, made_with_admin, running
from tests.fixtures.client import client_at
from tests.fixtures.visitors import CLEAN, card, new_nik


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    made_with_admin(tmp_path)
    with running(tmp_path) as application:
        yield application


async def test_sigterm_while_a_card_is_read_loses_nothing(application: Application) -> None:
    async with client_at(application) as client:
        await client.ready()
        admin = await client.sign_in()
        first = await admin.upload(card(CLEAN[0]), headers={"Idempotency-Key": "first"})
        # Someone waits for its result: they are answered, and not cut off.
        waiting = asyncio.create_task(admin.upload(card(CLEAN[0]), wait=30, headers={"Idempotency-Key": "first"}))
        accepted = await admin.upload(card(CLEAN[1]))
        assert (first.status, accepted.status) == (202, 202), accepted
        began = time.perf_counter()
        application.signal(signal.SIGTERM)
        answered = await waiting
        assert answered.status in (200, 202), answered
        assert answered.body["id"] == first.body["id"]
        assert await asyncio.to_thread(application.wait) == 0, application.log
        print(f"ended {time.perf_counter() - began:.1f} s after SIGTERM, with two cards under way")
    assert "Traceback" not in application.log
    application.start()
    async with client_at(application) as client:
        await client.ready()
        admin = await client.sign_in()
        results = [await admin.result_of(job["id"]) for job in (answered.body, accepted.body)]
        assert [result["status"] for result in results] == ["REGISTERED", "REGISTERED"]
        assert {result["ticket"]["number"] for result in results} == {"A-001", "A-002"}
        assert (await admin.get("/queue/statistics")).body["tickets"] == 2


async def test_sigterm_amid_registrations_finishes_what_it_has_begun(application: Application) -> None:
    async with client_at(application) as client:
        await client.ready()
        admin = await client.sign_in()
        niks = [new_nik() for _ in range(60)]
        requests = [asyncio.create_task(admin.post("/users", {"nik": nik, "nama": "SITI"})) for nik in niks]
        await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
        application.signal(signal.SIGTERM)
        answers = await asyncio.gather(*requests, return_exceptions=True)
        assert await asyncio.to_thread(application.wait) == 0, application.log
    created = {nik for nik, answer in zip(niks, answers, strict=True) if getattr(answer, "status", 0) == 201}
    assert created
    for answer in answers:
        assert isinstance(answer, BaseException) or answer.status in (201, 503), answer
    application.start()
    async with client_at(application) as client:
        await client.ready()
        admin = await client.sign_in()
        found = (await admin.get("/users?role=PASIEN&limit=100")).body["data"]
        assert {user["nik"] for user in found} >= created


async def test_a_stop_with_nothing_to_do_is_quick(application: Application) -> None:
    async with client_at(application) as client:
        await client.ready()
    began = time.perf_counter()
    assert application.stop() == 0
    print(f"ended {time.perf_counter() - began:.2f} s after SIGTERM, right after the start")
    assert application.log.count("Traceback") == 0


async def test_ctrl_c_is_the_same(application: Application) -> None:
    application.signal(signal.SIGINT)
    assert application.wait() == 0
    assert "Traceback" not in application.log


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    made_with_admin(tmp_path)
    with running(tmp_path, f"grace_seconds = 60\n{GENEROUS}") as application:
        async with client_at(application) as client:
            await client.ready()
            admin = await client.sign_in()
            # A request whose body never comes to its end keeps the orderly end waiting.
            never = asyncio.Event()

            async def endless() -> AsyncIterator[bytes]:
                yield b"{"
                await never.wait()

            slow = asyncio.create_task(admin.ask("POST", "/users", data=endless()))
            async with admin.events("/events/board/all") as board:
                await board.next()
                application.signal(signal.SIGTERM)
                assert await board.next() is None, "streams end at the first signal"
            began = time.perf_counter()
            application.signal(signal.SIGTERM)
            status = await asyncio.to_thread(application.wait)
            print(f"ended {time.perf_counter() - began:.2f} s after the second signal, status {status}")
            assert status == 1
            slow.cancel()
            await asyncio.gather(slow, return_exceptions=True)

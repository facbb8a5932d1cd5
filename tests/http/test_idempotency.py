"""Idempotency-Key: the same key gives the same answer, after a power cut too."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.application import ADMIN, Application, made_with_admin, running
from tests.fixtures.client import PASSWORD, Client, Reply, client_at
from tests.fixtures.visitors import CLEAN, card, new_nik


def key(text: str) -> dict[str, str]:
    return {"Idempotency-Key": text}


async def test_a_repeated_registration_under_one_key_gives_the_same_user(admin: Client) -> None:
    body = {"nik": new_nik(), "nama": "SITI"}
    first, again = [await admin.post("/users", body, headers=key("user-1")) for _ in range(2)]
    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body
    # Without the key it is a second registration.
    refused = await admin.post("/users", body)
    assert (refused.status, refused.problem, refused.fields) == (409, "nik-taken", ["nik"])
    assert (await admin.get(f"/users?search={body['nik']}")).body["pagination"]["total"] == 1


async def test_concurrent_requests_under_one_key_are_done_once(admin: Client) -> None:
    body = {"nik": new_nik(), "nama": "SITI"}
    answers = await asyncio.gather(*(admin.post("/users", body, headers=key("user-2")) for _ in range(8)))
    assert {answer.status for answer in answers} == {201}, answers
    assert len({answer.body["id"] for answer in answers}) == 1
    user_id = answers[0].body["id"]
    draw = {"user_id": user_id, "service": "gigi"}
    drawn = await asyncio.gather(*(admin.post("/queue/add", draw, headers=key("draw-2")) for _ in range(8)))
    assert {answer.status for answer in drawn} == {201}
    assert len({answer.body["number"] for answer in drawn}) == 1
    await admin.delete(f"/queue/{drawn[0].body['id']}")
    # The key still stands for that ticket, although it is cancelled; without the key there is a new ticket.
    again = await admin.post("/queue/add", draw, headers=key("draw-2"))
    assert (again.body["id"], again.body["status"]) == (drawn[0].body["id"], "CANCELLED")
    fresh = await admin.post("/queue/add", draw)
    assert fresh.body["id"] != drawn[0].body["id"]


async def test_a_key_with_another_body_is_refused(admin: Client) -> None:
    one, two = await admin.register(new_nik()), await admin.register(new_nik())
    assert (await admin.post("/queue/add", {"user_id": one, "service": "gigi"}, headers=key("k"))).status == 201
    refused = await admin.post("/queue/add", {"user_id": two, "service": "gigi"}, headers=key("k"))
    assert (refused.status, refused.problem) == (409, "key-reused")
    assert (await admin.get(f"/queue/status/{two}")).status == 404


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Client]:
    """The administrator of an application with an empty queue."""
    made_with_admin(tmp_path)
    with running(tmp_path) as application:
        async with client_at(application) as client:
            await client.ready()
            yield await client.sign_in()


async def twice(client: Client, method: str, path: str, body: Any, other: Any, name: str = "once") -> Reply:
    """The answer to a request that is repeated under its key, and refused with another body under it."""
    first, again = [await client.ask(method, path, json=body, headers=key(name)) for _ in range(2)]
    assert first.status in (200, 201), first
    assert (again.status, again.body) == (first.status, first.body)
    refused = await client.ask(method, path, json=other, headers=key(name))
    assert (refused.status, refused.problem) == (409, "key-reused"), (path, refused)
    return first


async def test_the_same_key_with_another_body(alone: Client) -> None:
    """Every route with a body and a key, one after the other."""
    admin, nik = alone, new_nik()
    patient = {"nik": nik, "nama": "SITI", "alamat": "JL. MAWAR 1"}
    created = await twice(admin, "POST", "/users", patient, patient | {"alamat": "JL. MAWAR 2"})
    read = {"nik": new_nik(), "nama": "BUDI"}
    await twice(admin, "POST", "/users/create-from-ocr", read, read | {"nama": "BUDI S"})
    user_id = created.body["id"]
    draw = {"user_id": user_id, "service": "gigi"}
    drawn = await twice(admin, "POST", "/queue/add", draw, draw | {"priority_reason": "hamil"})
    ticket = f"/queue/{drawn.body['id']}"
    high = {"priority": "HIGH", "priority_reason": "hamil"}
    await twice(admin, "PATCH", f"{ticket}/priority", high, high | {"priority_reason": "disabilitas"})
    await admin.patch("/queue/call-next", {"counter": "3"})
    for verb, body in (
        ("recall", {}),
        ("start", {}),
        ("hold", {}),
        ("resume", {}),
        ("transfer", {"service": "umum"}),
    ):
        await twice(admin, "PATCH", f"{ticket}/{verb}", body, body | {"why": "sebab lain"})
    await admin.delete(ticket)
    for verb in ("close", "open"):
        await twice(admin, "POST", f"/queue/counters/3/{verb}", {}, {"why": "sebab lain"})

    await admin.post("/queue/add", draw)
    await twice(admin, "PATCH", "/queue/call-next", {"counter": "3"}, {"counter": "3", "service": "gigi"})
    undone = await twice(admin, "POST", "/queue/undo", {"counter": "3"}, {"counter": "2"})
    await admin.patch("/queue/call-next", {"counter": "3"})
    called = f"/queue/{undone.body['id']}"
    for verb in ("skip", "requeue"):
        await twice(admin, "PATCH", f"{called}/{verb}", {}, {"why": "sebab lain"})
    await admin.patch("/queue/call-next", {"counter": "3"})
    await admin.patch(f"{called}/start")
    await twice(admin, "PATCH", f"{called}/complete", {}, {"why": "sebab lain"})

    staff = {"nama": "RINA", "email": "kunci-ganda@klinik.example", "password": PASSWORD, "role": "OPERATOR"}
    hired = await twice(admin, "POST", "/users", staff, staff | {"password": f"{PASSWORD}-lain"}, "hire")
    role = f"/users/{hired.body['id']}/role"
    await twice(admin, "PATCH", role, {"role": "ADMIN_FASKES"}, {"role": "PASIEN"})
    # A late repetition does not undo later changes.
    assert (await admin.patch(role, {"role": "OPERATOR"})).status == 200
    late = await admin.patch(role, {"role": "ADMIN_FASKES"}, headers=key("once"))
    assert (late.status, late.body["role"]) == (200, "OPERATOR")


async def test_an_upload_key_with_another_picture_or_text_is_refused(admin: Client) -> None:
    first = await admin.upload(card(CLEAN[3]), headers=key("upload"), service="umum")
    assert first.status == 202
    again = await admin.upload(card(CLEAN[3]), headers=key("upload"), service="umum")
    assert (again.status, again.body["id"]) == (202, first.body["id"])
    for image, wish in ((CLEAN[4], {"service": "umum"}), (CLEAN[3], {"service": "gigi"}), (CLEAN[3], {})):
        refused = await admin.upload(card(image), headers=key("upload"), texts=wish)
        assert (refused.status, refused.problem) == (409, "key-reused")


async def test_a_refused_request_leaves_its_key_unused(admin: Client) -> None:
    refused = await admin.post("/queue/add", {"user_id": "nobody"}, headers=key("refused"))
    assert refused.status == 404
    user_id = await admin.register(new_nik())
    assert (await admin.post("/queue/add", {"user_id": user_id}, headers=key("refused"))).status == 201


async def test_a_key_counts_for_one_path_only(admin: Client) -> None:
    one, two = [await admin.register(new_nik()) for _ in range(2)]
    tickets = [await admin.queue(user_id, service="umum") for user_id in (one, two)]
    for ticket in tickets:
        held = await admin.patch(f"/queue/{ticket['id']}/hold", {}, headers=key("hold"))
        assert (held.status, held.body["id"]) == (200, ticket["id"])
        await admin.delete(f"/queue/{ticket['id']}")


async def test_nothing_of_a_key_or_of_what_was_asked_is_kept_in_the_clear(
    admin: Client, application: Application
) -> None:
    nik = new_nik()
    assert (await admin.post("/users", {"nik": nik, "nama": "SITI"}, headers=key(f"daftar-{nik}"))).status == 201
    with sqlite3.connect(f"file:{application.folder / 'users.db'}?mode=ro", uri=True) as database:
        kept = [text for row in database.execute("SELECT key, fingerprint FROM request_keys") for text in row]
    assert kept
    assert not any("daftar" in text or nik in text for text in kept)


async def test_signing_in_ignores_the_key(admin: Client) -> None:
    body = {"email": ADMIN[0], "password": ADMIN[1]}
    one, two = [await admin.post("/auth/login/admin", body, headers=key("sign-in")) for _ in range(2)]
    assert one.status == two.status == 200
    assert one.body["refresh_token"] != two.body["refresh_token"]


async def test_a_key_belongs_to_its_caller_and_route(admin: Client) -> None:
    operator = await admin.hire("kunci@klinik.example")
    one, two = await admin.register(new_nik()), await admin.register(new_nik())
    mine = await admin.post("/queue/add", {"user_id": one, "service": "gigi"}, headers=key("shared"))
    theirs = await operator.post("/queue/add", {"user_id": two, "service": "gigi"}, headers=key("shared"))
    assert (mine.status, theirs.status) == (201, 201)
    assert mine.body["id"] != theirs.body["id"]
    assert (await admin.post("/users", {"nik": new_nik(), "nama": "X"}, headers=key("shared"))).status == 201


@pytest.mark.parametrize("bad", ["", "x" * 129])
async def test_an_invalid_key_is_refused(admin: Client, bad: str) -> None:
    refused = await admin.post("/users", {"nik": new_nik(), "nama": "SITI"}, headers=key(bad))
    assert refused.status == 422
    assert refused.problem == "invalid"


async def test_the_answers_are_the_same(tmp_path: Path) -> None:
    """After a power cut, each request that is repeated under its key is answered as before."""
    made_with_admin(tmp_path)
    with running(tmp_path) as application:
        nik = new_nik()
        calls = [
            ("POST", "/users", {"nik": nik, "nama": "SITI"}, "a"),
            ("PATCH", "/queue/call-next", {"counter": "1"}, "c"),
        ]
        async with client_at(application) as client:
            await client.ready()
            admin = await client.sign_in()
            created = await admin.post("/users", {"nik": nik, "nama": "SITI"}, headers=key("a"))
            draw = {"user_id": created.body["id"]}
            drawn = await admin.post("/queue/add", draw, headers=key("b"))
            called = await admin.patch("/queue/call-next", {"counter": "1"}, headers=key("c"))
            assert (created.status, drawn.status, called.status) == (201, 201, 200)
            uploaded = await admin.upload(card(CLEAN[2]), headers=key("d"))
            assert uploaded.status == 202
            application.kill()
        application.start()
        async with client_at(application) as client:
            await client.ready()
            admin = await client.sign_in()
            again = [await admin.ask(method, path, json=body, headers=key(k)) for method, path, body, k in calls]
            assert [answer.status for answer in again] == [201, 200]
            assert again[0].body == created.body
            assert (again[1].body["id"], again[1].body["status"]) == (called.body["id"], "CALLED")
            redrawn = await admin.post("/queue/add", draw, headers=key("b"))
            assert (redrawn.status, redrawn.body["number"]) == (201, drawn.body["number"])
            others = [
                ("POST", "/users", {"nik": nik, "nama": "DEWI"}, "a"),
                ("POST", "/queue/add", draw | {"priority_reason": "hamil"}, "b"),
                ("PATCH", "/queue/call-next", {"counter": "2"}, "c"),
            ]
            for method, path, body, k in others:
                refused = await admin.ask(method, path, json=body, headers=key(k))
                assert (refused.status, refused.problem) == (409, "key-reused"), path
            reloaded = await admin.upload(card(CLEAN[2]), headers=key("d"))
            assert (reloaded.status, reloaded.body["id"]) == (202, uploaded.body["id"])
            result = await admin.result_of(uploaded.body["id"])
            assert result["status"] == "REGISTERED", result
            # Once the card is read, the same upload gives the same job and is not read again.
            finished = await admin.upload(card(CLEAN[2]), wait=10, headers=key("d"))
            assert (finished.status, finished.body["ticket"]["id"]) == (200, result["ticket"]["id"])
            assert (await admin.get("/queue/statistics")).body["tickets"] == 2

"""Idempotency-Key: the same key gives the same answer, also after a power cut."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.fixtures.desk import Desk, desk_at
from tests.fixtures.house import House, made_with_admin, running
from tests.fixtures.visitors import CLEAN, card, new_nik


def key(text: str) -> dict[str, str]:
    return {"Idempotency-Key": text}


async def test_a_new_user(admin: Desk) -> None:
    body = {"nik": new_nik(), "nama": "SITI"}
    first, again = [await admin.post("/users", body, headers=key("user-1")) for _ in range(2)]
    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body
    # Without the key it is a second registration.
    refused = await admin.post("/users", body)
    assert (refused.status, refused.problem, refused.fields) == (409, "nik-taken", ["nik"])
    assert (await admin.get(f"/users?search={body['nik']}")).body["pagination"]["total"] == 1


async def test_many_at_once_under_one_key(admin: Desk) -> None:
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
    # The key still stands for that ticket, although it is over; without the key it would be a new one.
    again = await admin.post("/queue/add", draw, headers=key("draw-2"))
    assert (again.body["id"], again.body["status"]) == (drawn[0].body["id"], "CANCELLED")
    fresh = await admin.post("/queue/add", draw)
    assert fresh.body["id"] != drawn[0].body["id"]


async def test_a_key_that_was_used_for_something_else(admin: Desk) -> None:
    one, two = await admin.register(new_nik()), await admin.register(new_nik())
    assert (await admin.post("/queue/add", {"user_id": one, "service": "gigi"}, headers=key("k"))).status == 201
    refused = await admin.post("/queue/add", {"user_id": two, "service": "gigi"}, headers=key("k"))
    assert (refused.status, refused.problem) == (409, "key-reused")
    assert (await admin.get(f"/queue/status/{two}")).status == 404


async def test_a_key_belongs_to_its_caller_and_route(admin: Desk) -> None:
    operator = await admin.hire("kunci@klinik.example")
    one, two = await admin.register(new_nik()), await admin.register(new_nik())
    mine = await admin.post("/queue/add", {"user_id": one, "service": "gigi"}, headers=key("shared"))
    theirs = await operator.post("/queue/add", {"user_id": two, "service": "gigi"}, headers=key("shared"))
    assert (mine.status, theirs.status) == (201, 201)
    assert mine.body["id"] != theirs.body["id"]
    assert (await admin.post("/users", {"nik": new_nik(), "nama": "X"}, headers=key("shared"))).status == 201


@pytest.mark.parametrize("bad", ["", "x" * 129])
async def test_what_is_no_key(admin: Desk, bad: str) -> None:
    refused = await admin.post("/users", {"nik": new_nik(), "nama": "SITI"}, headers=key(bad))
    assert refused.status == 422
    assert refused.problem == "invalid"


class TestAfterAPowerCut:
    @pytest.fixture(scope="class")
    def house(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
        base = tmp_path_factory.mktemp("keys")
        made_with_admin(base)
        with running(base) as house:
            yield house

    async def test_the_answers_are_the_same(self, house: House) -> None:
        nik = new_nik()
        calls = [
            ("POST", "/users", {"nik": nik, "nama": "SITI"}, "a"),
            ("PATCH", "/queue/call-next", {"counter": "1"}, "c"),
        ]
        async with desk_at(house) as desk:
            await desk.ready()
            admin = await desk.sign_in()
            created = await admin.post("/users", {"nik": nik, "nama": "SITI"}, headers=key("a"))
            draw = {"user_id": created.body["id"]}
            drawn = await admin.post("/queue/add", draw, headers=key("b"))
            called = await admin.patch("/queue/call-next", {"counter": "1"}, headers=key("c"))
            assert (created.status, drawn.status, called.status) == (201, 201, 200)
            uploaded = await admin.upload(card(CLEAN[2]), headers=key("d"))
            assert uploaded.status == 202
            house.kill()
        house.start()
        async with desk_at(house) as desk:
            await desk.ready()
            admin = await desk.sign_in()
            again = [await admin.ask(method, path, json=body, headers=key(k)) for method, path, body, k in calls]
            assert [answer.status for answer in again] == [201, 200]
            assert again[0].body == created.body
            assert (again[1].body["id"], again[1].body["status"]) == (called.body["id"], "CALLED")
            redrawn = await admin.post("/queue/add", draw, headers=key("b"))
            assert (redrawn.status, redrawn.body["number"]) == (201, drawn.body["number"])
            reloaded = await admin.upload(card(CLEAN[2]), headers=key("d"))
            assert (reloaded.status, reloaded.body["id"]) == (202, uploaded.body["id"])
            result = await admin.result_of(uploaded.body["id"])
            assert result["status"] == "REGISTERED", result
            # And once it is done, the same upload is answered with the same job, not read again.
            finished = await admin.upload(card(CLEAN[2]), wait=10, headers=key("d"))
            assert (finished.status, finished.body["ticket"]["id"]) == (200, result["ticket"]["id"])
            assert (await admin.get("/queue/statistics")).body["tickets"] == 2

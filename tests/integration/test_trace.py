"""One request is found again, by its trace, in the log of every service that had a part in it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fixtures.application import GENEROUS, Application, made_with_admin, running
from tests.fixtures.client import client_at
from tests.fixtures.visitors import CLEAN, card, new_nik

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SHOWN = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Request-Id": "meja-depan-1"}


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    base = tmp_path_factory.mktemp("talkative")
    made_with_admin(base)
    with running(base, f'{GENEROUS}\n[log]\nformat = "json"\nlevel = "debug"') as application:
        yield application


def lines(application: Application) -> list[dict[str, Any]]:
    return [json.loads(line) for line in application.stderr if line.startswith("{")]


async def test_a_request_and_all_that_it_asks_for(talkative: Application) -> None:
    async with client_at(talkative) as client:
        await client.ready()
        admin = await client.sign_in()
        user_id = await admin.register(new_nik())
        drawn = await admin.post("/queue/add", {"user_id": user_id}, headers=SHOWN)
        assert drawn.status == 201
        taken = await admin.upload(card(CLEAN[0]), wait=30, headers=SHOWN)
        assert taken.body["status"] == "REGISTERED"
        assert (await admin.get("/queue")).status == 200
    assert talkative.stop() == 0, "and everything is written"
    traced = [line for line in lines(talkative) if line.get("trace_id") == TRACE]
    assert {line["request_id"] for line in traced} == {"meja-depan-1"}
    assert {line["route"] for line in traced if line["event"] == "request"} == {"/queue/add", "/ocr/process-ktp"}
    asked = {line["pattern"] for line in traced if line["event"] == "message"}
    unknown = [
        line for line in lines(talkative) if line.get("pattern") == "auth.check-session" and "trace_id" not in line
    ]
    assert not unknown, "looking a session up is part of the request"
    # From the gateway to the queue, which asks for the patient; from the desk that takes cards in to the reader, which
    # registers the patient and draws a number.
    assert asked >= {"queue.add-patient", "user.find-people", "ocr.process-ktp", "ocr.run-job", "user.create-from-ocr"}
    others = [line for line in lines(talkative) if line["event"] == "request" and line.get("trace_id") != TRACE]
    assert others
    assert len({line["trace_id"] for line in others}) == len(others), "whoever shows none gets one"
    for line in traced:
        if line["event"] == "request":
            assert {"request_id", "method", "route", "status", "ms", "role"} <= line.keys()

"""Event streams of a running application: a snapshot first, then events, and the continuation after a break."""

import asyncio
from typing import Any

import pytest

from tests.fixtures.client import Client
from tests.fixtures.visitors import CLEAN, card, new_nik

STREAM = "/events/board/gigi"


async def a_ticket(admin: Client, service: str = "gigi") -> dict[str, Any]:
    return await admin.queue(await admin.register(new_nik()), service=service)


async def test_a_stream_begins_with_a_snapshot_and_continues_with_events(admin: Client) -> None:
    async with admin.events(STREAM) as board:
        snapshot = await board.next()
        assert snapshot is not None
        assert snapshot.name == "snapshot"
        assert board.retry is not None
        assert board.response.headers["Cache-Control"] in ("no-cache", "no-store")
        ticket = await a_ticket(admin)
        issued = await board.until("ticket-issued")
        assert issued.id is not None
        assert snapshot.id is not None
        assert issued.id > snapshot.id
        assert issued.data["event"]["event"]["number"] == ticket["number"]
        assert issued.data["board"]["waiting"] == snapshot.data["board"]["waiting"] + 1
        assert [service["id"] for service in issued.data["board"]["services"]] == ["gigi"]


async def test_a_client_that_comes_back_gets_the_events_it_missed(admin: Client) -> None:
    async with admin.events(STREAM) as board:
        snapshot = await board.next()
        assert snapshot is not None
        first = await a_ticket(admin)
        seen = await board.until("ticket-issued")
    second, third = await a_ticket(admin), await a_ticket(admin)
    async with admin.events(STREAM, last_event_id=seen.id) as board:
        missed = [await board.next(), await board.next()]
        numbers = [event.data["event"]["event"]["number"] for event in missed if event]
        assert numbers == [second["number"], third["number"]]
        assert first["number"] not in numbers


@pytest.mark.parametrize("last", ["999999999999", "-5", "x", "0", "9" * 30, "1e3", "１２"])
async def test_an_unknown_event_id_gets_a_snapshot(admin: Client, last: str) -> None:
    await a_ticket(admin)
    async with admin.http.get(STREAM, headers={"Last-Event-ID": last.encode().decode("latin-1")}) as response:
        assert response.status == 200
        async with asyncio.timeout(20):
            text = await response.content.readuntil(b"\n\n") + await response.content.readuntil(b"\n\n")
        assert b"event: snapshot" in text


async def test_a_board_shows_its_own_service_and_the_hall_shows_all(admin: Client) -> None:
    async with admin.events("/events/board/umum") as other, admin.events("/events/board/utama") as hall:
        await other.next()
        await hall.next()
        gigi = await a_ticket(admin, "gigi")
        umum = await a_ticket(admin, "umum")
        seen = await other.until("ticket-issued")
        assert seen.data["event"]["event"]["number"] == umum["number"]
        both = [await hall.until("ticket-issued"), await hall.until("ticket-issued")]
        assert [each.data["event"]["event"]["number"] for each in both] == [gigi["number"], umum["number"]]
    await admin.delete(f"/queue/{umum['id']}")


async def test_unknown_boards_and_tickets_are_not_found(client: Client) -> None:
    for path, problem in (("/events/board/kandungan", "no-board"), ("/events/ticket/guess", "no-ticket")):
        missing = await client.get(path)
        assert (missing.status, missing.problem) == (404, problem)


async def test_a_patient_follows_their_ticket_without_signing_in(admin: Client, client: Client) -> None:
    ticket = await a_ticket(admin)
    async with client.events(f"/events/ticket/{ticket['token']}") as own:
        first = await own.next()
        assert first is not None
        assert (first.name, first.data["number"], first.data["status"]) == ("ticket", ticket["number"], "WAITING")
        for method, path, status in (("PATCH", "/hold", "ON_HOLD"), ("DELETE", "", "CANCELLED")):
            await admin.ask(method, f"/queue/{ticket['id']}{path}")
            # The ticket may come once more as it was, when others in the queue have changed.
            while (event := await own.until("ticket")).data["status"] == "WAITING":
                pass
            assert event.data["status"] == status


async def test_staff_follow_the_whole_list(admin: Client) -> None:
    async with admin.events("/events/operator") as counters:
        assert (await counters.next()) is not None
        ticket = await a_ticket(admin)
        while ticket["id"] not in {each["id"] for each in (await counters.until("snapshot")).data["tickets"]}:
            pass


async def test_boards_and_metrics_hold_no_personal_data(admin: Client, client: Client) -> None:
    nik, name = new_nik(), "RAHMAT SANGAT KHUSUS"
    user_id = await admin.register(nik, name)
    async with client.events("/events/board/all") as board, client.events(STREAM) as door:
        seen = [str(await board.next()), str(await door.next())]
        ticket = await admin.queue(user_id, service="gigi", priority_reason="hamil")
        await admin.patch(f"/queue/{ticket['id']}/hold", {"why": "laboratorium"})
        await admin.patch(f"/queue/{ticket['id']}/resume")
        await admin.delete(f"/queue/{ticket['id']}")
        for stream in (board, door):
            while (event := await stream.next()) is not None:
                seen.append(str(event))
                if event.name == "ticket-cancelled" and event.data["event"]["event"]["number"] == ticket["number"]:
                    break
    text = " ".join(seen) + str((await client.get("/metrics")).body)
    assert ticket["number"] in text
    for secret in (nik, name, user_id, ticket["token"], admin.id, admin.tokens["access_token"], "laboratorium"):
        assert secret not in text


async def test_a_response_waits_for_a_card_no_longer_than_requested(admin: Client) -> None:
    answered = await admin.upload(card(CLEAN[3]), wait=0)
    assert answered.status == 202
    assert "Preference-Applied" not in answered.headers
    status = await admin.get(f"/ocr/status/{answered.body['id']}")
    assert status.body["status"] in ("PENDING", "PROCESSING")
    assert set(status.body) == {"id", "status"}
    result = await admin.result_of(answered.body["id"])
    assert result["status"] in ("REGISTERED", "NEEDS_REVIEW")
    assert isinstance(result["elapsed_ms"], int)

"""Changes of the clinic in a browser: they take effect at once, for everyone, and last over a restart."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.fixtures.application import GENEROUS, Application, made_with_admin, running
from tests.fixtures.client import Client, EventStream, Reply, client_at
from tests.fixtures.visitors import CLEAN, card, new_nik


@pytest.fixture
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    base = tmp_path_factory.mktemp("clinic")
    made_with_admin(base)
    with running(base, GENEROUS) as application:
        yield application
        assert application.stop() == 0, application.log
        assert "Traceback" not in application.log


@pytest.fixture
async def admin(application: Application) -> AsyncIterator[Client]:
    async with client_at(application) as client:
        await client.ready()
        yield await client.sign_in()


async def form(client: Client) -> dict[str, Any]:
    """The clinic as the form shows and sends it."""
    seen = (await client.get("/clinic")).body
    return {
        "name": seen["name"],
        "timezone": seen["timezone"],
        "notice": seen["notice"],
        "services": [{k: v for k, v in service.items() if k != "open"} for service in seen["services"]],
        "counters": [{k: v for k, v in counter.items() if k != "open"} for counter in seen["counters"]],
    }


async def save(admin: Client, wanted: dict[str, Any]) -> Reply:
    return await admin.ask("PUT", "/clinic", json=wanted)


async def test_everyone_may_read_the_clinic(application: Application, admin: Client) -> None:
    async with client_at(application) as anyone:
        seen = await anyone.get("/clinic")
    assert seen.status == 200
    assert (seen.body["name"], seen.body["timezone"]) == ("Klinik Uji", "Asia/Jakarta")
    assert abs(datetime.fromisoformat(seen.body["at"]) - datetime.now(UTC)) < timedelta(minutes=5)
    [umum, gigi] = seen.body["services"]
    assert umum == {
        "id": "umum", "name": "Poli Umum", "letter": "A", "opens": None, "closes": None, "open": True,
    }  # fmt: skip
    assert gigi["letter"] == "B"
    assert [(c["id"], c["services"], c["open"]) for c in seen.body["counters"]] == [
        ("1", ["umum"], False),
        ("2", ["umum"], False),
        ("3", ["gigi"], False),
    ]
    await admin.post("/queue/counters/3/open")
    assert [c["open"] for c in (await admin.get("/clinic")).body["counters"]] == [False, False, True]


async def test_a_new_service_works_at_once_and_after_a_restart(application: Application, admin: Client) -> None:
    wanted = await form(admin)
    wanted["name"] = "Klinik Melati"
    wanted["services"].append({"id": "anak", "name": "Poli Anak", "letter": "C", "opens": "00:00:00"})
    wanted["counters"].append({"id": "4", "name": "Loket Anak", "services": ["anak"]})
    assert (await admin.get("/events/board/anak")).status == 404
    async with admin.events("/events/board/all") as hall, admin.events("/events/operator") as counters:
        await hall.next()
        await counters.next()
        saved = await save(admin, wanted)
        assert saved.status == 200, saved
        assert [service["id"] for service in saved.body["services"]] == ["umum", "gigi", "anak"]
        told = await hall.until("clinic-changed")
        assert told.data["board"]["clinic"] == "Klinik Melati"
        assert "anak" in [service["id"] for service in told.data["board"]["services"]]
        assert (await counters.until("clinic-changed")).data["name"] == "Klinik Melati"
    async with admin.events("/events/board/anak") as board:
        first = await board.next()
        assert first is not None
        assert [counter["counter"] for counter in first.data["board"]["counters"]] == ["4"]
        ticket = await admin.queue(await admin.register(new_nik()), service="anak")
        assert ticket["number"] == "C-001"
        await board.until("ticket-issued")
        called = await admin.patch("/queue/call-next", {"counter": "4"})
        assert (called.status, called.body["id"]) == (200, ticket["id"])
    accepted = await admin.upload(card(CLEAN[0]), wait=30, service="anak")
    assert (accepted.status, accepted.body["ticket"]["number"]) == (200, "C-002"), accepted

    application.kill()
    application.start()
    async with client_at(application) as again:
        await again.ready()
        assert (await form(again))["services"][2]["name"] == "Poli Anak"
        async with again.events("/events/board/anak") as board:
            first = await board.next()
            assert first is not None
            assert first.data["board"]["clinic"] == "Klinik Melati"


async def test_removing_a_service_closes_its_board(admin: Client) -> None:
    wanted = await form(admin)
    wanted["services"] = wanted["services"][:1]
    wanted["counters"] = wanted["counters"][:2]
    async with admin.events("/events/board/gigi") as board:
        await board.next()
        assert (await save(admin, wanted)).status == 200
        while await board.next() is not None:
            pass
    gone = await admin.get("/events/board/gigi")
    assert (gone.status, gone.problem) == (404, "no-board")
    refused = await admin.post("/queue/add", {"user_id": await admin.register(new_nik()), "service": "gigi"})
    assert (refused.status, refused.fields) == (422, ["service"])
    refused = await admin.upload(card(CLEAN[0]), service="gigi")
    assert (refused.status, refused.fields) == (422, ["service"])


async def test_a_service_or_counter_in_use_cannot_be_removed(admin: Client) -> None:
    ticket = await admin.queue(await admin.register(new_nik()), service="gigi")
    wanted = await form(admin)
    zoned = await save(admin, {**wanted, "timezone": "Asia/Jayapura"})
    assert (zoned.status, zoned.problem, zoned.fields) == (409, "day-open", ["timezone"])
    smaller = {**wanted, "services": wanted["services"][:1], "counters": wanted["counters"][:2]}
    refused = await save(admin, smaller)
    assert (refused.status, refused.problem) == (409, "service-in-use")
    assert "Poli Gigi" in refused.body["detail"]
    await admin.patch("/queue/call-next", {"counter": "3"})
    await admin.patch(f"/queue/{ticket['id']}/complete")
    refused = await save(admin, smaller)
    assert (refused.status, refused.problem) == (409, "counter-in-use")
    await admin.post("/queue/counters/3/close")
    swapped = {**smaller, "services": [{**wanted["services"][0], "letter": "B"}]}
    refused = await save(admin, swapped)
    assert (refused.status, refused.problem, refused.fields) == (409, "letter-used", ["services[0].letter"])
    assert (await save(admin, smaller)).status == 200

    ended = await admin.post("/queue/close-day", {"why": "pindah zona"})
    assert (ended.status, ended.body["ended"]) == (200, 0)
    assert ended.body["day"] is not None
    zoned = await save(admin, {**smaller, "timezone": "Asia/Jayapura"})
    assert (zoned.status, zoned.body["timezone"]) == (200, "Asia/Jayapura")
    async with admin.events("/events/board/all") as board:
        first = await board.next()
        assert first is not None
        assert first.data["board"]["at"].endswith("+09:00")


async def next_notice(board: EventStream) -> str:
    event = await board.next()
    assert event is not None
    return str(event.data["board"]["notice"])


async def test_a_notice_shows_on_every_board_at_once(admin: Client) -> None:
    async with admin.events("/events/board/all") as hall, admin.events("/events/board/gigi") as dentist:
        assert [await next_notice(board) for board in (hall, dentist)] == ["", ""]
        saved = await save(admin, {**await form(admin), "notice": "Poli Gigi libur hari Jumat."})
        assert (saved.status, saved.body["notice"]) == (200, "Poli Gigi libur hari Jumat.")
        for board in (hall, dentist):
            assert await next_notice(board) == "Poli Gigi libur hari Jumat."
    async with admin.events("/events/board/gigi") as late:
        assert await next_notice(late) == "Poli Gigi libur hari Jumat."


@pytest.mark.parametrize("notice", ["x" * 301, "dua\nbaris"])
async def test_an_invalid_notice_is_refused(admin: Client, notice: str) -> None:
    refused = await save(admin, {**await form(admin), "notice": notice})
    assert (refused.status, refused.fields) == (422, ["notice"])


async def test_every_wrong_field_is_named(admin: Client) -> None:
    wanted = await form(admin)
    wanted["name"] = ""
    wanted["timezone"] = "Europe/Berlin"
    wanted["services"][1]["letter"] = "A"
    wanted["counters"][0]["services"] = ["jantung"]
    refused = await save(admin, wanted)
    assert refused.status == 422
    assert set(refused.fields) == {"timezone", "name", "services[1].letter", "counters[0].services"}
    assert all(error["message"].endswith(".") for error in refused.body["errors"])
    wanted = await form(admin)
    wanted["services"][0]["opens"] = "pagi"
    refused = await save(admin, wanted)
    assert (refused.status, refused.fields) == (422, ["services[0].opens"])
    assert "JJ:MM" in refused.body["detail"]
    refused = await save(admin, {**await form(admin), "policy": {}})
    assert (refused.status, refused.fields) == (422, ["policy"])
    assert (await form(admin))["name"] == "Klinik Uji"


async def test_closing_the_day_ends_waiting_tickets(admin: Client) -> None:
    ticket = await admin.queue(await admin.register(new_nik()))
    refused = await admin.post("/queue/close-day")
    assert (refused.status, refused.fields) == (422, ["why"])
    key = {"Idempotency-Key": "listrik-padam-1"}
    ended = await admin.post("/queue/close-day", {"why": "listrik padam"}, headers=key)
    assert (ended.status, ended.body["ended"]) == (200, 1)
    repeated = await admin.post("/queue/close-day", {"why": "listrik padam"}, headers=key)
    assert (repeated.status, repeated.body) == (200, ended.body)
    async with admin.events(f"/events/ticket/{ticket['token']}") as own:
        first = await own.next()
        assert first is not None
        assert first.data["status"] == "CANCELLED"
    again = await admin.post("/queue/close-day", {"why": "listrik padam"})
    assert again.body == {"day": None, "ended": 0}


async def test_outside_opening_hours_only_staff_issue_tickets(admin: Client) -> None:
    wanted = await form(admin)
    hour = datetime.now(ZoneInfo(wanted["timezone"])).hour
    wanted["services"][1] |= {"opens": f"{(hour + 2) % 24:02}:00:00", "closes": f"{(hour + 3) % 24:02}:00:00"}
    saved = await save(admin, wanted)
    assert [service["open"] for service in saved.body["services"]] == [True, False]
    nik = new_nik()
    patient_id = await admin.register(nik, "DEWI")
    patient = await admin.sign_in_patient(nik, "DEWI")
    refused = await patient.post("/queue/add", {"user_id": patient_id, "service": "gigi"})
    assert (refused.status, refused.problem) == (409, "closed")
    assert f"{(hour + 2) % 24:02}:00" in refused.body["detail"]
    assert (await admin.queue(patient_id, service="gigi"))["number"] == "B-001"

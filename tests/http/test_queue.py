"""The queue over HTTP: counters open and close, priorities change, patients cancel."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.fixtures.application import GENEROUS, Application, made_with_admin, running
from tests.fixtures.client import Client, client_at
from tests.fixtures.visitors import new_nik


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """An application for this module alone, since its tests open and close counters."""
    base = tmp_path_factory.mktemp("queue")
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


async def test_a_counter_opens_and_closes(admin: Client) -> None:
    async with admin.events("/events/board/gigi") as board:
        await board.next()
        opened = await admin.post("/queue/counters/3/open", {"why": "giliran pagi"})
        assert opened.status == 200, opened
        assert (opened.body["counter"], opened.body["open"], opened.body["number"]) == ("3", True, None)
        told = await board.until("counter-opened")
        assert {c["counter"]: c["open"] for c in told.data["board"]["counters"]} == {"3": True}
        assert "giliran pagi" not in str(told)
        again = await admin.post("/queue/counters/3/open")
        assert (again.status, again.body) == (200, opened.body)

        ticket = await admin.queue(await admin.register(new_nik()), service="gigi")
        called = await admin.patch("/queue/call-next", {"counter": "3"})
        assert called.body["id"] == ticket["id"]
        busy = await admin.post("/queue/counters/3/close")
        assert (busy.status, busy.problem) == (409, "counter-busy")
        assert ticket["number"] in busy.body["detail"]
        await admin.patch(f"/queue/{ticket['id']}/complete")
        closed = await admin.post("/queue/counters/3/close")
        assert (closed.status, closed.body["open"]) == (200, False)
        await board.until("counter-closed")


async def test_an_unknown_counter_is_refused(admin: Client) -> None:
    for verb in ("open", "close"):
        missing = await admin.post(f"/queue/counters/99/{verb}")
        assert (missing.status, missing.fields) == (422, ["counter"])


async def test_only_staff_see_the_patient_of_a_ticket(admin: Client) -> None:
    user_id = await admin.register(new_nik())
    async with admin.events("/events/operator") as counters:
        await counters.next()
        ticket = await admin.queue(user_id)
        assert "user_id" not in ticket
        listed = (await admin.get(f"/queue?user_id={user_id}")).body["data"]
        assert [(row["id"], row["user_id"]) for row in listed] == [(ticket["id"], user_id)]
        while not (
            rows := [row for row in (await counters.until("snapshot")).data["tickets"] if row["id"] == ticket["id"]]
        ):
            pass
        assert rows[0]["user_id"] == user_id
    assert "user_id" not in (await admin.get(f"/queue/status/{user_id}")).body
    async with admin.events(f"/events/ticket/{ticket['token']}") as own:
        first = await own.next()
        assert first is not None
        assert "user_id" not in first.data
    await admin.delete(f"/queue/{ticket['id']}")


async def test_a_waiting_patients_priority_is_raised_and_lowered(admin: Client) -> None:
    tickets = [await admin.queue(await admin.register(new_nik())) for _ in range(3)]
    path = f"/queue/{tickets[2]['id']}/priority"
    async with admin.events("/events/board/umum") as board:
        await board.next()
        raised = await admin.patch(path, {"priority": "HIGH", "priority_reason": "hamil", "why": "tampak lelah"})
        assert raised.status == 200, raised
        assert (raised.body["priority"], raised.body["priority_reason"]) == ("HIGH", "hamil")
        assert (raised.body["position"], raised.body["number"]) == (1, tickets[2]["number"])
        told = str(await board.until("ticket-prioritised"))
        assert not any(private in told for private in ("HIGH", "hamil", "tampak lelah"))
    without = await admin.patch(path, {"priority": "NORMAL"})
    assert (without.status, without.fields) == (422, ["why"])
    for nik in ("3171234501900001", "NIK 3171 2345 0190 0001, Budi"):
        named = await admin.patch(path, {"priority": "NORMAL", "why": nik})
        assert (named.status, named.body["errors"]) == (422, [{"field": "why", "message": "tidak boleh memuat NIK"}])
    unfounded = await admin.patch(path, {"priority": "URGENT", "priority_reason": "hamil"})
    assert (unfounded.status, unfounded.fields) == (422, ["priority_reason"])
    incomplete = await admin.patch(path, {"priority_reason": "hamil"})
    assert (incomplete.status, incomplete.fields) == (422, ["priority"])
    lowered = await admin.patch(path, {"priority": "NORMAL", "why": "salah orang"})
    assert (lowered.status, lowered.body["position"]) == (200, 3)
    for ticket in tickets:
        await admin.delete(f"/queue/{ticket['id']}")
    over = await admin.patch(path, {"priority": "URGENT"})
    assert (over.status, over.problem) == (409, "wrong-status")


async def test_priority_for_the_elderly_is_checked_against_the_date_of_birth(admin: Client) -> None:
    created = await admin.post("/users", {"nik": new_nik(), "nama": "MUDA SEKALI", "tgl_lahir": "01-01-1999"})
    ticket = await admin.queue(created.body["id"])
    wish = {"priority": "HIGH", "priority_reason": "lansia"}
    refused = await admin.patch(f"/queue/{ticket['id']}/priority", wish)
    assert (refused.status, refused.fields) == (422, ["priority_reason"]), refused
    await admin.delete(f"/queue/{ticket['id']}")


async def test_a_patient_cancels_a_waiting_ticket_but_not_one_in_service(admin: Client) -> None:
    nik = new_nik()
    ticket = await admin.queue(await admin.register(nik, "DEWI"), service="gigi")
    patient = await admin.sign_in_patient(nik, "DEWI")
    await admin.patch("/queue/call-next", {"counter": "3"})
    await admin.patch(f"/queue/{ticket['id']}/start")
    refused = await patient.delete(f"/queue/{ticket['id']}")
    assert (refused.status, refused.problem) == (409, "being-served")
    assert (await patient.get(f"/queue/status/{patient.id}")).body["status"] == "IN_PROGRESS"
    assert (await admin.delete(f"/queue/{ticket['id']}")).status == 200, "staff may"
    another = await patient.queue(patient.id, service="gigi")
    await admin.patch("/queue/call-next", {"counter": "3"})
    left = await patient.delete(f"/queue/{another['id']}")
    assert (left.status, left.body["status"]) == (200, "CANCELLED")

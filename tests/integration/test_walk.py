"""The walk of the README: a card, a user, a ticket, a call that two boards see, and a restart that loses nothing."""

import asyncio
from pathlib import Path

from tests.fixtures.application import ADMIN, Application, running
from tests.fixtures.client import PASSWORD, Client, EventStream, client_at
from tests.fixtures.specimens.cards import person
from tests.fixtures.visitors import CLEAN, card

PERSON = person(CLEAN[0])


async def test_the_main_flow_and_a_restart(tmp_path: Path) -> None:
    with running(tmp_path / "clinic") as application:
        async with client_at(application) as client:
            await client.ready()
            operator, version = await _a_day(client, application)
            before = await _what_is_known(operator)
            async with (
                client.events("/events/board/umum") as board,
                operator.events("/events/operator") as counters,
            ):
                await board.next()
                await counters.next()
                application.signal(15)
                assert await board.next() is None
                assert await counters.next() is None
            assert await asyncio.to_thread(application.wait) == 0, application.log
        assert "Traceback" not in application.log

        application.start()
        async with client_at(application) as client:
            await client.ready()
            refreshed = await Client(client.http, operator.tokens).refresh()
            assert refreshed.status == 200, refreshed
            operator = Client(client.http, refreshed.body)
            assert await _what_is_known(operator) == before
            async with client.events("/events/board/umum", last_event_id=version) as board:
                first = await board.next()
                assert first is not None
                assert (first.name, first.id) == ("snapshot", version)
        assert len(application.stdout) == 1, "the set-up link is printed once, and nothing else"
        assert application.stop() == 0


async def _a_day(client: Client, application: Application) -> tuple[Client, int]:
    """From the set-up link to the statistics; who worked at the counter, and the queue's version."""
    admin = await client.set_up(application)
    again = await client.post(
        "/auth/setup", {"token": application.setup_token, "email": "x@y.id", "password": "p" * 10, "nama": "X"}
    )
    assert (again.status, again.problem) == (409, "already-set-up")
    assert (await client.sign_in(*ADMIN)).id == admin.id
    operator = await admin.hire("loket1@klinik.example")
    assert (await client.sign_in("LOKET1@klinik.example", PASSWORD)).id == operator.id

    async with client.events("/events/board/all") as hall, client.events("/events/board/umum") as door:
        for board in (hall, door):
            snapshot = await board.next()
            assert snapshot is not None
            assert snapshot.name == "snapshot"
            assert board.retry == 1000

        accepted = await operator.upload(card(CLEAN[0]))
        assert accepted.status == 202, accepted
        assert accepted.headers["Location"] == f"/ocr/result/{accepted.body['id']}"
        result = await client.result_of(accepted.body["id"])
        assert result["status"] == "REGISTERED", result
        assert {name: field["value"] for name, field in result["fields"].items()} == PERSON
        ticket = result["ticket"]
        assert (ticket["number"], ticket["status"], ticket["position"]) == ("A-001", "WAITING", 1)
        patient = await client.sign_in_patient(PERSON["nik"], PERSON["nama"])
        assert patient.id == result["user_id"]
        assert (await patient.get(f"/queue/status/{patient.id}")).body["id"] == ticket["id"]

        async with client.events(f"/events/ticket/{ticket['token']}") as own:
            assert await _status(own) == "WAITING"
            called = await operator.patch("/queue/call-next", {"counter": "1"})
            assert (called.status, called.body["id"], called.body["counter"]) == (200, ticket["id"], "1")
            events = [await board.until("ticket-called") for board in (hall, door)]
            assert {event.id for event in events} == {events[0].id}
            for event in events:
                assert event.data["event"]["event"]["number"] == "A-001"
                assert event.data["board"]["calls"][0]["counter_name"] == "Loket 1"
            assert await _status(own) == "CALLED"
            done = await operator.patch(f"/queue/{ticket['id']}/complete")
            assert (done.status, done.body["status"]) == (200, "COMPLETED")
            completed = await hall.until("ticket-completed")
            assert completed.id is not None
            assert await _status(own) == "COMPLETED"

        async with client.events("/events/board/all", last_event_id=events[0].id) as returned:
            missed = await returned.next()
            assert missed == completed, "whoever comes back gets what they missed, and nothing twice"
    return operator, completed.id


async def _status(stream: EventStream) -> str:
    event = await stream.next()
    assert event is not None
    assert event.name == "ticket"
    return str(event.data["status"])


async def _what_is_known(operator: Client) -> tuple[object, ...]:
    statistics = (await operator.get("/queue/statistics")).body
    assert (statistics["tickets"], statistics["by_status"]["COMPLETED"]) == (1, 1)
    known = (await operator.get(f"/users/check-nik/{PERSON['nik']}")).body
    ticket = (await operator.get(f"/queue/status/{known['user_id']}")).body
    assert (ticket["number"], ticket["status"]) == ("A-001", "COMPLETED")
    return statistics, known, ticket

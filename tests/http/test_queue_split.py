"""A change of the clinic at one gateway of a split application reaches every other process without a restart."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.fixtures.application import ADMIN, HANG
from tests.fixtures.client import Client, client_at
from tests.fixtures.servers import MariaDB, RabbitMQ, Redis
from tests.fixtures.split import Servers, Split, splitting
from tests.fixtures.visitors import CLEAN, card, new_nik


@pytest.fixture(scope="module")
def split(
    mariadb: MariaDB, redis_server: Redis, rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Split]:
    servers = Servers(mariadb, redis_server, rabbitmq)
    processes = {"gateway": 2, "user": 1, "ocr": 1, "queue": 2}
    with splitting(tmp_path_factory.mktemp("clinic-split"), servers, processes) as split:
        yield split
        assert set(split.stop().values()) == {0}, split.log
        assert "Traceback" not in split.log


async def test_a_change_of_the_clinic_reaches_every_process(split: Split) -> None:
    async with client_at(split.gateways[0]) as a, client_at(split.gateways[1]) as b:
        await a.ready()
        await b.ready()
        setup = {"token": split.setup_tokens[-1], "email": ADMIN[0], "password": ADMIN[1], "nama": "Ibu Kepala"}
        assert (await a.post("/auth/setup", setup)).status == 200
        here = await a.sign_in()
        there = Client(b.http, here.tokens)
        seen = (await here.get("/clinic")).body
        wanted = {
            "name": "Klinik Dua Pintu",
            "timezone": seen["timezone"],
            "services": [
                *({k: v for k, v in service.items() if k != "open"} for service in seen["services"][:1]),
                {"id": "anak", "name": "Poli Anak", "letter": "C"},
            ],
            "counters": [{"id": "1", "name": "Loket 1"}],
        }
        async with there.events("/events/board/all") as hall, there.events("/events/board/gigi") as gone:
            await hall.next()
            await gone.next()
            saved = await here.ask("PUT", "/clinic", json=wanted)
            assert saved.status == 200, saved
            told = await hall.until("clinic-changed")
            assert told.data["board"]["clinic"] == "Klinik Dua Pintu"
            async with asyncio.timeout(HANG):
                while await gone.next() is not None:
                    pass
        # Asked again and again, so that each of the two queue processes answers.
        for client in (here, there) * 4:
            clinic = (await client.get("/clinic")).body
            assert [service["id"] for service in clinic["services"]] == ["umum", "anak"]
            refused = await client.upload(card(CLEAN[0]), service="gigi")
            assert (refused.status, refused.fields) == (422, ["service"])
        tickets = [
            await client.queue(await here.register(new_nik()), service="anak") for client in (here, there, here, there)
        ]
        assert [ticket["number"] for ticket in tickets] == ["C-001", "C-002", "C-003", "C-004"]
        taken = await there.upload(card(CLEAN[0]), service="anak")
        assert taken.status == 202, taken
        await here.result_of(taken.body["id"])
        refusals = [await client.ask("PUT", "/clinic", json={**wanted, "services": []}) for client in (here, there)]
        assert [refusal.status for refusal in refusals] == [422, 422]

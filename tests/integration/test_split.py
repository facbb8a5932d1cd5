"""The walk over an application that is split: two processes of each role, over RabbitMQ, MariaDB and Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.application import ADMIN, HANG, mediq
from tests.fixtures.client import PASSWORD, Client, Event, EventStream, Reply, client_at
from tests.fixtures.ports import free_port
from tests.fixtures.servers import MariaDB, RabbitMQ, Redis
from tests.fixtures.specimens.cards import person
from tests.fixtures.split import Servers, Split, splitting
from tests.fixtures.visitors import CLEAN, card, new_nik

LOGINS = 30
LIMITS = f"""
[http.limits]
requests = 1000000
login_requests = {LOGINS}
card_requests = 1000000
nik_requests = 1000000
"""
PERSON = person(CLEAN[0])


@pytest.fixture(scope="module")
def split(
    mariadb: MariaDB, redis_server: Redis, rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Split]:
    """A split application with an administrator, whose processes must all end in order."""
    servers = Servers(mariadb, redis_server, rabbitmq)
    with splitting(tmp_path_factory.mktemp("split"), servers, settings=LIMITS) as split:
        asyncio.run(_set_up(split))
        yield split
        assert set(split.stop().values()) == {0}, split.log
        assert "Traceback" not in split.log


async def _set_up(split: Split) -> None:
    """Make the administrator with the link that a user process has printed."""
    async with client_at(split.gateways[1]) as client:
        await client.ready()
        answers = [
            await client.post(
                "/auth/setup", {"token": token, "email": ADMIN[0], "password": ADMIN[1], "nama": "Ibu Kepala"}
            )
            for token in split.setup_tokens
        ]
        assert [answer.status for answer in answers].count(200) == 1, "of several links the last one made is good"
        assert {answer.status for answer in answers} <= {200, 401, 409}


@asynccontextmanager
async def _both(split: Split) -> AsyncIterator[tuple[Client, Client]]:
    """Someone at each gateway."""
    async with client_at(split.gateways[0]) as a, client_at(split.gateways[1]) as b:
        await a.ready()
        await b.ready()
        yield a, b


async def test_the_walk_over_two_gateways(split: Split) -> None:
    async with _both(split) as (a, b):
        admin = await a.sign_in()
        first = await admin.hire("loket1@klinik.example")
        second = await b.sign_in("loket1@klinik.example", PASSWORD)
        assert second.id == first.id, "who was hired at one gateway can work at the other"
        async with a.events("/events/board/all") as board_a, b.events("/events/board/all") as board_b:
            for board in (board_a, board_b):
                snapshot = await board.next()
                assert snapshot is not None
                assert snapshot.name == "snapshot"
                version = snapshot.id or 0

            accepted = await first.upload(card(CLEAN[0]))
            assert accepted.status == 202, accepted
            result = await b.result_of(accepted.body["id"])
            assert result["status"] == "REGISTERED", result
            assert {name: field["value"] for name, field in result["fields"].items()} == PERSON
            assert result["ticket"]["number"] == "A-001"
            assert (await a.get(f"/ocr/result/{accepted.body['id']}")).body == result

            drawn = await asyncio.gather(*(_newcomer(admin, client) for client in (first, second) * 4))
            assert sorted(ticket["number"] for ticket in drawn) == [f"A-{n:03}" for n in range(2, 10)]

            one, two = await asyncio.gather(
                first.patch("/queue/call-next", {"counter": "1"}), second.patch("/queue/call-next", {"counter": "2"})
            )
            assert (one.status, two.status) == (200, 200), (one, two)
            assert {one.body["number"], two.body["number"]} == {"A-001", "A-002"}, "two counters, two patients"
            for client, called in ((second, one), (first, two)):
                done = await client.patch(f"/queue/{called.body['id']}/complete")
                assert (done.status, done.body["status"]) == (200, "COMPLETED")

            seen_a, seen_b = await asyncio.gather(_until_completed(board_a, 2), _until_completed(board_b, 2))
            assert [_told(event) for event in seen_a] == [_told(event) for event in seen_b]
            ids = [event.id for event in seen_a]
            assert ids == list(range(version + 1, version + 1 + len(ids))), "every event, in order, once"

        for day in ((await first.get("/queue/statistics")).body, (await second.get("/queue/statistics")).body):
            assert (day["tickets"], day["by_status"]["COMPLETED"], day["by_status"]["WAITING"]) == (9, 2, 7)
        waiting = (await second.get("/queue?status=WAITING")).body
        assert waiting == (await first.get("/queue?status=WAITING")).body


async def _newcomer(admin: Client, client: Client) -> dict[str, Any]:
    return await client.queue(await admin.register(new_nik()), service="umum")


async def _until_completed(board: EventStream, times: int) -> list[Event]:
    seen: list[Event] = []
    while [event.name for event in seen].count("ticket-completed") < times:
        event = await board.next()
        assert event is not None
        seen.append(event)
    return seen


def _told(event: Event) -> tuple[int | None, str, Any]:
    return event.id, event.name, event.data["event"]


async def test_each_process_tells_how_it_is(split: Split) -> None:
    async with asyncio.timeout(HANG):
        for application in split:
            async with client_at(application) as client:
                await client.ready()
                while (health := (await client.get("/health")).body)["status"] != "up":
                    pass  # the card readers load their models
                parts = set(health["parts"])
                assert (
                    parts
                    >= {
                        "gateway": {"user", "ocr", "queue", "broker"},
                        "user": {"broker", "database"},
                        "ocr": {"broker", "jobs"},
                        "queue": {"broker", "event-log"},
                    }[application.role]
                )
                metrics = await client.get("/metrics")
                assert metrics.status == 200
                assert "mediq_message_seconds" in metrics.body
                if application.role != "gateway":
                    assert (await client.get("/users")).status == 404, "a service has no routes of the clinic"


async def test_a_session_that_ends_at_one_gateway_ends_at_the_other(split: Split) -> None:
    async with _both(split) as (a, b):
        signed_in = await a.sign_in()
        elsewhere = Client(b.http, signed_in.tokens)
        for client in (signed_in, elsewhere):
            assert (await client.get("/users/profile")).status == 200
        assert (await signed_in.get("/auth/logout")).status == 200
        refused = await _until(lambda: elsewhere.get("/users/profile"), 401, within=2.0)
        assert refused.problem == "session-ended"
        assert (await signed_in.get("/users/profile")).status == 401


@pytest.mark.parametrize("how", ["sign out everywhere", "another password", "a reset", "another role"])
async def test_all_sessions_of_someone_end_at_every_gateway(split: Split, how: str) -> None:
    async with _both(split) as (a, b):
        admin = await a.sign_in()
        mail = f"{how.replace(' ', '-')}@klinik.example"
        here = await admin.hire(mail)
        there = await b.sign_in(mail, PASSWORD)
        held = (here, there, Client(b.http, here.tokens), Client(a.http, there.tokens))
        for client in held:  # so that both gateways believe both sessions
            assert (await client.get("/users/profile")).status == 200
        if how == "sign out everywhere":
            done = await here.post("/auth/logout-all")
        elif how == "another password":
            change = {"current_password": PASSWORD, "new_password": f"{PASSWORD}-baru"}
            done = await here.patch("/users/password", change)
        elif how == "a reset":
            done = await admin.patch(f"/users/{here.id}/password", {"new_password": f"{PASSWORD}-baru"})
        else:
            done = await admin.patch(f"/users/{here.id}/role", {"role": "ADMIN_FASKES"})
        assert done.status == 200, done
        spared = (here, held[2]) if how == "another password" else ()
        for client in held:
            if client in spared:
                assert (await client.get("/users/profile")).status == 200
            else:
                refused = await _until(partial(client.get, "/users/profile"), 401, within=2.0)
                assert refused.problem == "session-ended"


async def test_both_trails_are_read_as_one(split: Split) -> None:
    async with _both(split) as (a, b):
        admin = await a.sign_in()
        patient = await admin.register(new_nik())
        ticket = await admin.queue(patient)
        elsewhere = Client(b.http, admin.tokens)
        assert (await elsewhere.get(f"/users/{patient}")).status == 200
        assert (await elsewhere.delete(f"/queue/{ticket['id']}")).status == 200
        kept = await elsewhere.get(f"/audit?subject={patient}")
        assert kept.status == 200, kept
        assert [entry["action"] for entry in reversed(kept.body["data"])] == [
            "user.create",
            "queue.ticket-issued",
            "user.read",
            "queue.ticket-cancelled",
        ]
        table = await admin.get(f"/audit.csv?subject={patient}")
        assert table.body.count("\n") == 1 + 4


async def test_a_deleted_patient_is_forgotten_by_every_queue_process(split: Split) -> None:
    async with _both(split) as (a, b):
        admin = await a.sign_in()
        elsewhere = Client(b.http, admin.tokens)
        patient = await admin.register(new_nik())
        for client in (admin, elsewhere) * 4:  # so that each process has asked who it is
            await client.queue(patient)
        assert (await admin.delete(f"/users/{patient}")).status == 200
        for client in (admin, elsewhere):
            await _until(partial(client.post, "/queue/add", {"user_id": patient}), 404, within=2.0)
        answers = await asyncio.gather(
            *(client.post("/queue/add", {"user_id": patient}) for client in (admin, elsewhere) * 8)
        )
        assert {answer.status for answer in answers} == {404}


async def _until(ask: Callable[[], Awaitable[Reply]], status: int, *, within: float) -> Reply:
    """Ask until that is the answer."""
    async with asyncio.timeout(within):
        while True:
            reply = await ask()
            if reply.status == status:
                return reply


async def test_gateways_count_calls_together(split: Split) -> None:
    wrong = {"email": "sasaran@klinik.example", "password": "tebakan-tebakan"}
    async with _both(split) as (a, b):
        attempts = []
        for client in (a, b) * LOGINS:
            attempts.append((await client.post("/auth/login/admin", wrong)).status)
            if attempts[-1] == 429:
                break
        assert attempts[-1] == 429
        assert set(attempts[:-1]) == {401}
        assert len(attempts) - 1 <= LOGINS, "each gateway alone would have let as many through"
        for client in (a, b):
            limited = await client.post("/auth/login/admin", {"email": ADMIN[0], "password": ADMIN[1]})
            assert (limited.status, limited.problem) == (429, "too-many")


SECRETS = {"JWT_SECRET": "a" * 40, "JWT_REFRESH_SECRET": "b" * 40}
BROKER = {"RABBITMQ_URL": "amqp://127.0.0.1:1/"}


@pytest.mark.parametrize(
    ("role", "environ", "missing"),
    [
        ("gateway", BROKER, ["JWT_SECRET", "JWT_REFRESH_SECRET", "REDIS_URL"]),
        ("gateway", {**SECRETS, **BROKER}, ["REDIS_URL"]),
        ("user", {**SECRETS, **BROKER}, ["DATABASE_URL"]),
        ("queue,ocr", {**SECRETS, **BROKER}, ["REDIS_URL"]),
        ("user", {}, ["RABBITMQ_URL", "JWT_SECRET", "JWT_REFRESH_SECRET", "DATABASE_URL"]),
    ],
)
def test_a_role_without_its_servers_is_refused(
    tmp_path: Path, role: str, environ: dict[str, str], missing: list[str]
) -> None:
    refused = mediq("--role", role, "--port", str(free_port()), folder=tmp_path / "data", environ=environ)
    assert refused.returncode == 2, refused.stderr
    assert f"needs {', '.join(missing)};" in _sentence(refused.stderr)


@pytest.mark.parametrize(
    ("role", "unreachable"), [("gateway", "RABBITMQ_URL"), ("user", "DATABASE_URL"), ("queue", "REDIS_URL")]
)
def test_a_server_that_is_not_there_ends_the_start(
    tmp_path: Path, role: str, unreachable: str, mysql_url: str, redis_url: str, rabbitmq_url: str
) -> None:
    """Whoever keeps services running starts them again; nothing here waits for ever, or half works."""
    port = free_port()
    nowhere = {
        "RABBITMQ_URL": f"amqp://guest:guest@127.0.0.1:{port}/",
        "DATABASE_URL": f"mysql+aiomysql://root@127.0.0.1:{port}/mediq",
        "REDIS_URL": f"redis://127.0.0.1:{port}/0",
    }
    servers = {"RABBITMQ_URL": rabbitmq_url, "DATABASE_URL": mysql_url, "REDIS_URL": redis_url}
    environ = {**SECRETS, **servers, unreachable: nowhere[unreachable]}
    ended = mediq("--role", role, "--port", str(free_port()), folder=tmp_path / "data", environ=environ)
    assert ended.returncode == 1, ended.stderr
    assert unreachable in _sentence(ended.stderr)


def _sentence(stderr: str) -> str:
    """The one thing that a start which failed says, beside its log."""
    assert "Traceback" not in stderr
    said = [line for line in stderr.splitlines() if line.startswith("mediq: ")]
    assert len(said) == 1, stderr
    return said[0]

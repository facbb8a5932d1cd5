"""Faults behind a split application's gateways under load: nothing is lost, and it recovers without help.

How long a server stays away is MEDIQ_FAULT_SECONDS, how often each fault happens MEDIQ_FAULT_ROUNDS; what was measured
is appended to the file MEDIQ_FAULT_REPORT, a JSON object a line. docs/faults.md is written from it.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import aio_pika
import msgspec
import pytest

from mediq.actors.queue.messages import AddPatient
from mediq.transport.envelope import Envelope, Kind, encode_frame, new_id
from tests.fixtures.application import ADMIN, GENEROUS, HANG
from tests.fixtures.client import Client, client_at
from tests.fixtures.event_stream import Stream
from tests.fixtures.servers import MariaDB, RabbitMQ, Redis
from tests.fixtures.split import Servers, Split, freeze, splitting, thaw
from tests.fixtures.visitors import CLEAN, card, new_nik

AWAY: Final = float(os.environ.get("MEDIQ_FAULT_SECONDS", "6"))
ROUNDS: Final = int(os.environ.get("MEDIQ_FAULT_ROUNDS", "1"))
TIMEOUT: Final = 5.0
"""Seconds that the application gives an answer by default."""
MARGIN: Final = 2.0
"""Seconds beyond it, for a machine that also runs the servers, eight processes and the clients."""
RECOVERY: Final = 25.0
"""Seconds after which the application must be whole again: a breaker rests for ten before it probes."""
PROCESSES: Final = {"gateway": 2, "user": 2, "ocr": 1, "queue": 2}

pytestmark = pytest.mark.timeout(120 * ROUNDS)


@pytest.fixture(scope="module")
def split(
    mariadb: MariaDB, redis_server: Redis, rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Split]:
    servers = Servers(mariadb, redis_server, rabbitmq)
    with splitting(tmp_path_factory.mktemp("faults"), servers, PROCESSES, GENEROUS) as split:
        yield split
        assert set(split.stop().values()) == {0}, split.log


@pytest.fixture(scope="module")
def tokens(split: Split) -> Mapping[str, Any]:
    """The administrator's."""

    async def set_up() -> Mapping[str, Any]:
        async with client_at(split.gateways[0]) as client:
            await client.ready()
            for token in split.setup_tokens:
                body = {"token": token, "email": ADMIN[0], "password": ADMIN[1], "nama": "Ibu Kepala"}
                if (made := await client.post("/auth/setup", body)).status == 200:
                    return dict(made.body)
        raise AssertionError("no set-up link is good")

    return asyncio.run(set_up())


@pytest.fixture
async def client(split: Split, tokens: Mapping[str, Any]) -> AsyncIterator[Client]:
    """The administrator at the first gateway, signed in anew to an application that is whole."""
    async with client_at(split.gateways[0]) as client, AsyncExitStack() as stack:
        everywhere = [await stack.enter_async_context(client_at(process)) for process in split]

        async def reached() -> bool:
            return bool((await client.get("/health")).body.get("status") == "up")

        async def whole() -> bool:
            if all([(await each.get("/health")).body["status"] == "up" for each in everywhere]):
                return True
            # An open circuit is tried again only when somebody wants what is behind it.
            patient = await admin.register(new_nik())
            await admin.post("/queue/add", {"user_id": patient})
            return False

        await _until(reached)
        admin = await client.sign_in()
        await _until(whole)
        yield admin


@asynccontextmanager
async def _flowing(split: Split, client: Client) -> AsyncIterator[Stream]:
    async with Stream(split, client.tokens) as stream:
        await stream.flowing(since=0.0, within=HANG)
        yield stream


async def _endure(
    split: Split,
    client: Client,
    fault: str,
    harm: Callable[[], object],
    mend: Callable[[], object],
    *,
    away: float,
    gateway_dies: bool = False,
) -> Stream:
    """Do `harm` to an application under load, `mend` it `away` seconds later, and check that it recovers."""
    async with _flowing(split, client) as stream:
        for _ in range(ROUNDS):
            stream.opened.clear()
            harmed = time.monotonic()
            try:
                await asyncio.to_thread(harm)
                await asyncio.sleep(away)
            finally:
                await asyncio.to_thread(mend)
            mended = time.monotonic()
            await stream.flowing(since=mended, within=RECOVERY)
            _judge(stream, fault, harmed, mended, gateway_dies=gateway_dies)
    return stream


def _judge(stream: Stream, fault: str, harmed: float, mended: float, *, gateway_dies: bool) -> None:
    meanwhile = [answer for answer in stream.answers if answer.ended >= harmed]
    bad = [answer for answer in meanwhile if not answer.good]
    slowest = max(meanwhile, key=lambda answer: answer.seconds)
    _report(
        fault=fault,
        away=round(mended - harmed, 1),
        answers=dict(Counter(str(answer.status) if answer.status else "no connection" for answer in meanwhile)),
        problems=dict(Counter(f"{answer.what}: {answer.problem or 'no connection'}" for answer in bad)),
        slowest=round(slowest.seconds, 2),
        recovered=round(max(0.0, 0.0, *(answer.ended - mended for answer in bad)), 2),
        breakers=sorted(one.rpartition("/")[2] for one in stream.opened),
    )
    assert slowest.seconds < TIMEOUT + MARGIN, slowest
    if not gateway_dies:
        assert not [answer for answer in bad if answer.status == 0], "a gateway was away"


def _report(**measured: object) -> None:
    if path := os.environ.get("MEDIQ_FAULT_REPORT"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(measured) + "\n")


@pytest.mark.parametrize("role", ["user", "queue", "gateway"])
async def test_a_process_is_killed(split: Split, client: Client, role: str) -> None:
    application = split.processes[role][-1]
    stream = await _endure(
        split,
        client,
        f"kill -9 of a {role} process",
        application.kill,
        application.start,
        away=0.0,
        gateway_dies=role == "gateway",
    )
    if role != "gateway":
        assert not stream.opened, "its twin goes on"


async def test_the_card_reader_is_killed_over_a_card(split: Split, client: Client) -> None:
    application = split.processes["ocr"][0]
    first, second = [(await client.upload(card(seed))).body["id"] for seed in (CLEAN[3], CLEAN[0])]

    async def begun() -> bool:
        return bool((await client.get(f"/ocr/status/{first}")).body["status"] != "PENDING")

    await _until(begun)
    harmed = time.monotonic()
    await asyncio.to_thread(application.kill)
    waiting = await client.get(f"/ocr/result/{second}")
    assert waiting.status in (503, 504), "nobody is there to tell"
    await asyncio.to_thread(application.start)
    mended = time.monotonic()

    async def told() -> bool:
        return (await client.get(f"/ocr/status/{second}")).status == 200

    await _until(told, within=RECOVERY)
    result = await client.result_of(second)
    _report(
        fault="kill -9 of the only ocr process",
        away=round(mended - harmed, 1),
        recovered=round(time.monotonic() - mended, 2),
    )
    assert result["status"] == "REGISTERED", result
    known = (await client.get(f"/users?search={result['fields']['nik']['value']}")).body
    assert [user["id"] for user in known["data"]] == [result["user_id"]]
    tickets = (await client.get(f"/queue?user_id={result['user_id']}")).body["data"]
    assert [ticket["id"] for ticket in tickets] == [result["ticket"]["id"]]
    assert (await client.result_of(first))["status"] in ("REGISTERED", "NEEDS_REVIEW")


@pytest.mark.parametrize("server", ["rabbitmq", "mariadb", "redis"])
@pytest.mark.parametrize("how", ["stopped", "cut off"])
async def test_a_server_is_away(split: Split, client: Client, server: str, how: str) -> None:
    it = getattr(split.servers, server)
    harm, mend = (it.stop, it.start) if how == "stopped" else (it.freeze, it.thaw)
    await _endure(split, client, f"{server} {how}", harm, mend, away=AWAY)


async def test_a_service_is_away_and_its_breaker_opens(split: Split, client: Client) -> None:
    """Both user processes stand still: who asks is told so in time, then at once, and what expired never happens."""
    users = split.processes["user"]
    passer_by = Client(client.http)
    asked: list[str] = []

    async def register() -> tuple[int, str, float]:
        asked.append(new_nik())
        began = time.monotonic()
        reply = await client.post("/users", {"nik": asked[-1], "nama": "SITI UJI"})
        return reply.status, reply.problem, time.monotonic() - began

    freeze(users)
    try:
        late = await asyncio.gather(*(register() for _ in range(40)))
        assert {(status, problem) for status, problem, _ in late} == {(504, "timeout")}
        while not any(problem == "breaker-open" for _, problem, _ in late):  # until most calls of late have failed
            late += await asyncio.gather(*(register() for _ in range(40)))
        assert max(seconds for *_, seconds in late) < TIMEOUT + MARGIN
        refused = [await register() for _ in range(3)]
        assert {(status, problem) for status, problem, _ in refused} == {(503, "breaker-open")}
        assert max(seconds for *_, seconds in refused) < 1.0, "nobody waits for what is known to be away"
        health = (await passer_by.get("/health")).body
        assert health["status"] == "degraded"
        assert health["parts"]["circuit:user"]["status"] == "degraded"
    finally:
        thaw(users)

    async def whole() -> bool:
        answer = await client.get("/users?limit=1")
        return answer.status == 200 and "circuit:user" not in (await passer_by.get("/health")).body["parts"]

    await _until(whole, within=RECOVERY)
    for nik in asked:
        assert (await client.get(f"/users/check-nik/{nik}")).body["exists"] is False, (
            "asked in vain, and done all the same"
        )


async def test_a_slow_process_holds_nobody_up_for_long(split: Split, client: Client) -> None:
    slow = split.processes["user"][:1]
    await _endure(split, client, "a user process stands still", lambda: freeze(slow), lambda: thaw(slow), away=AWAY)


async def test_what_nobody_can_read_becomes_a_dead_letter(split: Split, client: Client) -> None:
    strange = Envelope(id=new_id(), pattern="user.no-such-thing", kind=Kind.TELL, body=b"")
    broken = Envelope(id=new_id(), pattern="user.find-people", kind=Kind.TELL, body=b"\xc1")
    async with _flowing(split, client) as stream, _channel(split) as channel:
        began = time.monotonic()
        before = await _waiting(channel, "user_service_queue.dead")
        for poison in (b"not a frame at all", b"", encode_frame([strange]), encode_frame([broken])):
            await channel.default_exchange.publish(aio_pika.Message(poison), "user_service_queue")

        async def buried() -> bool:
            return await _waiting(channel, "user_service_queue.dead") >= before + 4

        await _until(buried)
        await stream.flowing(since=time.monotonic(), within=RECOVERY)
        _judge(stream, "a message that nobody can read", began, time.monotonic(), gateway_dies=False)
        assert all(answer.good for answer in stream.answers), "nobody else noticed"


async def test_what_has_expired_is_not_done(split: Split, client: Client) -> None:
    patient = await client.register(new_nik())
    body = msgspec.msgpack.encode(AddPatient(user_id=patient))
    late = Envelope(
        id=new_id(), pattern="queue.add-patient", kind=Kind.ASK, body=body, reply_to="nobody", deadline=time.time() - 1
    )
    in_time = msgspec.structs.replace(late, id=new_id(), deadline=time.time() + 30)
    async with _channel(split) as channel:
        for envelope in (late, in_time):
            before = await client.get(f"/queue/status/{patient}")
            assert before.status == 404
            await channel.default_exchange.publish(
                aio_pika.Message(encode_frame([envelope])), "patient_queue_service_queue"
            )

            async def taken() -> bool:
                return await _waiting(channel, "patient_queue_service_queue") == 0

            await _until(taken)

    async def queued() -> bool:
        return (await client.get(f"/queue/status/{patient}")).status == 200

    await _until(queued)


async def _until(true: Callable[[], Awaitable[bool]], within: float = HANG) -> None:
    """Return when it is: what happens in another process sends no event here."""
    async with asyncio.timeout(within):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@asynccontextmanager
async def _channel(split: Split) -> AsyncIterator[Any]:
    async with await aio_pika.connect(split.servers.rabbitmq_url) as connection:
        yield await connection.channel()


async def _waiting(channel: Any, queue: str) -> int:
    declared = await channel.declare_queue(queue, passive=True)
    return int(declared.declaration_result.message_count)

"""What is MySQL's own: a server that goes, is cut off or is in somebody's way, and the settings of a connection."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediq.actors.users.users import UserStore
from mediq.messages.errors import Unavailable
from mediq.stores import database
from mediq.stores.database import migrate, open_database, ping, reading, retry_on_conflict, writing
from mediq.stores.driver_errors import Contended
from mediq.stores.tables import audit, users
from tests.fixtures.servers import MariaDB
from tests.fixtures.stores.backends import NOW, a_user, cut_off

PATIENCE = 0.5
"""Seconds after which these tests give up on the server."""

AN_ACT = insert(audit).values(at=NOW, action="test")


@pytest.fixture(scope="module")
def own() -> Iterator[MariaDB]:
    """A server for these tests alone: they stop it."""
    server = MariaDB()
    server.start()
    yield server
    server.thaw()
    server.close()


@pytest.fixture(scope="module")
def url(own: MariaDB) -> str:
    return own.url()


@pytest.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_database(url)
    await migrate(engine)
    async with writing(engine) as connection:
        await connection.execute(text("DELETE FROM users"))
        await connection.execute(text("DELETE FROM audit"))
        await connection.execute(text("DELETE FROM request_keys"))
    yield engine
    await engine.dispose()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "ANSWER_SECONDS", PATIENCE)


async def fill_the_pool(engine: AsyncEngine) -> None:
    """Use all connections at once, each of which answers."""
    async with AsyncExitStack() as stack:
        for _ in range(database.POOL):
            connection = await stack.enter_async_context(reading(engine))
            assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1


async def waiting_for_rows(engine: AsyncEngine) -> int:
    """How many statements the server has not answered yet, but for this one."""
    query = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%FOR UPDATE' AND command = 'Query'"
    async with reading(engine) as connection:
        return int((await connection.execute(text(query))).scalar_one())


# --- addresses and settings ---


@pytest.mark.parametrize("scheme", ["mysql", "mysql+aiomysql", "mariadb", "mysql+pymysql"])
async def test_an_address_need_not_name_the_driver(url: str, scheme: str) -> None:
    engine = open_database(url.replace("mysql+aiomysql", scheme).replace("?charset=utf8mb4", ""))
    await ping(engine)
    assert (engine.dialect.name, engine.dialect.driver) == ("mysql", "aiomysql")
    await engine.dispose()


def test_another_kind_of_database_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="postgresql is no database that MediQ can use"):
        open_database("postgresql://user:password@localhost/mediq")


async def test_every_connection_has_our_settings(engine: AsyncEngine) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(database.POOL):
            connection = await stack.enter_async_context(reading(engine))
            rows = (await connection.execute(text("SHOW SESSION VARIABLES"))).all()
            found: dict[str, str] = dict(map(tuple, rows))
            # MariaDB and MySQL 8 call it differently.
            assert (found.get("transaction_isolation") or found["tx_isolation"]) == "READ-COMMITTED"
            assert found["character_set_client"] == "utf8mb4"
            assert int(found["wait_timeout"]) > 1800
            assert int(found["innodb_lock_wait_timeout"]) < database.ANSWER_SECONDS
            assert "STRICT_ALL_TABLES" in found["sql_mode"]


async def test_every_unicode_letter_is_stored_whatever_the_default_of_the_database(own: MariaDB) -> None:
    await asyncio.to_thread(own.sql, "CREATE DATABASE old_fashioned CHARACTER SET latin1")
    engine = open_database(f"mysql://root@127.0.0.1:{own.port}/old_fashioned")
    await migrate(engine)
    store = UserStore(engine)
    user = await store.create(a_user(1, nama="ŠÎTÎ 😷 王", alamat="JL. RĀYĀ"))
    assert await store.get(user.id) == user
    assert (await store.page(search="šîtî 😷"))[1] == 1
    await engine.dispose()


# --- the server goes ---


async def test_a_restart_of_the_server_between_two_calls_fails_neither(own: MariaDB, engine: AsyncEngine) -> None:
    store = UserStore(engine)
    await fill_the_pool(engine)
    await asyncio.to_thread(own.restart)
    user = await store.create(a_user(1))
    assert await store.get(user.id) == user
    await fill_the_pool(engine)


async def test_what_was_acknowledged_outlives_a_kill(own: MariaDB, engine: AsyncEngine) -> None:
    store = UserStore(engine)
    told: dict[int, str] = {}
    enough = asyncio.Event()

    async def register(first: int) -> None:
        for number in range(first, 1_000_000, 4):
            user, _ = await store.find_or_create(a_user(number), key=f"job-{number}")
            told[number] = user.id
            if len(told) >= 60:
                enough.set()

    clerks = [asyncio.create_task(register(n)) for n in range(4)]
    await enough.wait()
    await asyncio.to_thread(own.kill)
    outcomes = await asyncio.gather(*clerks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    with pytest.raises(Unavailable):
        await ping(engine)
    await asyncio.to_thread(own.start)
    for number, user_id in told.items():
        assert (await store.find_or_create(a_user(number), key=f"job-{number}"))[0].id == user_id
    assert (await store.page(limit=1))[1] >= len(told)


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_is_cut_off_is_unavailable_in_time(own: MariaDB, engine: AsyncEngine) -> None:
    store = UserStore(engine)
    known = await store.create(a_user(1))
    await fill_the_pool(engine)
    with cut_off(own):
        for _ in range(2):
            began = time.monotonic()
            calls: list[Any] = [store.get(known.id) for _ in range(2 * database.POOL)]
            calls += [store.create(a_user(n, nik=f"{n:016}"), key=f"job-{n}") for n in range(database.POOL)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(answer) for answer in answers} == {Unavailable}
            assert time.monotonic() - began < PATIENCE + 0.7
    await fill_the_pool(engine)
    assert await store.get(known.id) == known
    # Those that were cut off may have been carried out: with the same key nothing happens twice.
    for n in range(database.POOL):
        await store.create(a_user(n, nik=f"{n:016}"), key=f"job-{n}")
    assert (await store.page())[1] == 1 + database.POOL


# --- the client gives up ---


async def test_cancelled_queries_cost_no_connection_of_the_pool(engine: AsyncEngine) -> None:
    store = UserStore(engine)
    known = [await store.create(a_user(n)) for n in range(5)]
    made = 5
    for round_ in range(25):
        readers = [asyncio.create_task(store.get(known[n % 5].id)) for n in range(12)]
        writers = [asyncio.create_task(store.create(a_user(100 * (round_ + 1) + n))) for n in range(4)]
        for _ in range(3 * round_):
            await asyncio.sleep(0)
        for task in (*readers[::2], *writers[::2]):
            task.cancel()
        outcomes = await asyncio.gather(*readers, return_exceptions=True)
        for n, outcome in enumerate(outcomes):
            assert outcome == known[n % 5] or (n % 2 == 0 and isinstance(outcome, asyncio.CancelledError))
        kept = await asyncio.gather(*writers, return_exceptions=True)
        assert not any(isinstance(outcome, Exception) for outcome in kept)
        made += 4
    await fill_the_pool(engine)
    assert (await store.page(limit=1))[1] <= made
    # Nobody's rows stay locked.
    async with writing(engine) as connection:
        await connection.execute(update(users).values(agama="ISLAM"))


# --- somebody is in the way ---


async def lock(connection: AsyncConnection, user_id: str) -> None:
    await connection.execute(select(users.c.id).where(users.c.id == user_id).with_for_update())


async def test_two_conflicting_transactions_both_succeed(engine: AsyncEngine) -> None:
    store = UserStore(engine)
    one, two = await store.create(a_user(1)), await store.create(a_user(2))
    both_hold_one = asyncio.Barrier(2)
    runs = 0

    @retry_on_conflict
    async def cross(first: str, second: str) -> None:
        nonlocal runs
        runs += 1
        async with writing(engine) as connection:
            await lock(connection, first)
            if runs <= 2:
                await both_hold_one.wait()
            await lock(connection, second)
            await connection.execute(AN_ACT)

    await asyncio.gather(cross(one.id, two.id), cross(two.id, one.id))
    assert runs == 3
    async with reading(engine) as connection:
        assert (await connection.execute(select(func.count()).select_from(audit))).scalar_one() == 2


@asynccontextmanager
async def held(engine: AsyncEngine, user_id: str) -> AsyncIterator[None]:
    """The user's row, locked for as long as the block takes."""
    async with engine.connect() as connection:
        await lock(connection, user_id)
        yield


async def test_a_row_locked_for_too_long_is_unavailable(engine: AsyncEngine) -> None:
    store = UserStore(engine)
    user = await store.create(a_user(1))
    async with held(engine, user.id):
        began = time.monotonic()
        with pytest.raises(Contended):
            await store.delete(user.id)
        assert time.monotonic() - began < database.ANSWER_SECONDS + 1.5
        assert await store.get(user.id) == user
    await store.delete(user.id)


async def test_a_row_unlocked_in_time_is_written(engine: AsyncEngine) -> None:
    store = UserStore(engine)
    user = await store.create(a_user(1))
    async with held(engine, user.id):
        waiting = asyncio.create_task(store.set_role(user.id, "OPERATOR"))
        while not await waiting_for_rows(engine):
            continue  # the server is asked until the other has come
    assert (await waiting).role == "OPERATOR"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("moment", ["before the first statement", "after the last"])
async def test_a_server_cut_off_during_a_transaction_is_unavailable_in_time(
    own: MariaDB, engine: AsyncEngine, moment: str
) -> None:
    """Also whoever has nothing more to ask, and only lets the connection go, is not kept waiting."""

    async def read() -> None:
        async with reading(engine) as connection:
            if moment == "after the last":
                await connection.execute(text("SELECT 1"))
            stack.enter_context(cut_off(own))
            if moment != "after the last":
                await connection.execute(text("SELECT 1"))

    with ExitStack() as stack:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await read()
        assert time.monotonic() - began < PATIENCE + 0.5
    await fill_the_pool(engine)

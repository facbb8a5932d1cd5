"""A house with tight limits: whoever asks too often is told when to come back, by address or by account."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from tests.fixtures.desk import Desk, desk_at
from tests.fixtures.house import ADMIN, House, made_with_admin, running
from tests.fixtures.visitors import new_nik

TIGHT = """
[http.limits]
requests = 40
login_requests = 8
card_requests = 3
streams = 6
"""


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    base = tmp_path_factory.mktemp("tight")
    made_with_admin(base)
    with running(base, TIGHT) as house:
        yield house


@pytest.fixture
async def desk(tight: House) -> AsyncIterator[Desk]:
    async with desk_at(tight) as desk:
        await desk.ready()
        yield desk


async def test_whoever_asks_too_often(desk: Desk) -> None:
    admin = await desk.sign_in()

    # A card desk, counted by account: the third is taken, the fourth is not even looked at.
    answers = [await admin.upload(b"no picture") for _ in range(4)]
    assert [answer.status for answer in answers] == [415, 415, 415, 429]
    assert answers[3].problem == "too-many"
    assert int(answers[3].headers["Retry-After"]) >= 1
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert (await admin.get("/users/profile")).status == 200, "other requests are counted apart"

    # Signing in, counted by account even if each attempt came from elsewhere.
    wrong = {"email": "Sasaran@klinik.example", "password": "tebakan-tebakan"}
    attempts = [await desk.post("/auth/login/admin", wrong) for _ in range(7)]
    assert [attempt.status for attempt in attempts] == [401] * 7, "with the sign-in above, eight"
    limited = await desk.post("/auth/login/admin", {"email": ADMIN[0], "password": ADMIN[1]})
    assert (limited.status, limited.problem) == (429, "too-many")
    limited = await desk.post("/auth/login/user", {"nik": new_nik(), "nama": "SITI"})
    assert limited.status == 429, "patients at this address are counted with it"
    assert int(limited.headers["Retry-After"]) >= 1

    # The rest, by address for those who have not signed in, and by account for those who have.
    while (answer := await desk.get("/")).status == 200:
        assert int(answer.headers["RateLimit-Limit"]) == 40
    assert (answer.status, answer.problem) == (429, "too-many")
    assert (await desk.get("/queue")).status == 429, "also where a token is missing"
    assert (await admin.get("/users/profile")).status == 200


async def test_event_streams_of_one_address_are_bounded_and_count_for_nobody(desk: Desk) -> None:
    async with AsyncExitStack() as open_streams:
        for _ in range(3):
            stream = await open_streams.enter_async_context(desk.events("/events/board/all"))
            assert (await stream.next()) is not None
        refused = await desk.get("/events/board/all")
        assert (refused.status, refused.problem) == (503, "unavailable")
        assert int(refused.headers["Retry-After"]) >= 1


async def test_what_operations_ask_counts_for_nobody(desk: Desk) -> None:
    for path in ("/ready", "/metrics", "/setup"):
        statuses = {(await desk.get(path)).status for _ in range(50)}
        assert statuses == {200}, path

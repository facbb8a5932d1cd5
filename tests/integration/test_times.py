"""How long a clinic waits in the morning. The figures are printed, not judged: test machines are shared."""

import time
from pathlib import Path

from tests.fixtures.application import made_with_admin, running
from tests.fixtures.client import client_at
from tests.fixtures.visitors import CLEAN, card


async def test_from_the_start_to_the_first_answer_and_the_first_card(tmp_path: Path) -> None:
    made_with_admin(tmp_path)
    picture = card(CLEAN[0])
    began = time.perf_counter()
    with running(tmp_path) as application:
        async with client_at(application) as client:
            await client.ready()
            first_answer = time.perf_counter() - began
            admin = await client.sign_in()
            asked = time.perf_counter()
            read = await admin.upload(picture, wait=30)
            first_card = time.perf_counter() - asked
            assert read.body["status"] == "REGISTERED", read
            asked = time.perf_counter()
            assert (await admin.upload(card(CLEAN[1]), wait=30)).status == 200
            second_card = time.perf_counter() - asked
        memory = application.peak_memory()
        began = time.perf_counter()
        assert application.stop() == 0
        stopped = time.perf_counter() - began
    print(
        f"first answer {first_answer:.2f} s after the start, first card {first_card:.2f} s after that, "
        f"second card {second_card:.2f} s, stopped in {stopped:.2f} s, {memory / 1e6:.0f} MB at most"
    )

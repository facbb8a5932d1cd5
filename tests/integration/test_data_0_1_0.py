"""A clinic that used version 0.1.0 starts this version on the same data folder, and nothing is lost.

The data folder and the answers of version 0.1.0 come from :mod:`tests.fixtures.make_data_0_1_0`.
"""

import io
import json
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.fixtures.application import GENEROUS, Application
from tests.fixtures.client import PASSWORD, Client, client_at
from tests.fixtures.make_data_0_1_0 import ARCHIVE, OPERATOR, SPECIMEN, VIEWS, all_audit
from tests.fixtures.visitors import new_nik

PASSES = {"at", "position", "people_ahead", "estimated_wait"}
"""What an answer says of the present moment."""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked archive."""
    base = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(base)
    return base


@pytest.fixture(scope="module")
def answers(old: Path) -> dict[str, Any]:
    """What version 0.1.0 answered."""
    return dict(json.loads((old / "answers.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def upgraded(old: Path, answers: dict[str, Any]) -> Iterator[Application]:
    """This version on the old data folder, at the time at which version 0.1.0 was stopped."""
    settings = (old / "config.toml").read_text("utf-8")
    application = Application(old, GENEROUS, {"START_TIME": answers["at"]}, module="tests.fixtures.mediq_at")
    (old / "config.toml").write_text(settings, "utf-8")
    application.start()
    yield application
    assert application.stop() == 0, application.log
    assert "Traceback" not in application.log


@pytest.fixture
async def admin(upgraded: Application) -> AsyncIterator[Client]:
    async with client_at(upgraded) as client:
        await client.ready()
        yield await client.sign_in()


def lasting(answer: Any) -> Any:
    """An answer without what it says of the present moment."""
    if isinstance(answer, dict):
        return {name: lasting(value) for name, value in answer.items() if name not in PASSES}
    return [lasting(each) for each in answer] if isinstance(answer, list) else answer


async def test_the_administrator_and_the_staff_sign_in_as_before(admin: Client, upgraded: Application) -> None:
    assert upgraded.stdout == [], "no set-up link: there is an administrator"
    operator = await admin.sign_in(OPERATOR, PASSWORD)
    assert operator.tokens["user"]["role"] == "OPERATOR"


@pytest.mark.parametrize("path", VIEWS)
async def test_every_view_shows_what_version_0_1_0_showed(admin: Client, answers: dict[str, Any], path: str) -> None:
    shown = await admin.get(path)
    assert shown.status == 200, shown
    assert lasting(shown.body) == lasting(answers["views"][path])


async def test_the_audit_trail_goes_on_behind_the_old_entries(admin: Client, answers: dict[str, Any]) -> None:
    entries = await all_audit(admin)
    old = answers["audit"]
    assert entries[-len(old) :] == old
    assert {entry["action"].partition(".")[0] for entry in old} == {"auth", "ocr", "queue", "user"}


async def test_a_request_repeated_under_its_key_gives_the_same_answer(admin: Client, answers: dict[str, Any]) -> None:
    keyed = answers["keyed"]
    assert {each["path"].rpartition("/")[2] for each in keyed} >= {
        "users", "add", "call-next", "recall", "start", "complete", "skip", "requeue", "hold", "resume", "transfer",
        "priority", "undo", "close-day",
    }  # fmt: skip
    for each in keyed:
        headers = {"Idempotency-Key": each["key"]}
        again = await admin.ask(each["method"], each["path"], json=each["body"], headers=headers)
        assert again.status == each["status"], (each, again)
        for name in ("id", "number", "nik", "day", "ended"):
            assert again.body.get(name) == each["answer"].get(name), (each, again)
    assert lasting((await admin.get("/queue?limit=100")).body) == lasting(answers["views"]["/queue?limit=100"])


async def test_a_key_used_for_something_else_is_refused_as_before(admin: Client, answers: dict[str, Any]) -> None:
    for path in ("/users", "/queue/add"):
        first = next(each for each in answers["keyed"] if each["path"] == path)
        other = first["body"] | ({"alamat": "JL. LAIN"} if path == "/users" else {"priority_reason": "hamil"})
        refused = await admin.post(path, other, headers={"Idempotency-Key": first["key"]})
        assert (refused.status, refused.problem) == (409, "key-reused")


async def test_an_upload_repeated_under_its_key_gives_the_same_card(admin: Client, answers: dict[str, Any]) -> None:
    first = answers["registered"]
    again = await admin.upload(SPECIMEN.read_bytes(), wait=10, headers={"Idempotency-Key": "kartu"})
    assert again.status == 200, again
    assert lasting(again.body) == lasting(first)
    other = await admin.upload(SPECIMEN.read_bytes(), headers={"Idempotency-Key": "kartu"}, service="gigi")
    assert (other.status, other.problem) == (409, "key-reused")


async def test_a_card_that_waits_is_shown_with_its_picture_and_confirmed(
    admin: Client, answers: dict[str, Any]
) -> None:
    review = answers["review"]
    path = f"/ocr/result/{review['id']}"
    assert (await admin.get(path)).body == answers["views"][path]
    shown = await admin.http.get(f"/ocr/image/{review['id']}", headers=admin.bearer)
    assert shown.status == 200
    assert list(Image.open(io.BytesIO(await shown.read())).size) == review["size"]
    fields = {"nik": new_nik(), "nama": "SITI DIPERIKSA"}
    done = await admin.post(f"/ocr/confirm/{review['id']}", {"fields": fields})
    assert (done.status, done.body["status"]) == (200, "REGISTERED"), done
    assert (await admin.get(f"/ocr/image/{review['id']}")).problem == "no-image"


async def test_the_queue_goes_on(admin: Client, answers: dict[str, Any]) -> None:
    tickets = answers["views"]["/queue?limit=100"]["data"]
    being_served = next(each for each in tickets if each["status"] == "IN_PROGRESS")
    done = await admin.patch(f"/queue/{being_served['id']}/complete", {})
    assert (done.status, done.body["status"]) == (200, "COMPLETED")
    called = await admin.patch("/queue/call-next", {"counter": being_served["counter"]})
    assert (called.status, called.body["status"]) == (200, "CALLED")

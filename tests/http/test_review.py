"""Review: an uncertain card waits for an operator, who corrects it and registers the patient."""

import io
from typing import Any

import pytest
from PIL import Image, ImageFilter

from tests.fixtures.client import Client
from tests.fixtures.specimens.cards import draw, jpeg, person
from tests.fixtures.visitors import new_nik


def blurred(seed: int) -> bytes:
    """A card that is read without certainty."""
    image = draw(person(seed), seed=seed).resize((640, 404), Image.Resampling.LANCZOS)
    return jpeg(image.filter(ImageFilter.GaussianBlur(1.4)), 60)


@pytest.fixture
async def waiting(admin: Client) -> dict[str, Any]:
    """A card that waits for review."""
    for seed in (3, 12, 17):
        for picture in (blurred(seed), jpeg(draw(person(seed), seed=seed).resize((420, 265)), 50)):
            result = (await admin.upload(picture, wait=30)).body
            if result["status"] == "NEEDS_REVIEW":
                return dict(result)
    pytest.skip("the reader was certain of every poor picture, or read none")


async def test_the_operator_corrects_and_registers_a_card(
    admin: Client, client: Client, waiting: dict[str, Any]
) -> None:
    assert (waiting["user_id"], waiting["ticket"]) == (None, None)
    assert not all(waiting["fields"][name]["certain"] for name in ("nik", "nama", "tgl_lahir", "jenis_kelamin"))
    path = f"/ocr/confirm/{waiting['id']}"
    nik = new_nik()
    reviewed = {"nik": nik, "nama": "SITI YANG DIPERIKSA", "tgl_lahir": "01-01-1990", "jenis_kelamin": "LAKI-LAKI"}

    assert (await client.post(path, {"fields": reviewed})).status == 401
    patient_nik = new_nik()
    await admin.register(patient_nik, "SITI")
    patient = await client.sign_in_patient(patient_nik, "SITI")
    assert (await patient.post(path, {"fields": reviewed})).status == 403
    for body, field in (
        ({}, "fields"),
        ({"fields": {"nik": nik}}, "fields.nama"),
        ({"fields": reviewed | {"nik": nik[:15]}}, "nik"),
        ({"fields": reviewed | {"tgl_lahir": "1990-01-01"}}, "tgl_lahir"),
        ({"fields": reviewed | {"umur": "36"}}, "fields.umur"),
        ({"fields": reviewed, "service": "kandungan"}, "service"),
    ):
        refused = await admin.post(path, body)
        assert (refused.status, refused.fields) == (422, [field]), refused
    assert (await admin.get(f"/ocr/status/{waiting['id']}")).body["status"] == "NEEDS_REVIEW", "still to be done"
    assert (await admin.get(f"/users/check-nik/{nik}")).body["exists"] is False

    key = {"Idempotency-Key": "periksa"}
    body = {"fields": reviewed, "service": "gigi", "priority_reason": "hamil"}
    done = await admin.post(path, body, headers=key)
    assert (done.status, done.body["status"]) == (200, "REGISTERED"), done
    assert done.body["fields"]["nama"]["value"] == "SITI YANG DIPERIKSA"
    assert done.body["fields"]["nama"]["certain"] is True
    assert (done.body["ticket"]["service"], done.body["ticket"]["priority"]) == ("gigi", "HIGH")
    user = (await admin.get(f"/users?search={nik}")).body["data"]
    assert [(each["id"], each["nama"]) for each in user] == [(done.body["user_id"], "SITI YANG DIPERIKSA")]

    again = await admin.post(path, body, headers=key)
    assert (again.status, again.body["ticket"]["id"]) == (200, done.body["ticket"]["id"])
    refused = await admin.post(path, {"fields": reviewed}, headers=key)
    assert (refused.status, refused.problem) == (409, "key-reused")
    keyless = await admin.post(path, {"fields": reviewed})
    assert (keyless.status, keyless.body["ticket"]["id"]) == (200, done.body["ticket"]["id"])


async def test_the_operator_lists_reviews_with_their_pictures(admin: Client, waiting: dict[str, Any]) -> None:
    async with admin.events("/events/operator") as stream:
        await stream.until("snapshot")
        listed = await admin.get("/ocr/reviews")
        [review] = [each for each in listed.body["data"] if each["id"] == waiting["id"]]
        assert (review["role"], review["reason"], listed.body["pagination"]["page"]) == ("ADMIN_FASKES", None, 1)
        shown = await admin.http.get(f"/ocr/image/{waiting['id']}", headers=admin.bearer)
        picture = Image.open(io.BytesIO(await shown.read()))
        assert (shown.status, shown.content_type, picture.format) == (200, "image/jpeg", "JPEG")
        assert not picture.getexif()
        for box in (field["box"] for field in waiting["fields"].values() if field.get("box")):
            assert 0 <= box["x"] <= box["x"] + box["width"] <= 1.001
            assert 0 <= box["y"] <= box["y"] + box["height"] <= 1.001

        reviewed = {"nik": new_nik(), "nama": "BUDI YANG DIPERIKSA"}
        done = await admin.post(f"/ocr/confirm/{waiting['id']}", {"fields": reviewed})
        assert done.body["status"] == "REGISTERED"
        moved = [(await stream.until("card")).data for _ in range(2)]
        assert [each["status"] for each in moved] == ["PROCESSING", "REGISTERED"]
        assert {each["id"] for each in moved} == {waiting["id"]}
    assert waiting["id"] not in [each["id"] for each in (await admin.get("/ocr/reviews")).body["data"]]
    gone = await admin.get(f"/ocr/image/{waiting['id']}")
    assert (gone.status, gone.problem) == (404, "no-image"), "a registered card's picture is erased"


async def test_only_a_card_in_review_can_be_confirmed(admin: Client) -> None:
    out = io.BytesIO()
    Image.new("RGB", (900, 700), (120, 120, 20)).save(out, "PNG")
    rejected = await admin.upload(out.getvalue(), wait=30)
    assert rejected.body["status"] == "REJECTED"
    fields = {"nik": new_nik(), "nama": "SITI"}
    refused = await admin.post(f"/ocr/confirm/{rejected.body['id']}", {"fields": fields})
    assert (refused.status, refused.problem) == (409, "not-in-review")
    missing = await admin.post("/ocr/confirm/guess", {"fields": fields})
    assert (missing.status, missing.problem) == (404, "no-card")


async def test_another_confirmation_of_a_registered_card_is_refused(admin: Client, waiting: dict[str, Any]) -> None:
    path = f"/ocr/confirm/{waiting['id']}"
    fields = {"nik": new_nik(), "nama": "SITI PERTAMA", "pekerjaan": "GURU"}
    assert (await admin.post(path, {"fields": fields})).status == 200
    for others in (fields | {"nama": "SITI LAIN"}, {"nik": fields["nik"], "nama": fields["nama"]}):
        refused = await admin.post(path, {"fields": others})
        assert (refused.status, refused.problem) == (409, "already-registered"), "what is stored is what was shown"
    assert (await admin.post(path, {"fields": fields})).status == 200


async def test_deleting_a_patient_removes_the_card_and_the_ticket(admin: Client, waiting: dict[str, Any]) -> None:
    fields = {"nik": new_nik(), "nama": "SITI YANG PERGI"}
    done = await admin.post(f"/ocr/confirm/{waiting['id']}", {"fields": fields})
    user_id, ticket_id = done.body["user_id"], done.body["ticket"]["id"]
    key = {"Idempotency-Key": "hapus-1"}
    for _ in range(2):
        assert (await admin.delete(f"/users/{user_id}", headers=key)).status == 200
    assert (await admin.delete(f"/users/{user_id}")).status == 404
    gone = await admin.get(f"/ocr/result/{waiting['id']}")
    assert (gone.status, gone.problem) == (404, "no-card")
    assert ticket_id not in [ticket["id"] for ticket in (await admin.get("/queue?limit=100")).body["data"]]
    acts = (await admin.get(f"/audit?subject={ticket_id}")).body["data"]
    assert [(act["action"], act["why"]) for act in acts if act["action"].endswith("cancelled")] == [
        ("queue.ticket-cancelled", "user-deleted")
    ]


async def test_the_ticket_has_the_priority_shown_at_the_review(admin: Client) -> None:
    asked = await admin.upload(blurred(3), wait=30, priority_reason="hamil", service="gigi")
    assert asked.body["status"] == "NEEDS_REVIEW"
    [review] = [each for each in (await admin.get("/ocr/reviews")).body["data"] if each["id"] == asked.body["id"]]
    assert (review["service"], review["priority"], review["priority_reason"]) == ("gigi", None, "hamil")
    fields = {"nik": new_nik(), "nama": "SITI BIASA"}
    done = await admin.post(f"/ocr/confirm/{asked.body['id']}", {"fields": fields})
    assert (done.body["ticket"]["priority"], done.body["ticket"]["service"]) == ("NORMAL", "gigi")


async def test_only_patients_get_tickets(admin: Client) -> None:
    refused = await admin.post("/queue/add", {"user_id": admin.id})
    assert (refused.status, refused.fields) == (422, ["user_id"]), "an administrator without a NIK"

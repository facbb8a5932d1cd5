"""An upload repeated under its Idempotency-Key is answered with the card as it is now."""

from tests.fixtures.client import Client
from tests.fixtures.visitors import CLEAN, card


async def test_a_repeated_upload_of_a_registered_card_says_so(admin: Client) -> None:
    key = {"Idempotency-Key": "upload-that-is-repeated"}
    first = await admin.upload(card(CLEAN[5]), headers=key)
    assert first.status == 202
    result = await admin.result_of(first.body["id"])
    assert result["status"] == "REGISTERED"
    again = await admin.upload(card(CLEAN[5]), headers=key)
    assert (again.status, again.body) == (202, {"id": first.body["id"], "status": "REGISTERED"})
    waited = await admin.upload(card(CLEAN[5]), headers=key, wait=10)
    assert (waited.status, waited.body["ticket"]["id"]) == (200, result["ticket"]["id"])

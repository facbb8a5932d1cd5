"""Uploads at a gateway whose card service follows a script: what is stored, what is asked, what is answered."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from mediq.actors.cards.messages import CardResult, CardStatus, GetCardResult, JobStatus, ProcessKtp
from mediq.actors.users import auth_messages as auth
from mediq.actors.users.tokens import Tokens
from mediq.app import now
from mediq.config import Http
from mediq.domain.clinic import DEFAULT
from mediq.domain.roles import Role
from mediq.http.gateway import Gateway
from mediq.messages.errors import Forbidden, StorageFull, Unavailable
from mediq.messages.principal import Principal
from mediq.runtime.actor import Actor, handles
from mediq.runtime.bus import Bus
from mediq.runtime.context import Context
from tests.fixtures.runtime import AT_ONCE, Application

TOKENS = Tokens("a" * 32, "b" * 32, access_seconds=86_400)
"""Access tokens that last longer than a run of all tests."""
OPERATOR = {"Authorization": f"Bearer {TOKENS.access(Principal('budi', Role.OPERATOR, 's-1'))}"}


class Users(Actor):
    """Finds every session alive."""

    name = "user"

    @handles(auth.CheckSession)
    async def check_session(self, message: auth.CheckSession, context: Context) -> auth.SessionState:
        return auth.SessionState(alive=True)


class Cards(Actor):
    """Accepts every card, which then is in the given status."""

    name = "ocr"

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        self.status = JobStatus.PENDING
        self.accepted: list[tuple[ProcessKtp, str]] = []
        self.refusal: Exception | None = None

    @handles(ProcessKtp)
    async def process(self, message: ProcessKtp, context: Context) -> CardStatus:
        if self.refusal is not None:
            raise self.refusal
        self.accepted.append((message, context.key))
        return CardStatus(id="card-1", status=self.status)

    @handles(GetCardResult)
    async def result(self, message: GetCardResult, context: Context) -> CardResult:
        return CardResult(id=message.id, status=self.status)


class Pictures:
    """The pictures that a gateway has left for the card service."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}

    async def store_image(self, image: bytes) -> str:
        if image == b"too much":
            raise StorageFull
        image_id = f"image-{len(self.stored) + 1}"
        self.stored[image_id] = image
        return image_id

    async def erase_upload(self, image_id: str) -> None:
        del self.stored[image_id]


class UploadClient:
    """A gateway, the card service behind it, and the pictures that the gateway has stored."""

    def __init__(self, client: TestClient[Any, Any], cards: Cards, pictures: Pictures) -> None:
        self.client = client
        self.cards = cards
        self.pictures = pictures

    @property
    def stored(self) -> list[bytes]:
        return list(self.pictures.stored.values())

    async def upload(self, image: bytes, headers: dict[str, str] | None = None, **texts: str) -> tuple[int, Any]:
        form = aiohttp.FormData(texts)
        form.add_field("ktp_image", image, filename="ktp.jpg")
        async with self.client.post("/ocr/process-ktp", data=form, headers=OPERATOR | (headers or {})) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def uploads() -> AsyncIterator[UploadClient]:
    application = Application()
    mailboxes = {name: name for name in ("user", "ocr")}
    application.bus = Bus(application.transport, mailboxes, retry=AT_ONCE, clock=application.clock)
    pictures = Pictures()
    async with application:
        cards = Cards(application.bus)
        await application.add_actor(Users(application.bus))
        await application.add_actor(cards)
        gateway = Gateway(
            application.bus,
            Http(),
            DEFAULT,
            TOKENS,
            upload_max_size=1000,
            check_image=lambda data: None,
            pictures=pictures,
            redis_url="",
            clock=now,
        )
        await gateway.start()
        async with TestClient(TestServer(gateway.application())) as client:
            yield UploadClient(client, cards, pictures)


async def test_the_picture_is_stored_and_its_id_travels(uploads: UploadClient) -> None:
    status, body = await uploads.upload(b"picture", service="umum", priority_reason="hamil")
    assert (status, body) == (202, {"id": "card-1", "status": "PENDING"})
    assert uploads.stored == [b"picture"]
    assert uploads.cards.accepted[0][0] == ProcessKtp(image_id="image-1", service="umum", priority_reason="hamil")


async def test_nothing_is_asked_while_the_picture_cannot_be_stored(uploads: UploadClient) -> None:
    status, body = await uploads.upload(b"too much")
    assert (status, body["type"]) == (503, "urn:mediq:storage-full")
    assert uploads.cards.accepted == []


@pytest.mark.parametrize("error", [Forbidden("no"), Unavailable()])
async def test_a_picture_that_the_card_service_does_not_take_is_erased_at_once(
    uploads: UploadClient, error: Exception
) -> None:
    uploads.cards.refusal = error
    status, _ = await uploads.upload(b"picture")
    assert status in (403, 503)
    assert uploads.stored == []


async def test_a_form_with_a_wrong_field_stores_no_picture(uploads: UploadClient) -> None:
    for name, value in (("priority", "SEGERA"), ("image_id", "image-0")):
        status, _ = await uploads.upload(b"picture", None, **{name: value})
        assert status == 422
    assert uploads.stored == []


async def test_the_fingerprint_follows_the_picture_and_the_texts_not_the_id(uploads: UploadClient) -> None:
    key = {"Idempotency-Key": "once"}
    for image in (b"picture", b"picture", b"other"):
        await uploads.upload(image, key)
    await uploads.upload(b"picture", key, service="umum")
    first, repeated, other_picture, other_service = [key for _, key in uploads.cards.accepted]
    assert first == repeated
    assert len({first, other_picture, other_service}) == 3


@pytest.mark.parametrize("status", ["PROCESSING", "NEEDS_REVIEW", "REGISTERED", "FAILED"])
async def test_a_repeated_upload_tells_the_state_of_the_card(uploads: UploadClient, status: str) -> None:
    uploads.cards.status = JobStatus(status)
    assert await uploads.upload(b"picture") == (202, {"id": "card-1", "status": status})


async def test_an_upload_that_waits_in_vain_tells_the_state_of_the_card(uploads: UploadClient) -> None:
    uploads.cards.status = JobStatus.PROCESSING
    assert await uploads.upload(b"picture", {"Prefer": "wait=1"}) == (202, {"id": "card-1", "status": "PROCESSING"})


async def test_an_upload_that_waits_is_answered_with_a_final_result(uploads: UploadClient) -> None:
    uploads.cards.status = JobStatus.NEEDS_REVIEW
    status, body = await uploads.upload(b"picture", {"Prefer": "wait=10"})
    assert (status, body["id"], body["status"], body["fields"]) == (200, "card-1", "NEEDS_REVIEW", {})

"""Uploads that are no pictures of cards: each is refused, and leaves neither user nor ticket behind."""

import asyncio
import io
import struct
import time
import zlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from PIL import Image

from tests.fixtures.application import Application
from tests.fixtures.client import Client
from tests.fixtures.specimens.cards import person
from tests.fixtures.visitors import CLEAN, card

PHP = b"<?php system($_GET['c']); ?>\n" * 20
TEXT = b"Ini bukan foto, ini tulisan.\n" * 20


@pytest.fixture(autouse=True)
async def nothing_left_behind(admin: Client) -> AsyncIterator[None]:
    """No refused file may leave a user or a ticket."""
    before = await _counted(admin)
    yield
    assert await _counted(admin) == before


async def _counted(admin: Client) -> tuple[int, int]:
    users = (await admin.get("/users?limit=1")).body["pagination"]["total"]
    tickets = (await admin.get("/queue/statistics")).body["tickets"]
    return users, tickets


def blank(width: int, height: int, kind: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 220, 210)).save(out, kind)
    return out.getvalue()


def huge_png(side: int = 30_000) -> bytes:
    """A valid PNG of `side` × `side` black pixels in some hundred kilobytes: 900 MB if anyone unpacks it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = bytes(1 + side // 8)
    pixels = zlib.compress(row * side)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("content", [PHP, TEXT, b"GIF89a" + bytes(100), b"MZ" + bytes(500)])
async def test_a_program_or_text_that_is_named_jpg(admin: Client, content: bytes) -> None:
    refused = await admin.upload(content, filename="ktp.jpg")
    assert (refused.status, refused.problem) == (415, "unsupported-image")


async def test_an_empty_file_is_refused(admin: Client) -> None:
    refused = await admin.upload(b"")
    assert (refused.status, refused.fields) == (422, ["ktp_image"])


async def test_a_form_without_a_file_is_refused(admin: Client) -> None:
    form = aiohttp.FormData({"service": "umum"})
    form.add_field("priority_reason", "", content_type="text/plain")
    refused = await admin.ask("POST", "/ocr/process-ktp", data=form)
    assert (refused.status, refused.fields) == (422, ["ktp_image"])


async def test_a_body_that_is_no_form_is_refused(admin: Client) -> None:
    refused = await admin.ask("POST", "/ocr/process-ktp", data=card(CLEAN[0]), headers={"Content-Type": "image/jpeg"})
    assert (refused.status, refused.problem) == (415, "unsupported")
    broken = await admin.ask(
        "POST", "/ocr/process-ktp", data=b"no boundary", headers={"Content-Type": "multipart/form-data"}
    )
    assert broken.status == 400, broken
    cut = await admin.ask(
        "POST",
        "/ocr/process-ktp",
        data=b'--x\r\nContent-Disposition: form-data; name="ktp_image"\r\n\r\n\xff\xd8\xff',
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert cut.status in (400, 422), cut


@pytest.mark.parametrize("share", [0.02, 0.5])
async def test_a_truncated_jpeg_is_refused(admin: Client, share: float) -> None:
    whole = card(CLEAN[0])
    answered = await admin.upload(whole[: int(len(whole) * share)], wait=30)
    if answered.status == 422:
        assert answered.fields == ["ktp_image"]
        return
    assert (answered.status, answered.body["status"]) == (200, "REJECTED"), answered
    assert answered.body["reason"] == "unreadable"
    assert answered.body["user_id"] is None


async def test_bytes_that_only_begin_like_a_picture_are_refused(admin: Client) -> None:
    for start in (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"%PDF-1.7\n"):
        refused = await admin.upload(start + b"\x00garbage" * 50)
        assert (refused.status, refused.fields) == (422, ["ktp_image"]), start


async def test_a_file_that_is_too_large_is_refused(admin: Client) -> None:
    six_megabytes = card(CLEAN[0]) + bytes(6 * 1024 * 1024)
    refused = await admin.upload(six_megabytes)
    assert (refused.status, refused.problem) == (413, "too-large")


async def test_a_large_file_without_a_content_length_is_refused(admin: Client) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="ktp_image"; filename="a.jpg"\r\n\r\n\xff\xd8\xff'
        for _ in range(6 * 16):
            yield bytes(65_536)
        yield b"\r\n--x--\r\n"

    refused = await admin.ask(
        "POST",
        "/ocr/process-ktp",
        data=endless(),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert (refused.status, refused.problem) == (413, "too-large")


async def test_a_picture_of_too_many_pixels(admin: Client, application: Application) -> None:
    bomb = huge_png()
    assert len(bomb) < 5 * 1024 * 1024
    before, began = application.peak_memory(), time.perf_counter()
    refused = await admin.upload(bomb)
    seconds, grown = time.perf_counter() - began, application.peak_memory() - before
    print(f"30,000 x 30,000 pixels refused in {seconds:.3f} s, {grown / 1e6:.1f} MB more memory at most")
    assert (refused.status, refused.problem) == (413, "image-too-large")
    assert grown < 150_000_000


@pytest.mark.parametrize("picture", [blank(1200, 800), blank(1, 1, "PNG")])
async def test_a_picture_without_a_card_is_rejected(admin: Client, picture: bytes) -> None:
    answered = await admin.upload(picture, wait=30)
    assert (answered.status, answered.body["status"]) == (200, "REJECTED"), answered
    assert answered.body["is_ktp"] is False
    assert answered.body["reason"] in ("not-a-card", "too-small", "too-blurred", "too-dark")
    assert (answered.body["user_id"], answered.body["ticket"], answered.body["fields"]) == (None, None, {})


async def test_an_unknown_service_is_refused_before_the_card_is_read(admin: Client) -> None:
    refused = await admin.upload(card(CLEAN[1]), service="kandungan")
    assert (refused.status, refused.fields) == (422, ["service"])


@pytest.mark.parametrize(
    ("field", "value"),
    [("priority", "MENDESAK"), ("service", ""), ("priority_reason", "x" * 201)],
)
async def test_an_invalid_text_field_is_refused(admin: Client, field: str, value: str) -> None:
    refused = await admin.upload(card(CLEAN[1]), texts={field: value})
    assert (refused.status, refused.fields) == (422, [field])


async def test_an_unknown_field_is_refused(admin: Client) -> None:
    refused = await admin.upload(card(CLEAN[1]), nik="3201150101900001")
    assert (refused.status, refused.fields) == (422, ["nik"])


async def test_two_pictures_in_one_form_are_refused(admin: Client) -> None:
    form = aiohttp.FormData()
    for _ in range(2):
        form.add_field("ktp_image", card(CLEAN[1]), filename="a.jpg")
    refused = await admin.ask("POST", "/ocr/process-ktp", data=form)
    assert (refused.status, refused.fields) == (422, ["ktp_image"])


async def test_an_unknown_card_id_is_not_found(client: Client) -> None:
    for path in ("/ocr/result/guess", "/ocr/status/guess"):
        missing = await client.get(path)
        assert (missing.status, missing.problem) == (404, "no-card")


class TestTheSameCardTwice:
    """Not under the check above: one user and one ticket are expected here."""

    @pytest.fixture(autouse=True)
    def nothing_left_behind(self) -> None:
        return

    async def test_concurrent_uploads_of_a_card_give_one_patient(self, admin: Client) -> None:
        seed = CLEAN[1]
        users, tickets = await _counted(admin)
        answers = await asyncio.gather(*(admin.upload(card(seed)) for _ in range(4)))
        accepted = [answer for answer in answers if answer.status == 202]
        refused = [answer for answer in answers if answer.status != 202]
        assert len(accepted) == 1, answers
        assert {(answer.status, answer.problem) for answer in refused} == {(409, "card-in-progress")}
        first = await admin.result_of(accepted[0].body["id"])
        assert first["status"] == "REGISTERED", first
        assert await _counted(admin) == (users + 1, tickets + 1)

        # When the first is done the same card may come again, and finds its holder and their ticket.
        again = await admin.upload(card(seed), wait=30)
        assert (again.status, again.body["status"]) == (200, "REGISTERED")
        assert again.headers["Preference-Applied"] == "wait=30"
        assert (again.body["user_id"], again.body["ticket"]["id"]) == (first["user_id"], first["ticket"]["id"])
        assert await _counted(admin) == (users + 1, tickets + 1)
        known = await admin.get(f"/users?search={person(seed)['nik']}")
        assert known.body["pagination"]["total"] == 1

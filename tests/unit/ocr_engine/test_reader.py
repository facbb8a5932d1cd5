"""Whole cards: what a reading holds, cards that are covered, cut off or contradictory, and files without a card.

All cards are the first specimen of the generator, so that no seed is chosen for its result. How well many specimens are
read, and all kinds of other documents, are tested in tests/integration/ocr_engine.
"""

import io
from functools import cache

import pytest
from PIL import Image, ImageDraw

from mediq.domain.card import FIELDS, Refusal
from mediq.ocr_engine.reader import CardReader
from tests.fixtures.specimens.cards import jpeg, person, render
from tests.fixtures.specimens.papers import paper

SEED = 0
PERSON = person(SEED)
CARD_BLUE = (175, 215, 235)


@cache
def scan() -> bytes:
    """The card as a flat scan, 1000 × 631 pixels."""
    return render(PERSON, seed=SEED)


def scanned() -> Image.Image:
    return Image.open(io.BytesIO(scan())).convert("RGB")


def cut(left: float, top: float, right: float, bottom: float) -> bytes:
    """The part of the scan between these shares of its width and height."""
    image = scanned()
    width, height = image.size
    return jpeg(image.crop((round(left * width), round(top * height), round(right * width), round(bottom * height))))


def test_a_clean_card_gives_every_field_with_its_confidence_and_box(reader: CardReader) -> None:
    reading = reader.read(scan())
    assert reading.certain
    assert reading.warnings == ()
    assert {name: field.value for name, field in reading.fields.items()} == PERSON
    assert all(0.5 < field.confidence < 1 for field in reading.fields.values())
    box = reading.fields["nik"].box
    assert box is not None
    assert 0.1 < box.y < 0.4, "the NIK is printed in the upper part of the card"
    assert 0.2 < box.width < 0.6


def test_a_card_without_readable_labels_is_read_by_its_other_print(reader: CardReader) -> None:
    image = scanned()
    pen = ImageDraw.Draw(image)
    for row in range(12):
        pen.rectangle((20, 178 + 29.8 * row, 226, 202 + 29.8 * row), fill=CARD_BLUE)
    reading = reader.read(jpeg(image))
    assert reading.is_ktp
    for name in ("nik", "nama", "tgl_lahir", "jenis_kelamin", "agama", "status_perkawinan", "berlaku_hingga"):
        assert reading.fields[name].value == PERSON[name]


def test_title_and_nik_alone_make_an_ektp_without_certain_fields(reader: CardReader) -> None:
    image = scanned()
    ImageDraw.Draw(image).rectangle((20, 170, 700, 600), fill=CARD_BLUE)
    reading = reader.read(jpeg(image))
    assert reading.is_ktp
    assert reading.fields["nik"].value == PERSON["nik"]
    assert not any(field.certain for field in reading.fields.values())


@pytest.mark.parametrize(
    ("edges", "lost"),
    [
        ((0, 0, 0.75, 1), ()),
        ((0.1, 0, 1, 1), ()),
        ((0, 0.17, 1, 1), ("provinsi", "kabupaten_kota")),
        ((0, 0, 1, 0.6), ("agama", "status_perkawinan", "pekerjaan", "kewarganegaraan", "berlaku_hingga")),
    ],
)
def test_what_a_cut_off_card_still_shows_is_read_with_a_warning(
    reader: CardReader, edges: tuple[float, float, float, float], lost: tuple[str, ...]
) -> None:
    reading = reader.read(cut(*edges))
    assert reading.is_ktp
    assert any("terpotong" in warning for warning in reading.warnings)
    for name in FIELDS:
        assert reading.fields[name].value == ("" if name in lost else PERSON[name])
        assert not (name in lost and reading.fields[name].certain)


@pytest.mark.parametrize("edges", [(0.24, 0, 1, 1), (0, 0.27, 1, 1), (0, 0, 0.45, 1)])
def test_a_card_with_its_nik_cut_off_is_refused(reader: CardReader, edges: tuple[float, float, float, float]) -> None:
    reading = reader.read(cut(*edges))
    assert reading.reason is Refusal.CUT_OFF
    assert reading.fields == {}


def test_a_nik_that_contradicts_the_birth_date_is_reported_and_neither_is_certain(reader: CardReader) -> None:
    other_birth = "13-03-1989"
    assert PERSON["tgl_lahir"] != other_birth
    reading = reader.read(render(PERSON | {"tgl_lahir": other_birth}, seed=SEED))
    assert reading.fields["nik"].value == PERSON["nik"]
    assert reading.fields["tgl_lahir"].value == other_birth
    assert not reading.fields["nik"].certain
    assert not reading.fields["tgl_lahir"].certain
    assert any("tanggal lahir" in warning for warning in reading.warnings)
    assert not reading.certain


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff\xe0", b"%PDF-1.4", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_picture_is_refused_as_unreadable(reader: CardReader, data: bytes) -> None:
    reading = reader.read(data)
    assert not reading.is_ktp
    assert reading.reason is Refusal.UNREADABLE
    assert reading.fields == {}


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (40, 40), (640, 480)])
def test_an_empty_picture_holds_no_card(reader: CardReader, size: tuple[int, int]) -> None:
    reading = reader.read(jpeg(Image.new("RGB", size, (200, 210, 220))))
    assert reading.reason is Refusal.NOT_A_CARD


@pytest.mark.parametrize(("kind", "reason"), [("kia", Refusal.KIA), ("form", Refusal.NOT_A_CARD)])
def test_another_document_is_refused_with_the_reason(reader: CardReader, kind: str, reason: Refusal) -> None:
    reading = reader.read(jpeg(paper(kind, SEED)))
    assert reading.reason is reason
    assert reading.fields == {}

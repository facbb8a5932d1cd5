"""Whole cards: specimens as a scanner and a phone see them, and what is no card."""

import io
from typing import Any

import pytest
from PIL import Image, ImageDraw

from mediq.domain.card import FIELDS, KEY_FIELDS, Refusal
from mediq.ocr_engine.fields import fields
from mediq.ocr_engine.fields.reread import Strip, strips_for
from mediq.ocr_engine.reader import CardReader
from tests.fixtures.specimens.camera import shoot
from tests.fixtures.specimens.cards import VARIANTS, Variant, font, jpeg, person, photograph, render
from tests.fixtures.specimens.papers import PAPERS, paper
from tests.fixtures.visitors import CLEAN, card


def bare(text: str) -> str:
    return "".join(c for c in text if c.isalnum())


@pytest.mark.parametrize("variant", VARIANTS)
def test_flat_scans_of_every_variant(reader: CardReader, variant: Variant) -> None:
    fields = person(3, variant)
    reading = reader.read(render(fields, seed=3, variant=variant))
    assert reading.is_ktp
    assert set(reading.fields) == set(FIELDS)
    wrong = {
        n: (fields[n], reading.fields[n].value) for n in FIELDS if bare(reading.fields[n].value) != bare(fields[n])
    }
    assert len(wrong) <= 1, wrong
    assert not set(wrong) & set(KEY_FIELDS), wrong


@pytest.mark.parametrize("damage", ["hand", "turned", "slanted", "dark", "far", "small"])
def test_photos_give_the_nik(reader: CardReader, damage: str) -> None:
    fields = person(5)
    reading = reader.read(photograph(fields, seed=5, damage=damage))
    assert reading.is_ktp
    assert reading.fields["nik"].value == fields["nik"]
    right = sum(bare(reading.fields[n].value) == bare(fields[n]) for n in FIELDS)
    assert right >= (11 if damage == "small" else 14)


def test_a_card_whose_labels_are_lost_is_held_by_its_other_print(reader: CardReader) -> None:
    fields = person(5)
    image = Image.open(io.BytesIO(render(fields, seed=5)))
    pen = ImageDraw.Draw(image)
    for row in range(12):
        pen.rectangle((20, 178 + 29.8 * row, 226, 202 + 29.8 * row), fill=(175, 215, 235))
    reading = reader.read(jpeg(image))
    assert reading.is_ktp
    for name in ("nik", "nama", "tgl_lahir", "jenis_kelamin", "agama", "status_perkawinan", "berlaku_hingga"):
        assert reading.fields[name].value == fields[name]


def test_the_title_and_a_nik_of_its_province_are_an_ektp_though_nothing_else_can_be_read(reader: CardReader) -> None:
    fields = person(5)
    image = Image.open(io.BytesIO(render(fields, seed=5)))
    ImageDraw.Draw(image).rectangle((20, 170, 700, 600), fill=(175, 215, 235))
    reading = reader.read(jpeg(image))
    assert reading.is_ktp
    assert reading.fields["nik"].value == fields["nik"]
    assert not any(field.certain for field in reading.fields.values())


@pytest.mark.parametrize("first", ["front", "back"])
def test_an_ektp_copied_with_its_back_is_no_old_card(reader: CardReader, first: str) -> None:
    fields = person(5)
    front = Image.open(io.BytesIO(render(fields, seed=5)))
    back = Image.new("RGB", front.size, (225, 215, 190))
    pen = ImageDraw.Draw(back)
    for y, text in ((70, "REPUBLIK INDONESIA"), (130, "KARTU TANDA PENDUDUK")):
        pen.text((500, y), text, font=font("arial-bold", 46), fill=(60, 60, 60), anchor="mm")
    sheet = Image.new("RGB", (1100, 1400), "white")
    sheet.paste(front, (50, 40 if first == "front" else 730))
    sheet.paste(back, (50, 730 if first == "front" else 40))
    reading = reader.read(jpeg(sheet))
    assert reading.is_ktp
    assert reading.fields["nik"].value == fields["nik"]


def part_of(fields: dict[str, str], seed: int, left: float, top: float, right: float, bottom: float) -> bytes:
    """A scan of which a share of the width and height is missing at each edge."""
    image = Image.open(io.BytesIO(render(fields, seed=seed)))
    width, height = image.size
    return jpeg(image.crop((round(left * width), round(top * height), round(right * width), round(bottom * height))))


@pytest.mark.parametrize(
    ("edges", "lost"),
    [
        ((0, 0, 0.75, 1), ()),
        ((0.1, 0, 1, 1), ()),
        ((0, 0.17, 1, 1), ("provinsi", "kabupaten_kota")),
        ((0, 0, 1, 0.6), ("agama", "status_perkawinan", "pekerjaan", "kewarganegaraan", "berlaku_hingga")),
    ],
)
def test_of_a_card_cut_off_what_is_visible_is_read(
    reader: CardReader, edges: tuple[float, float, float, float], lost: tuple[str, ...]
) -> None:
    fields = person(3)
    reading = reader.read(part_of(fields, 3, *edges))
    assert reading.is_ktp
    assert any("terpotong" in warning for warning in reading.warnings)
    for name in FIELDS:
        assert reading.fields[name].value == ("" if name in lost else fields[name])
        assert not (name in lost and reading.fields[name].certain)


@pytest.mark.parametrize("edges", [(0.24, 0, 1, 1), (0, 0.27, 1, 1), (0, 0, 0.45, 1)])
def test_a_card_whose_nik_is_cut_off_is_refused(reader: CardReader, edges: tuple[float, float, float, float]) -> None:
    reading = reader.read(part_of(person(3), 3, *edges))
    assert reading.reason is Refusal.CUT_OFF
    assert reading.fields == {}


def test_a_nik_against_the_birth_date_is_reported_as_printed_and_doubted(reader: CardReader) -> None:
    fields = person(2)
    other = fields | {"tgl_lahir": "13-03-1989"}
    assert fields["tgl_lahir"] != other["tgl_lahir"]
    reading = reader.read(render(other, seed=2))
    assert reading.fields["nik"].value == fields["nik"]
    assert reading.fields["tgl_lahir"].value == "13-03-1989"
    assert not reading.fields["nik"].certain
    assert not reading.fields["tgl_lahir"].certain
    assert any("tanggal lahir" in warning for warning in reading.warnings)
    assert not reading.certain


def test_a_clean_card_is_certain_and_boxed(reader: CardReader) -> None:
    fields = person(1)
    reading = reader.read(render(fields, seed=1))
    assert reading.certain
    assert reading.warnings == ()
    box = reading.fields["nik"].box
    assert box is not None
    assert 0.1 < box.y < 0.4, "the second row of the card, of the whole picture's height"
    assert 0.2 < box.width < 0.6


def test_the_name_is_read_twice_however_clear(reader: CardReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else on the card bears it out."""
    asked = []

    def noted(name: str, *of: Any, **more: Any) -> list[Strip]:
        asked.append(name)
        return strips_for(name, *of, **more)

    monkeypatch.setattr(fields, "strips_for", noted)
    assert reader.read(card(CLEAN[0])).certain
    assert "nama" in asked


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff\xe0", b"%PDF-1.4", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused_without_raising(reader: CardReader, data: bytes) -> None:
    reading = reader.read(data)
    assert not reading.is_ktp
    assert reading.reason is Refusal.UNREADABLE
    assert reading.fields == {}


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (40, 40), (640, 480)])
def test_an_empty_picture_holds_no_card(reader: CardReader, size: tuple[int, int]) -> None:
    reading = reader.read(jpeg(Image.new("RGB", size, (200, 210, 220))))
    assert reading.reason is Refusal.NOT_A_CARD


@pytest.mark.parametrize("damage", [None, "hand", "thumbnail"])
@pytest.mark.parametrize("kind", PAPERS)
def test_other_papers_are_refused_and_those_with_a_name_by_it(
    reader: CardReader, kind: str, damage: str | None
) -> None:
    image = paper(kind, 1)
    reading = reader.read(jpeg(image) if damage is None else shoot(image, seed=1, damage=damage))
    assert not reading.is_ktp
    assert reading.fields == {}
    if kind in set(Refusal):
        assert reading.reason is Refusal(kind)
    elif damage is None and kind != "nothing":
        assert reading.reason is Refusal.NOT_A_CARD


@pytest.mark.parametrize("seed", range(3))
def test_a_filled_in_form_registers_nobody_whatever_its_order(reader: CardReader, seed: int) -> None:
    assert not reader.read(shoot(paper("form", seed), seed=seed, damage="hand")).is_ktp


@pytest.mark.parametrize("damage", ["wreck", "thumbnail", "blurred"])
@pytest.mark.parametrize("seed", [51, 52])
def test_an_ektp_however_bad_is_taken_for_no_other_paper(reader: CardReader, damage: str, seed: int) -> None:
    reading = reader.read(photograph(person(seed), seed=seed, damage=damage))
    assert reading.is_ktp or reading.reason in (Refusal.TOO_BLURRED, Refusal.TOO_SMALL, Refusal.TOO_DARK)


def test_a_pdf_of_a_card_is_read(reader: CardReader) -> None:
    fields = person(4)
    out = io.BytesIO()
    Image.open(io.BytesIO(render(fields, seed=4))).save(out, "PDF")
    reading = reader.read(out.getvalue())
    assert reading.fields["nik"].value == fields["nik"]

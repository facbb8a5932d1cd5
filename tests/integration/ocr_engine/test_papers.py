"""Other documents are refused, and an e-KTP is taken for no other document."""

import io

import pytest
from PIL import Image, ImageDraw

from mediq.domain.card import Refusal
from mediq.ocr_engine.reader import CardReader
from tests.fixtures.specimens.camera import shoot
from tests.fixtures.specimens.cards import font, jpeg, person, photograph, render
from tests.fixtures.specimens.papers import PAPERS, paper

SEED = 0


@pytest.mark.parametrize("damage", [None, "hand", "thumbnail"])
@pytest.mark.parametrize("kind", PAPERS)
def test_another_document_is_refused_with_its_name(reader: CardReader, kind: str, damage: str | None) -> None:
    image = paper(kind, SEED)
    reading = reader.read(jpeg(image) if damage is None else shoot(image, seed=SEED, damage=damage))
    assert not reading.is_ktp
    assert reading.fields == {}
    if kind in set(Refusal):
        assert reading.reason is Refusal(kind)
    elif damage is None and kind != "nothing":
        assert reading.reason is Refusal.NOT_A_CARD


@pytest.mark.parametrize("seed", range(3))
def test_a_filled_in_form_is_refused_in_any_order_of_its_rows(reader: CardReader, seed: int) -> None:
    assert not reader.read(shoot(paper("form", seed), seed=seed, damage="hand")).is_ktp


@pytest.mark.parametrize("damage", ["wreck", "thumbnail", "blurred"])
@pytest.mark.parametrize("seed", range(2))
def test_a_bad_photo_of_an_ektp_is_taken_for_no_other_document(reader: CardReader, damage: str, seed: int) -> None:
    reading = reader.read(photograph(person(seed), seed=seed, damage=damage))
    assert reading.is_ktp or reading.reason in (Refusal.TOO_BLURRED, Refusal.TOO_SMALL, Refusal.TOO_DARK)


@pytest.mark.parametrize("upper", ["front", "back"])
def test_an_ektp_copied_with_its_back_is_not_taken_for_the_old_ktp(reader: CardReader, upper: str) -> None:
    printed = person(SEED)
    front = Image.open(io.BytesIO(render(printed, seed=SEED)))
    back = Image.new("RGB", front.size, (225, 215, 190))
    pen = ImageDraw.Draw(back)
    for y, text in ((70, "REPUBLIK INDONESIA"), (130, "KARTU TANDA PENDUDUK")):
        pen.text((500, y), text, font=font("arial-bold", 46), fill=(60, 60, 60), anchor="mm")
    page = Image.new("RGB", (1100, 1400), "white")
    page.paste(front, (50, 40 if upper == "front" else 730))
    page.paste(back, (50, 730 if upper == "front" else 40))
    reading = reader.read(jpeg(page))
    assert reading.is_ktp
    assert reading.fields["nik"].value == printed["nik"]

"""Photos of other documents are refused, and bad photos of an e-KTP are not taken for another document."""

import pytest

from mediq.domain.card import Refusal
from mediq.ocr_engine.reader import CardReader
from tests.fixtures.specimens.camera import shoot
from tests.fixtures.specimens.cards import person, photograph
from tests.fixtures.specimens.papers import PAPERS, paper


@pytest.mark.parametrize("damage", ["hand", "thumbnail"])
@pytest.mark.parametrize("kind", PAPERS)
def test_a_photo_of_another_document_is_refused_with_its_name(reader: CardReader, kind: str, damage: str) -> None:
    reading = reader.read(shoot(paper(kind, 1), seed=1, damage=damage))
    assert not reading.is_ktp
    assert reading.fields == {}
    if kind in set(Refusal):
        assert reading.reason is Refusal(kind)


@pytest.mark.parametrize("seed", range(3))
def test_a_filled_in_form_is_refused_in_any_order_of_its_rows(reader: CardReader, seed: int) -> None:
    assert not reader.read(shoot(paper("form", seed), seed=seed, damage="hand")).is_ktp


@pytest.mark.parametrize("damage", ["wreck", "thumbnail", "blurred"])
@pytest.mark.parametrize("seed", range(2))
def test_a_bad_photo_of_an_ektp_is_taken_for_no_other_document(reader: CardReader, damage: str, seed: int) -> None:
    reading = reader.read(photograph(person(seed), seed=seed, damage=damage))
    assert reading.is_ktp or reading.reason in (Refusal.TOO_BLURRED, Refusal.TOO_SMALL, Refusal.TOO_DARK)

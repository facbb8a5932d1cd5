"""Rows are read side by side, and come back in the order given."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mediq.ocr_engine.image.picture import Floats, Picture
from mediq.ocr_engine.text.ctc import greedy, text_of
from mediq.ocr_engine.text.networks import Models
from tests.fixtures.specimens.cards import font

WORDS = ("ISLAM", "PEGAWAI NEGERI SIPIL", "3201150101900001", "A", "BELUM KAWIN", "KOTA TAPANULI SELATAN")


def row(text: str) -> Picture:
    drawn = font("arial", 34)
    picture = Image.new("RGB", (round(drawn.getlength(text)) + 24, 48), (225, 235, 240))
    ImageDraw.Draw(picture).text((12, 4), text, fill=(20, 20, 20), font=drawn)
    return np.asarray(picture, np.uint8)


def test_rows_come_back_in_their_order() -> None:
    models = Models(threads=2)
    rows = [row(text) for text in WORDS]
    found = list(models.read_rows(rows))
    assert [text_of(greedy(steps, models.alphabet.characters)) for steps, _ in found] == list(WORDS)
    assert [len(ink) for _, ink in found] == [picture.shape[1] for picture in rows]


def test_no_rows_read_nothing() -> None:
    assert list(Models(threads=1).read_rows([])) == []


def test_rows_that_nobody_asks_for_any_more_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    models = Models(threads=1)
    read, read_row = list[int](), models._read_row

    def counted(row: Picture, width: int) -> tuple[Floats, Floats]:
        read.append(width)
        return read_row(row, width)

    monkeypatch.setattr(models, "_read_row", counted)
    reading = models.read_rows([row("ISLAM")] * 50)
    next(reading)
    reading.close()
    list(models.read_rows([row("A")]))  # behind whatever was left of the others
    assert len(read) < 25, "of 51"

"""The networks recognise rows side by side and give them back in order."""

import threading

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mediq.ocr_engine.image.picture import Floats, Picture
from mediq.ocr_engine.text.ctc import greedy_decode, text_of
from mediq.ocr_engine.text.networks import Networks
from tests.fixtures.specimens.cards import font

WORDS = ("ISLAM", "PEGAWAI NEGERI SIPIL", "3201150101900001", "A", "BELUM KAWIN", "KOTA TAPANULI SELATAN")


def row(text: str) -> Picture:
    drawn = font("arial", 34)
    picture = Image.new("RGB", (round(drawn.getlength(text)) + 24, 48), (225, 235, 240))
    ImageDraw.Draw(picture).text((12, 4), text, fill=(20, 20, 20), font=drawn)
    return np.asarray(picture, np.uint8)


def test_rows_come_back_in_their_order(networks: Networks) -> None:
    rows = [row(text) for text in WORDS]
    found = list(networks.recognise(rows))
    characters = networks.alphabet.characters
    assert [text_of(greedy_decode(probabilities, characters)) for probabilities, _ in found] == list(WORDS)
    assert [len(ink) for _, ink in found] == [picture.shape[1] for picture in rows]


def test_no_rows_give_nothing(networks: Networks) -> None:
    assert list(networks.recognise([])) == []


def test_closing_cancels_the_rows_not_yet_begun(networks: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_go_on = list[int](), threading.Event()
    recognise_row = networks._recognise_row

    def gated(row: Picture, width: int) -> tuple[Floats, Floats]:
        begun.append(width)
        if len(begun) > 1:
            may_go_on.wait()
        return recognise_row(row, width)

    monkeypatch.setattr(networks, "_recognise_row", gated)
    recognised = networks.recognise([row("ISLAM")] * 50)
    next(recognised)
    recognised.close()
    may_go_on.set()
    list(networks.recognise([row("A")]))
    assert len(begun) < 6, "the first row, at most one more for each of two workers, and the last"

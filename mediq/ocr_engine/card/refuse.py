"""Telling an e-KTP from everything else a camera is pointed at."""

import math
import re

import numpy as np
from rapidfuzz.distance import Levenshtein

from mediq.domain.card import Refusal
from mediq.domain.nik import InvalidNik, parse
from mediq.ocr_engine.card.cards import Card, rows_of
from mediq.ocr_engine.card.fiducials import anchors_of
from mediq.ocr_engine.card.frame import PLACES, WIDTH, Frame
from mediq.ocr_engine.card.labels import find_label
from mediq.ocr_engine.card.locate import Found
from mediq.ocr_engine.image import quality
from mediq.ocr_engine.image.picture import Picture
from mediq.ocr_engine.text.rows import Row

_SIGNS: tuple[tuple[Refusal, tuple[str, ...]], ...] = (
    (Refusal.KIA, ("KARTUIDENTITASANAK", "IDENTITASANAK")),
    (Refusal.FAMILY_CARD, ("KARTUKELUARGA", "KEPALAKELUARGA", "STATUSHUBUNGAN")),
    (Refusal.SIM, ("SURATIZINMENGEMUDI", "DRIVINGLICENSE", "DRIVINGLICENCE", "IZINMENGEMUDI")),
    (Refusal.PASSPORT, ("PASPOR", "PASSPORT", "REPUBLIKINDONESIAREPUBLICOFINDONESIA", "PIDN")),
    (Refusal.OLD_KTP, ("KARTUTANDAPENDUDUK", "TANDAPENDUDUK")),
)
"""Words on other documents, letters only, the most telling first."""

_LEAST_LABELS = 4
"""An e-KTP shows 14 labels; with fewer than this many it cannot be told from another paper that asks for a
name."""

_WHOLE = 10
"""Labels from which on there is an e-KTP, or a paper much like one, whatever lies beside it."""
_HELD = 0.6
"""Share of the labels that must stand in their places: on a form they stand in any order."""
_OWN = frozenset(
    ("gol_darah", "rt_rw", "kel_desa", "kecamatan", "status_perkawinan", "kewarganegaraan", "berlaku_hingga")
)
"""Labels that forms which ask for a name, an address and a NIK seldom have."""
_LEAST_OWN = 3
_TITLE = ("provinsi middle", "kabupaten_kota middle")
_LEAST_MARKS = 4
"""Labels, values and title lines that must agree where there are fewer labels than that."""
_MISREAD = 3
"""Letters of the title that may be misread."""
_MOST_ERROR = 5.0
"""Card units that they may be off, in the root of the mean square."""

_ABOVE = 60.0
"""Card units above the frame within which a title still belongs to it: the rows of other cards stand otherwise."""

_DARK = 45
"""Brightness, of 255, that the brightest twentieth of a photo must reach."""
_CROWD = 8
"""Lines of text found, from which on they may well be a card's."""
_CLEAR = 0.93
"""Mean sureness of characters from which on a paper was read well, and is none that can be used."""
_LOW_ROWS = 8.0
"""Pixels: rows lower than this, as found with their margin, hold letters of 5 pixels or less."""

_SMALL = 500
"""Pixels a side below which even a whole card has rows lower than that."""


def refusal(found: Found, card: Card | None, picture: Picture) -> Refusal | None:
    """Why what was found is not an e-KTP that can be read, or None if it is."""
    labels = {label.name for row in found.rows if (label := find_label(row)) is not None}
    text = [_letters(row) for row in found.rows if _straight(row, found)]
    on_card = [_letters(row) for row in rows_of(card, found.rows) if _straight(row, found)] if card else []
    title = [_letters(row) for row in _title_of(card, found.rows) if _straight(row, found)] if card else text
    other = _other_document(text, labels, on_card, title)
    if other is not None:
        return other
    if card is not None and _is_ktp(found, card, labels):
        return None
    return _why_unread(found, picture, text, labels)


def _letters(row: Row) -> str:
    return re.sub(r"[^A-Z]", "", row.text.upper())


def _is_ktp(found: Found, card: Card, labels: set[str]) -> bool:
    """Whether labels stand to one another as on an e-KTP, and some are of those that other papers do not have."""
    if len(labels) < _LEAST_LABELS:
        return _borne_out(found, card.frame)
    held = card.frame.marks >= max(_LEAST_LABELS, _HELD * len(labels))
    titled = any(mark.name in _TITLE for mark in anchors_of(rows_of(card, found.rows)))
    return held and (titled or len(labels & _OWN) >= _LEAST_OWN)


def _borne_out(found: Found, frame: Frame) -> bool:
    """Whether the title, the NIK and enough else stand where they do on an e-KTP, though its labels are lost."""
    anchors = {mark.name for mark in anchors_of(found.rows)}
    enough = _LEAST_MARKS if "nik digits" in anchors else _LEAST_MARKS + 2
    if _nik_names_province(found.rows):
        enough = _LEAST_MARKS - 1
    return "provinsi middle" in anchors and frame.marks >= enough and frame.error < _MOST_ERROR


def _nik_names_province(rows: list[Row]) -> bool:
    """Whether one row is a NIK that can be, and another the province that it is from, as no other paper has them."""
    for row in rows:
        try:
            province = re.sub(r"[^A-Z]", "", parse(re.sub(r"\D", "", row.text)).province)
        except InvalidNik:
            continue
        if any(Levenshtein.distance(_letters(other), f"PROVINSI{province}") <= _MISREAD for other in rows):
            return True
    return False


def _straight(row: Row, found: Found) -> bool:
    """Whether a row runs like the rest: the words KARTU TANDA PENDUDUK also run askew behind the print of an e-KTP."""
    return abs(math.remainder(row.line.angle - found.angle, math.tau)) < math.radians(8)


def _title_of(card: Card, rows: list[Row]) -> list[Row]:
    """The rows at the head of a card, where the old one says what it is."""
    middles = card.frame.to_card(np.array([(row.line.x, row.line.y) for row in rows]))
    top, bottom = -_ABOVE, PLACES["nama"].y
    return [row for row, (x, y) in zip(rows, middles, strict=True) if 0 < x < WIDTH and top < y < bottom]


def _other_document(text: list[str], labels: set[str], on_card: list[str], title: list[str]) -> Refusal | None:
    for reason, signs in _SIGNS:
        # The old card and the child's have the labels of the new one; the new one says what it is only on its back,
        # which is often copied or photographed above or below its front.
        # What stands beside a card does not speak of it: an e-KTP may lie on a family card.
        rows = title if reason is Refusal.OLD_KTP else text if len(labels) < _WHOLE else on_card
        if any(sign in line for sign in signs for line in rows):
            return reason
    return None


def _why_unread(found: Found, picture: Picture, text: list[str], labels: set[str]) -> Refusal:
    """What to tell of a photo in which no card could be read: often one was there."""
    light = quality.light(picture)
    if light < _DARK:
        return Refusal.TOO_DARK
    hints = len(labels) + sum(1 for line in text if line.startswith(("PROVINSI", "KABUPATEN")))
    heights = [row.line.height for row in found.rows]
    crowd = len(heights) >= _CROWD
    poorly = sum(row.sure for row in found.rows) < 0.75 * len(heights)
    small = hints > 0 or (poorly and max(picture.shape[:2]) < _SMALL)
    if crowd and small and float(np.median(heights)) < _LOW_ROWS:
        return Refusal.TOO_SMALL
    clear = sum(row.sure for row in found.rows) > _CLEAR * len(heights)
    if (hints and not clear) or (crowd and poorly) or quality.smeared(picture):
        return Refusal.TOO_BLURRED
    return Refusal.NOT_A_CARD

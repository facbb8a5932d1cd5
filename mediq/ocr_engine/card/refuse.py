"""Telling an e-KTP from the other documents that are laid under a camera, and why a card cannot be read."""

import math
import re

import numpy as np
from rapidfuzz.distance import Levenshtein

from mediq.domain.card import Refusal
from mediq.domain.nik import InvalidNik, parse
from mediq.ocr_engine.card.fiducials import print_fiducials
from mediq.ocr_engine.card.find_cards import Card, rows_on
from mediq.ocr_engine.card.frame import LABEL_POSITIONS, WIDTH, Frame
from mediq.ocr_engine.card.labels import find_label
from mediq.ocr_engine.card.locate import PhotoText
from mediq.ocr_engine.image import quality
from mediq.ocr_engine.image.picture import Picture
from mediq.ocr_engine.text.rows import Row

_OTHER_DOCUMENTS: tuple[tuple[Refusal, tuple[str, ...]], ...] = (
    (Refusal.KIA, ("KARTUIDENTITASANAK", "IDENTITASANAK")),
    (Refusal.FAMILY_CARD, ("KARTUKELUARGA", "KEPALAKELUARGA", "STATUSHUBUNGAN")),
    (Refusal.SIM, ("SURATIZINMENGEMUDI", "DRIVINGLICENSE", "DRIVINGLICENCE", "IZINMENGEMUDI")),
    (Refusal.PASSPORT, ("PASPOR", "PASSPORT", "REPUBLIKINDONESIAREPUBLICOFINDONESIA", "PIDN")),
    (Refusal.OLD_KTP, ("KARTUTANDAPENDUDUK", "TANDAPENDUDUK")),
)
"""Words printed on other documents, letters only; the surest sign first."""

_LEAST_LABELS = 4
"""An e-KTP has 14 labels. With fewer than this it looks like any paper that asks for a name."""
_WHOLE = 10
"""With this many labels a card, or a paper much like one, is shown, so what lies beside it does not count."""
_LEAST_SHARE_FITTED = 0.6
"""Share of the labels that must stand in their positions; on a form they stand in any order."""
_RARE_LABELS = frozenset(
    ("gol_darah", "rt_rw", "kel_desa", "kecamatan", "status_perkawinan", "kewarganegaraan", "berlaku_hingga")
)
"""Labels that other forms with a name, an address and a NIK seldom have."""
_LEAST_RARE_LABELS = 3
_TITLE = ("provinsi middle", "kabupaten_kota middle")
_LEAST_FIDUCIALS = 4
"""Fiducials of any kind that must agree where there are too few labels."""
_MOST_EDITS = 3
"""Letters of the title that may be misread."""
_MOST_ERROR = 5.0
"""Card units: the greatest error of the frame where there are too few labels."""

_ABOVE = 60.0
"""Card units above the frame in which a title still belongs to the card; the old KTP has its rows elsewhere."""
_STRAIGHT = math.radians(8)
"""Rows within this angle of the text's direction belong to it."""

_DARK = 45
"""Brightness, of 255: a photo whose brightest twentieth stays below it is too dark."""
_CROWD = 8
"""From this many rows on the photo may well show a card."""
_POOR, _CLEAR = 0.75, 0.93
"""Mean probability of characters: below the first, text was read poorly. Above the second it is another paper."""
_LOW_ROWS = 8.0
"""Pixels: boxes lower than this hold letters of 5 pixels or less."""
_SMALL = 500
"""Pixels: on a photo with shorter sides even a whole card has rows as low as that."""


def refusal(found: PhotoText, card: Card | None, picture: Picture) -> Refusal | None:
    """Why a photo does not show an e-KTP that can be read, or None if it does.

    `picture` is the photo before it was brightened.
    """
    labels = {label.name for row in found.rows if (label := find_label(row)) is not None}
    rows = [row for row in found.rows if _is_straight(row, found)]
    text = [_letters(row) for row in rows]
    on_card = [_letters(row) for row in rows_on(card, rows)] if card else []
    title = [_letters(row) for row in _title_rows(card, rows)] if card else text
    other = _other_document(text, labels, on_card, title)
    if other is not None:
        return other
    if card is not None and _is_ektp(found, card, labels):
        return None
    return _why_unreadable(found, picture, text, labels)


def _letters(row: Row) -> str:
    return re.sub(r"[^A-Z]", "", row.text.upper())


def _is_ektp(found: PhotoText, card: Card, labels: set[str]) -> bool:
    """Whether labels stand to one another as on an e-KTP, with its title or with labels that other papers lack."""
    if len(labels) < _LEAST_LABELS:
        return _is_ektp_without_labels(found, card.frame)
    fitted = card.frame.fitted >= max(_LEAST_LABELS, _LEAST_SHARE_FITTED * len(labels))
    titled = any(fiducial.name in _TITLE for fiducial in print_fiducials(rows_on(card, found.rows)))
    return fitted and (titled or len(labels & _RARE_LABELS) >= _LEAST_RARE_LABELS)


def _is_ektp_without_labels(found: PhotoText, frame: Frame) -> bool:
    """Whether the title, the NIK and other print stand where an e-KTP has them, though its labels are lost."""
    names = {fiducial.name for fiducial in print_fiducials(found.rows)}
    enough = _LEAST_FIDUCIALS if "nik digits" in names else _LEAST_FIDUCIALS + 2
    if _nik_names_province(found.rows):
        enough = _LEAST_FIDUCIALS - 1
    return "provinsi middle" in names and frame.fitted >= enough and frame.error < _MOST_ERROR


def _nik_names_province(rows: list[Row]) -> bool:
    """Whether one row is a possible NIK and another names its province, which no other paper prints together."""
    for row in rows:
        try:
            province = re.sub(r"[^A-Z]", "", parse(re.sub(r"\D", "", row.text)).province)
        except InvalidNik:
            continue
        title = f"PROVINSI{province}"
        if any(Levenshtein.distance(_letters(other), title) <= _MOST_EDITS for other in rows):
            return True
    return False


def _is_straight(row: Row, found: PhotoText) -> bool:
    """Whether a row runs like the rest; an e-KTP has KARTU TANDA PENDUDUK askew in its background print."""
    return abs(math.remainder(row.box.angle - found.angle, math.tau)) < _STRAIGHT


def _title_rows(card: Card, rows: list[Row]) -> list[Row]:
    """The rows at the head of a card, where the old KTP prints what it is."""
    if not rows:
        return []
    middles = card.frame.to_card(np.array([(row.box.x, row.box.y) for row in rows]))
    top, bottom = -_ABOVE, LABEL_POSITIONS["nama"].y
    return [row for row, (x, y) in zip(rows, middles, strict=True) if 0 < x < WIDTH and top < y < bottom]


def _other_document(text: list[str], labels: set[str], on_card: list[str], title: list[str]) -> Refusal | None:
    """The other document that the text names.

    The old KTP and the child's card have the labels of the e-KTP. The e-KTP prints KARTU TANDA PENDUDUK on its back,
    often copied together with its front. So the old KTP is told by its title alone. Where a whole card is shown, only
    the text on it counts: it may lie on a family card.
    """
    for reason, signs in _OTHER_DOCUMENTS:
        rows = title if reason is Refusal.OLD_KTP else text if len(labels) < _WHOLE else on_card
        if any(sign in row for sign in signs for row in rows):
            return reason
    return None


def _why_unreadable(found: PhotoText, picture: Picture, text: list[str], labels: set[str]) -> Refusal:
    """The reason for a photo in which no card was recognised; often a card is there."""
    if quality.light(picture) < _DARK:
        return Refusal.TOO_DARK
    hints = len(labels) + sum(1 for row in text if row.startswith(("PROVINSI", "KABUPATEN")))
    heights = [row.box.height for row in found.rows]
    total = sum(row.mean_probability for row in found.rows)
    crowd = len(heights) >= _CROWD
    poor = total < _POOR * len(heights)
    small = hints > 0 or (poor and max(picture.shape[:2]) < _SMALL)
    if crowd and small and float(np.median(heights)) < _LOW_ROWS:
        return Refusal.TOO_SMALL
    clear = total > _CLEAR * len(heights)
    if (hints and not clear) or (crowd and poor) or quality.smeared(picture):
        return Refusal.TOO_BLURRED
    return Refusal.NOT_A_CARD

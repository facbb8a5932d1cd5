"""Telling an e-KTP from everything else a camera is pointed at."""

import math
import re

import numpy as np

from mediq.domain.card import Refusal
from mediq.ocr_engine.frame import Frame
from mediq.ocr_engine.labels import find_label
from mediq.ocr_engine.locate import Found
from mediq.ocr_engine.picture import Picture
from mediq.ocr_engine.rows import Row

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


def refusal(found: Found, frame: Frame | None, picture: Picture) -> Refusal | None:
    """Why what was found is not an e-KTP that can be read, or None if it is."""
    labels = {label.name for row in found.rows if (label := find_label(row)) is not None}
    text = [re.sub(r"[^A-Z]", "", row.text.upper()) for row in found.rows if _straight(row, found)]
    other = _other_document(text, labels)
    if other is not None:
        return other
    if frame is not None and len(labels) >= _LEAST_LABELS:
        return None
    return _why_unread(found, picture, text, labels)


def _straight(row: Row, found: Found) -> bool:
    """Whether a row runs like the rest: the words KARTU TANDA PENDUDUK also run askew behind the print of an e-KTP."""
    return abs(math.remainder(row.line.angle - found.angle, math.tau)) < math.radians(8)


def _other_document(text: list[str], labels: set[str]) -> Refusal | None:
    for reason, signs in _SIGNS:
        # The old card has the labels of the new one; the new one never says what it is in its title.
        telling = reason is Refusal.OLD_KTP or len(labels) < 10
        if telling and any(sign in line for sign in signs for line in text):
            return reason
    return None


def _why_unread(found: Found, picture: Picture, text: list[str], labels: set[str]) -> Refusal:
    grey = picture.mean(axis=2) if picture.size else np.zeros((1, 1))
    hints = len(labels) + sum(1 for line in text if line.startswith(("PROVINSI", "KABUPATEN")))
    if float(np.percentile(grey, 95)) < 60:
        return Refusal.TOO_DARK
    heights = [row.line.height for row in found.rows]
    if len(heights) >= 8 and float(np.median(heights)) < 7 and max(picture.shape[:2]) < 400:
        return Refusal.TOO_SMALL
    if hints >= 1:
        return Refusal.TOO_BLURRED
    return Refusal.NOT_A_CARD

"""From the bytes of a photo to the fields of the card in it."""

import logging
import statistics
import threading
import time

import cv2
import msgspec
import numpy as np

from mediq.domain.card import FIELDS, Box, Field, Reading, Refusal
from mediq.ocr_engine.card.cards import cards_in, rows_of, shows_nik
from mediq.ocr_engine.card.layout import Piece
from mediq.ocr_engine.card.locate import locate
from mediq.ocr_engine.card.refuse import refusal
from mediq.ocr_engine.errors import PictureError
from mediq.ocr_engine.fields.confidence import estimate
from mediq.ocr_engine.fields.cross_checks import consistent_choice, cross_check, unsure
from mediq.ocr_engine.fields.fields import read_fields
from mediq.ocr_engine.fields.read_text import weaker
from mediq.ocr_engine.fields.rectify import combined, read_straightened
from mediq.ocr_engine.fields.value import Value
from mediq.ocr_engine.image import quality
from mediq.ocr_engine.image.intake import decode
from mediq.ocr_engine.image.picture import Picture
from mediq.ocr_engine.text.networks import Models
from mediq.ocr_engine.timing import timed

_log = logging.getLogger(__name__)

MAX_PIXELS = 60_000_000
"""Pictures larger than this are refused unseen; the gateway's own limit is lower."""

_PLACING_LABELS = 4
"""Labels without which a row may have been given to the field beside its own, so that none is certain."""
_EDGE = 0.3
"""Heights of a row from the edge of the photo within which its end may be cut off."""
_MANY_LOST = 3
"""Fields lost, of 17, from which on the card is straightened and read anew."""


class CardReader:
    """Reads e-KTP cards. Making one costs nothing; the networks are loaded by :meth:`load` or the first card.

    One reader may be shared between threads.
    """

    def __init__(self, *, threads: int = 2) -> None:
        """`threads` is how many cores one card may use."""
        self._threads = threads
        self._models: Models | None = None
        self._loading = threading.Lock()

    def load(self) -> None:
        """Load the networks, if they are not yet: about half a second and 100 MB."""
        with self._loading:
            if self._models is None:
                cv2.setNumThreads(self._threads)
                self._models = Models(threads=self._threads)

    def read(self, data: bytes) -> Reading:
        """Read the card in a JPEG, PNG or PDF. Never raises: a file that is no picture gives a refusal."""
        started = time.perf_counter()
        try:
            with timed("decode"):
                picture = decode(data, max_pixels=MAX_PIXELS)
            reading = self._read(picture)
        except PictureError:
            reading = Reading(is_ktp=False, reason=Refusal.UNREADABLE)
        except Exception as error:  # one odd photo must not end the queue of the others
            # The kind of error and where it arose, and nothing that a message could quote from the card.
            _log.error("reading failed: %s", type(error).__name__, stack_info=False)
            reading = Reading(is_ktp=False, reason=Refusal.UNREADABLE)
        return Reading(
            is_ktp=reading.is_ktp,
            reason=reading.reason,
            fields=reading.fields,
            warnings=reading.warnings,
            elapsed_ms=round((time.perf_counter() - started) * 1000),
        )

    def _read(self, photo: Picture) -> Reading:
        self.load()
        picture = quality.brightened(photo)
        models = self._models
        assert models is not None
        found = locate(models, picture)
        with timed("fit"):
            height, width = picture.shape[:2]
            cards = cards_in(found.rows, width, height)
        reason = refusal(found, cards[0] if cards else None, photo)
        if reason is not None or not cards:
            return Reading(is_ktp=False, reason=reason or Refusal.NOT_A_CARD)
        warnings = []
        if len(cards) > 1:
            warnings.append("Ada lebih dari satu kartu pada foto. Yang dibaca adalah kartu utuh yang terbesar.")
        if not cards[0].whole:
            if not shows_nik(cards[0], width, height):
                return Reading(is_ktp=False, reason=Refusal.CUT_OFF)
            warnings.append("Kartu terpotong di tepi foto. Periksa semua isian, atau ambil foto baru.")
        with timed("decide"):
            values = read_fields(models, picture, rows_of(cards[0], found.rows), cards[0].frame)
        if sum(not value.text or value.fits is False for value in values.values()) >= _MANY_LOST:
            with timed("straighten"):
                again = read_straightened(models, picture, cards[0])
            if again is not None:
                values = combined(values, again)
        return _conclude(values, picture, warnings, surely_placed=found.labels >= _PLACING_LABELS)


def _conclude(values: dict[str, Value], picture: Picture, warnings: list[str], *, surely_placed: bool) -> Reading:
    values = _consistent(values)
    verdict = cross_check({name: value.text for name, value in values.items()})
    card = statistics.median(value.evidence.whole for value in values.values())
    fields: dict[str, Field] = {}
    for name in FIELDS:
        value = values[name]
        confidence, certain = estimate(name, value, name in verdict.supported, card)
        field = Field(
            value=value.text, confidence=confidence, certain=certain and surely_placed, box=_box(value, picture)
        )
        fields[name] = unsure(field) if name in verdict.doubted or _at_edge(value, picture) else field
    return Reading(is_ktp=True, fields=fields, warnings=(*warnings, *verdict.warnings))


def _consistent(values: dict[str, Value]) -> dict[str, Value]:
    """NIK and birth date chosen together among what their rows may read; a changed one is no longer certain."""
    nik, date = values["nik"], values["tgl_lahir"]
    chosen = consistent_choice(nik.text, nik.shares, date.text, date.shares, values["jenis_kelamin"].text)
    if chosen is None:
        return values
    changed = dict(values)
    for name, text in (("nik", chosen[0]), ("tgl_lahir", chosen[1])):
        if text != values[name].text:
            evidence = weaker(values[name].evidence, 0.6)
            changed[name] = msgspec.structs.replace(values[name], text=text, evidence=evidence, agreed=False)
    return changed


def _box(value: Value, picture: Picture) -> Box | None:
    corners = [_corners(piece) for piece in value.pieces]
    if not corners:
        return None
    height, width = picture.shape[:2]
    points = (np.vstack(corners) / (width, height)).clip(0, 1)
    left, top = points.min(axis=0)
    right, bottom = points.max(axis=0)
    return Box(*(round(float(share), 4) for share in (left, top, right - left, bottom - top)))


def _at_edge(value: Value, picture: Picture) -> bool:
    """Whether a row of the value runs into the edge of the photo, so that letters may be missing."""
    height, width = picture.shape[:2]
    for piece in value.pieces:
        line = piece.row.line
        room = _EDGE * line.height
        ends = line.ends()
        if (ends < room).any() or (ends[:, 0] > width - room).any() or (ends[:, 1] > height - room).any():
            return True
    return False


def _corners(piece: Piece) -> np.typing.NDArray[np.float64]:
    return piece.row.line.corners()

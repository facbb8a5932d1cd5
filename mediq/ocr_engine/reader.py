"""Reading a card: from the bytes of a photo to the fields of the e-KTP in it."""

import logging
import statistics
import threading
import time

import cv2
import msgspec
import numpy as np

from mediq.domain.card import FIELDS, Box, Field, Reading, Refusal
from mediq.ocr_engine.card.find_cards import Card, cards_in, rows_on, shows_nik
from mediq.ocr_engine.card.locate import locate_text
from mediq.ocr_engine.card.refuse import refusal
from mediq.ocr_engine.errors import PictureError
from mediq.ocr_engine.fields.confidence import estimate_confidence
from mediq.ocr_engine.fields.cross_checks import consistent_nik_and_birth_date, cross_check, not_certain
from mediq.ocr_engine.fields.field_value import FieldValue, stronger
from mediq.ocr_engine.fields.read_fields import read_fields
from mediq.ocr_engine.fields.rectify import read_rectified
from mediq.ocr_engine.image import quality
from mediq.ocr_engine.image.intake import decode
from mediq.ocr_engine.image.picture import Picture
from mediq.ocr_engine.text.networks import Networks
from mediq.ocr_engine.text.rows import Row
from mediq.ocr_engine.timing import timed

_log = logging.getLogger(__name__)

MAX_PIXELS = 60_000_000
"""Pictures with more pixels are refused by their header; the gateway's own limit is lower."""

_CERTAIN_LABELS = 4
"""With fewer labels a row may have been taken for its neighbour, so no field is certain."""
_EDGE = 0.3
"""Heights of a row: nearer to the edge of the photo its end may be cut off."""
_MANY_LOST = 3
"""From this many lost fields, of 17, the card is rectified and read anew."""
_CHANGED_FACTOR = 0.6
"""The factor on the evidence of a NIK or birth date that was changed to agree with the other."""


class CardReader:
    """Reads e-KTP cards. One reader may be shared between threads.

    Making a reader costs nothing; :meth:`load`, or the first card, loads the networks::

        reader = CardReader(threads=2)
        reading = reader.read(Path("card.jpg").read_bytes())
        if reading.certain:
            print(reading.fields["nik"].value)
        elif reading.is_ktp:
            print("to review:", [name for name, field in reading.fields.items() if not field.certain])
        else:
            print("refused:", reading.reason)
    """

    def __init__(self, *, threads: int = 2) -> None:
        """`threads` is the number of cores that one card may use."""
        self._threads = threads
        self._networks: Networks | None = None
        self._loading = threading.Lock()

    def load(self) -> None:
        """Load the networks, unless they are loaded: about half a second and 100 MB."""
        self._loaded()

    def _loaded(self) -> Networks:
        with self._loading:
            if self._networks is None:
                cv2.setNumThreads(self._threads)
                self._networks = Networks(threads=self._threads)
            return self._networks

    def read(self, data: bytes) -> Reading:
        """Read the card in a JPEG, PNG or PDF file.

        It never raises: a file that is no picture gives a reading with the refusal `UNREADABLE`.
        """
        started = time.perf_counter()
        try:
            with timed("decode"):
                picture = decode(data, max_pixels=MAX_PIXELS)
            reading = self._read(picture)
        except PictureError:
            reading = Reading(is_ktp=False, reason=Refusal.UNREADABLE)
        except Exception as error:  # one odd photo must not stop the cards behind it
            # The message is left out, as it could quote the card.
            _log.error("reading failed: %s", type(error).__name__, stack_info=False)
            reading = Reading(is_ktp=False, reason=Refusal.UNREADABLE)
        return msgspec.structs.replace(reading, elapsed_ms=round((time.perf_counter() - started) * 1000))

    def _read(self, photo: Picture) -> Reading:
        networks = self._loaded()
        picture = quality.brightened(photo)
        height, width = picture.shape[:2]
        found = locate_text(networks, picture)
        with timed("fit"):
            cards = cards_in(found.rows, width, height)
        reason = refusal(found, cards[0] if cards else None, photo)
        if reason is not None or not cards:
            return Reading(is_ktp=False, reason=reason or Refusal.NOT_A_CARD)
        card, warnings = cards[0], []
        if len(cards) > 1:
            warnings.append("Ada lebih dari satu kartu pada foto. Yang dibaca adalah kartu utuh yang terbesar.")
        if not card.whole:
            if not shows_nik(card, width, height):
                return Reading(is_ktp=False, reason=Refusal.CUT_OFF)
            warnings.append("Kartu terpotong di tepi foto. Periksa semua isian, atau ambil foto baru.")
        values = _read_values(networks, picture, card, found.rows)
        return _reading_of(values, picture, warnings, placed_surely=found.labels >= _CERTAIN_LABELS)


def _read_values(networks: Networks, picture: Picture, card: Card, rows: list[Row]) -> dict[str, FieldValue]:
    """The value of every field, from the card as it lies, and if many are lost from the rectified card as well."""
    with timed("fields"):
        values = read_fields(networks, picture, rows_on(card, rows), card.frame)
    lost = sum(not value.text or value.well_formed is False for value in values.values())
    if lost < _MANY_LOST:
        return values
    with timed("rectify"):
        again = read_rectified(networks, picture, card)
    return {name: stronger(value, again[name]) for name, value in values.items()} if again else values


def _reading_of(
    values: dict[str, FieldValue], picture: Picture, warnings: list[str], *, placed_surely: bool
) -> Reading:
    """The reading with these values, after cross-checks, with the confidence and the box of each field."""
    values = _with_consistent_birth_date(values)
    checked = cross_check({name: value.text for name, value in values.items()})
    card = statistics.median(value.evidence.log_likelihood for value in values.values())
    fields: dict[str, Field] = {}
    for name in FIELDS:
        value = values[name]
        confidence, certain = estimate_confidence(name, value, name in checked.confirmed, card)
        field = Field(
            value=value.text, confidence=confidence, certain=certain and placed_surely, box=_box(value, picture)
        )
        doubted = name in checked.contradicted or _is_at_edge(value, picture)
        fields[name] = not_certain(field) if doubted else field
    return Reading(is_ktp=True, fields=fields, warnings=(*warnings, *checked.warnings))


def _with_consistent_birth_date(values: dict[str, FieldValue]) -> dict[str, FieldValue]:
    """The values with a NIK and a birth date that agree, if their rows may read so; a changed one is not certain."""
    nik, date, sex = values["nik"], values["tgl_lahir"], values["jenis_kelamin"]
    chosen = consistent_nik_and_birth_date(
        nik.text, nik.digit_probabilities, date.text, date.digit_probabilities, sex.text
    )
    if chosen is None:
        return values
    changed = dict(values)
    for name, text in zip(("nik", "tgl_lahir"), chosen, strict=True):
        value = values[name]
        if text != value.text:
            evidence = value.evidence.weakened(_CHANGED_FACTOR)
            changed[name] = msgspec.structs.replace(value, text=text, evidence=evidence, reread_agrees=False)
    return changed


def _box(value: FieldValue, picture: Picture) -> Box | None:
    """The rectangle around the rows of a value, as shares of the photo's width and height."""
    if not value.rows:
        return None
    height, width = picture.shape[:2]
    corners = np.vstack([placed.row.box.corners() for placed in value.rows])
    points = (corners / (width, height)).clip(0, 1)
    left, top = points.min(axis=0)
    right, bottom = points.max(axis=0)
    return Box(*(round(float(share), 4) for share in (left, top, right - left, bottom - top)))


def _is_at_edge(value: FieldValue, picture: Picture) -> bool:
    """Whether a row of the value runs into the edge of the photo, so that letters may be missing."""
    height, width = picture.shape[:2]
    for placed in value.rows:
        ends, room = placed.row.box.ends(), _EDGE * placed.row.box.height
        if (ends < room).any() or (ends[:, 0] > width - room).any() or (ends[:, 1] > height - room).any():
            return True
    return False

"""A user of the clinic: a patient, a member of staff or a device."""

import unicodedata
import uuid
from datetime import date, datetime
from typing import Annotated, Any

import msgspec

from mediq.domain import card
from mediq.domain.instant import Instant

KTP_FIELDS: tuple[str, ...] = tuple(name for name in card.FIELDS if name not in ("nik", "nama"))
"""The fields of a card that a user has beside NIK and name."""


UserId = Annotated[str, msgspec.Meta(examples=["0d8e6a5c4b3f4a2e9c1d7f6e5b4a3c2d"])]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A patient has a NIK, a member of staff an e-mail address; one person may have both. A device has only a name."""

    id: UserId
    nik: Annotated[str | None, msgspec.Meta(examples=["3201155503900001"])] = None
    nama: Annotated[str, msgspec.Meta(examples=["SITI CONTOH"])]
    email: str | None = None
    role: Annotated[str, msgspec.Meta(examples=["PASIEN"])]
    provinsi: str | None = None
    kabupaten_kota: str | None = None
    tempat_lahir: str | None = None
    tgl_lahir: Annotated[str | None, msgspec.Meta(examples=["15-03-1990"])] = None
    jenis_kelamin: str | None = None
    gol_darah: str | None = None
    alamat: str | None = None
    rt_rw: str | None = None
    kel_desa: str | None = None
    kecamatan: str | None = None
    agama: str | None = None
    status_perkawinan: str | None = None
    pekerjaan: str | None = None
    kewarganegaraan: str | None = None
    berlaku_hingga: str | None = None
    created_at: Instant
    updated_at: Instant

    @property
    def born(self) -> date | None:
        """The date of birth, or None if what the card says is no date."""
        return card.parse_date(self.tgl_lahir) if self.tgl_lahir else None


def new_user(at: datetime, **fields: Any) -> User:
    """A user created at `at`, with a new id."""
    return User(id=uuid.uuid4().hex, created_at=at, updated_at=at, **fields)


def normalise(text: str) -> str:
    """The form in which names, NIKs and emails are compared: case, surrounding space and accents' encoding removed."""
    return unicodedata.normalize("NFC", text.strip().casefold())

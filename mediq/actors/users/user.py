"""Who the clinic knows: patients and staff."""

from datetime import date
from typing import Annotated

import msgspec

from mediq.domain import card
from mediq.domain.instant import Instant

KTP_FIELDS: tuple[str, ...] = tuple(name for name in card.FIELDS if name not in ("nik", "nama"))
"""What a user's record keeps of the card beside NIK and name."""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A patient, a member of staff or a device. Patients have a NIK, staff have an e-mail address, one may have both;
    a device has but a name."""

    id: str
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
        """The printed date of birth, if it is one."""
        return card.parse_date(self.tgl_lahir) if self.tgl_lahir else None

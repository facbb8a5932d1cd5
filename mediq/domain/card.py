"""The fields of an e-KTP, and the result of reading one."""

from datetime import date, datetime
from enum import StrEnum

import msgspec

FIELDS: tuple[str, ...] = (
    "provinsi",
    "kabupaten_kota",
    "nik",
    "nama",
    "tempat_lahir",
    "tgl_lahir",
    "jenis_kelamin",
    "gol_darah",
    "alamat",
    "rt_rw",
    "kel_desa",
    "kecamatan",
    "agama",
    "status_perkawinan",
    "pekerjaan",
    "kewarganegaraan",
    "berlaku_hingga",
)
"""Every field of the card, in printed order."""

KEY_FIELDS: tuple[str, ...] = ("nik", "nama", "tgl_lahir", "jenis_kelamin")
"""The fields that must all be certain for a card to register a patient without review by an operator."""


class Refusal(StrEnum):
    """Why a picture was refused; :data:`REFUSALS` has the sentence for each reason."""

    NOT_A_CARD = "not-a-card"
    OLD_KTP = "old-ktp"
    KIA = "kia"
    SIM = "sim"
    PASSPORT = "passport"
    FAMILY_CARD = "family-card"
    TOO_SMALL = "too-small"
    TOO_BLURRED = "too-blurred"
    TOO_DARK = "too-dark"
    CUT_OFF = "cut-off"
    UNREADABLE = "unreadable"


REFUSALS: dict[Refusal, str] = {
    Refusal.NOT_A_CARD: "Tidak ada e-KTP pada foto ini. Letakkan kartu di tengah bingkai dan ulangi.",
    Refusal.OLD_KTP: "Ini KTP lama, bukan e-KTP. Minta e-KTP, atau isi data dengan tangan.",
    Refusal.KIA: "Ini Kartu Identitas Anak, bukan e-KTP. Isi data anak dengan tangan.",
    Refusal.SIM: "Ini SIM, bukan e-KTP. Minta e-KTP pasien.",
    Refusal.PASSPORT: "Ini paspor, bukan e-KTP. Isi data dengan tangan.",
    Refusal.FAMILY_CARD: "Ini Kartu Keluarga, bukan e-KTP. Minta e-KTP pasien.",
    Refusal.TOO_SMALL: "Gambar kartu terlalu kecil. Dekatkan kamera sampai kartu memenuhi bingkai.",
    Refusal.TOO_BLURRED: "Foto terlalu buram. Pegang kamera dengan tenang dan ulangi.",
    Refusal.TOO_DARK: "Foto terlalu gelap. Ulangi dengan cahaya lebih.",
    Refusal.CUT_OFF: "NIK terpotong di tepi foto. Ulangi dengan seluruh kartu di dalam bingkai.",
    Refusal.UNREADABLE: "Berkas gambar rusak dan tidak dapat dibuka. Ambil foto baru.",
}
"""For each refusal, a sentence that tells the operator what to do."""


class Box(msgspec.Struct, frozen=True):
    """A rectangle in the upright picture; `x` (left), `y` (top), width and height are shares of the picture, 0 to 1."""

    x: float
    y: float
    width: float
    height: float


class Field(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One field as read.

    `value` is the printed text, `-` included; it is empty if nothing was found. `confidence` is the estimated
    probability, 0 to 1, that `value` is right. `certain` says that nobody need check it.
    """

    value: str
    confidence: float
    certain: bool
    box: Box | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The result of reading one picture.

    Where no card was read, `is_ktp` is false, `reason` says why, and `fields` is empty.
    """

    is_ktp: bool
    reason: Refusal | None = None
    fields: dict[str, Field] = {}
    warnings: tuple[str, ...] = ()
    elapsed_ms: int = 0

    @property
    def certain(self) -> bool:
        """Whether every key field is certain."""
        return self.is_ktp and all((f := self.fields.get(name)) is not None and f.certain for name in KEY_FIELDS)


def parse_date(text: str) -> date | None:
    """Parse a date printed as DD-MM-YYYY; None if `text` is not such a date."""
    try:
        return datetime.strptime(text, "%d-%m-%Y").date()  # noqa: DTZ007 - a birth date has no time zone
    except ValueError:
        return None

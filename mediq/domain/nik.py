"""The NIK, the 16-digit population number of Indonesia, and what it says about its holder.

Its first six digits are the province, regency and district of first registration, two digits each. The birth date
follows as DDMMYY; for women 40 is added to the day. The last four are a serial number that is never 0000
(Permendagri 72/2022, article 4).
"""

from datetime import date
from enum import StrEnum

import msgspec

PROVINCES: dict[str, str] = {
    "11": "ACEH",
    "12": "SUMATERA UTARA",
    "13": "SUMATERA BARAT",
    "14": "RIAU",
    "15": "JAMBI",
    "16": "SUMATERA SELATAN",
    "17": "BENGKULU",
    "18": "LAMPUNG",
    "19": "KEPULAUAN BANGKA BELITUNG",
    "21": "KEPULAUAN RIAU",
    "31": "DKI JAKARTA",
    "32": "JAWA BARAT",
    "33": "JAWA TENGAH",
    "34": "DAERAH ISTIMEWA YOGYAKARTA",
    "35": "JAWA TIMUR",
    "36": "BANTEN",
    "51": "BALI",
    "52": "NUSA TENGGARA BARAT",
    "53": "NUSA TENGGARA TIMUR",
    "61": "KALIMANTAN BARAT",
    "62": "KALIMANTAN TENGAH",
    "63": "KALIMANTAN SELATAN",
    "64": "KALIMANTAN TIMUR",
    "65": "KALIMANTAN UTARA",
    "71": "SULAWESI UTARA",
    "72": "SULAWESI TENGAH",
    "73": "SULAWESI SELATAN",
    "74": "SULAWESI TENGGARA",
    "75": "GORONTALO",
    "76": "SULAWESI BARAT",
    "81": "MALUKU",
    "82": "MALUKU UTARA",
    "91": "PAPUA",
    "92": "PAPUA BARAT",
    "93": "PAPUA SELATAN",
    "94": "PAPUA TENGAH",
    "95": "PAPUA PEGUNUNGAN",
    "96": "PAPUA BARAT DAYA",
}
"""Province codes of the Ministry of Home Affairs (Kepmendagri 100.1.1-6117 of 2022): 38 provinces."""

_WOMAN = 40
"""Added to the day of birth in a woman's NIK."""


class Sex(StrEnum):
    MALE = "LAKI-LAKI"
    FEMALE = "PEREMPUAN"


class InvalidNik(ValueError):
    """A text that cannot be a NIK; the message says why in Indonesian, for the front desk."""


class Nik(msgspec.Struct, frozen=True):
    """A NIK with only possible parts; make one with :func:`parse`.

    `year_of_century` has two digits, as the NIK does not state the century.
    """

    value: str
    sex: Sex
    day: int
    month: int
    year_of_century: int

    @property
    def province(self) -> str:
        """The province of first registration. A card may name another one, as people move."""
        return PROVINCES[self.value[:2]]


def parse(text: str) -> Nik:
    """Parse a NIK of 16 digits.

    Raises:
        InvalidNik: the text cannot be a NIK; the message gives the first reason found.
    """
    if len(text) != 16:
        raise InvalidNik(f"NIK harus 16 angka, bukan {len(text)}")
    if not (text.isascii() and text.isdigit()):
        raise InvalidNik("NIK hanya boleh berisi angka")
    if text[:2] not in PROVINCES:
        raise InvalidNik(f"NIK tidak diawali kode provinsi yang dikenal: {text[:2]}")
    day, month, year = int(text[6:8]), int(text[8:10]), int(text[10:12])
    woman = day > _WOMAN
    day -= _WOMAN if woman else 0
    # 29 February is accepted if the two-digit year is a leap year in one of the two centuries.
    if all(_date(century + year, month, day) is None for century in (1900, 2000)):
        raise InvalidNik("NIK memuat tanggal lahir yang tidak ada")
    if text[12:] == "0000":
        raise InvalidNik("NIK tidak boleh berakhir 0000")
    return Nik(text, Sex.FEMALE if woman else Sex.MALE, day, month, year)


def disagreements(nik: Nik, *, born: date | None = None, sex: str | None = None) -> list[str]:
    """The fields (`tgl_lahir`, `jenis_kelamin`) with a printed value that contradicts the NIK.

    A contradiction is more often a misreading than a wrong card, so callers mark both sides and correct neither.
    """
    found = []
    if born is not None and (born.day, born.month, born.year % 100) != (nik.day, nik.month, nik.year_of_century):
        found.append("tgl_lahir")
    if sex is not None and sex != nik.sex:
        found.append("jenis_kelamin")
    return found


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None

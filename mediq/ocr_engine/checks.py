"""What the fields of a card say about one another. Nothing is corrected from another field, only marked."""

from mediq.domain.card import Field, parse_date
from mediq.domain.nik import PROVINCES, InvalidNik, Sex, disagreements, parse

_SEXES = {"LAKI-LAKI": Sex.MALE, "MALE": Sex.MALE, "PEREMPUAN": Sex.FEMALE, "FEMALE": Sex.FEMALE}


class Verdict:
    """Which fields a cross-check supports or doubts, and what to tell the desk."""

    def __init__(self) -> None:
        self.supported: set[str] = set()
        self.doubted: set[str] = set()
        self.warnings: list[str] = []


def cross_check(values: dict[str, str]) -> Verdict:
    """Compare the NIK with the printed birth date, sex and province."""
    verdict = Verdict()
    try:
        nik = parse(values.get("nik", ""))
    except InvalidNik as error:
        if values.get("nik"):
            verdict.doubted.add("nik")
            verdict.warnings.append(str(error))
        return verdict
    born = parse_date(values.get("tgl_lahir", ""))
    sex = _SEXES.get(values.get("jenis_kelamin", ""))
    wrong = disagreements(nik, born=born, sex=sex)
    if "tgl_lahir" in wrong:
        verdict.doubted |= {"nik", "tgl_lahir"}
        verdict.warnings.append("NIK tidak cocok dengan tanggal lahir. Periksa keduanya pada kartu.")
    elif born is not None:
        verdict.supported |= {"nik", "tgl_lahir"}
    if "jenis_kelamin" in wrong:
        verdict.doubted |= {"nik", "jenis_kelamin"}
        verdict.warnings.append("NIK tidak cocok dengan jenis kelamin. Periksa keduanya pada kartu.")
    elif sex is not None:
        verdict.supported.add("jenis_kelamin")
    return verdict


def same_province(nik: str, provinsi: str) -> bool:
    """Whether the first two digits of a NIK name the printed province; people who moved have another."""
    name = PROVINCES.get(nik[:2])
    return name is not None and provinsi == f"PROVINSI {name}"


def unsure(field: Field) -> Field:
    """The field, no longer certain and with at most even odds, as another field contradicts it."""
    return Field(value=field.value, confidence=min(field.confidence, 0.5), certain=False, box=field.box)

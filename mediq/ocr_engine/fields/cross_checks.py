"""What the fields of a card say about one another. Nothing is corrected from another field, only marked."""

from mediq.domain.card import Field, parse_date
from mediq.domain.nik import InvalidNik, Sex, disagreements, parse

_SEXES = {"LAKI-LAKI": Sex.MALE, "MALE": Sex.MALE, "PEREMPUAN": Sex.FEMALE, "FEMALE": Sex.FEMALE}


Shares = tuple[tuple[float, ...], ...]
"""Of each digit, how likely it is each of 0 to 9."""

_HELD_POSSIBLE = 0.05
"""Likelihood against the preferred digit from which on another was held possible."""


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


def consistent_choice(nik: str, nik_shares: Shares, date: str, date_shares: Shares, sex: str) -> tuple[str, str] | None:
    """A NIK and a birth date that agree, if the rows themselves all but read them; None to leave both as they are.

    Where the two differ in one or two digits, the reading that the recogniser itself held possible on that very row is
    taken: a digit must have had a twentieth of the likelihood of the one preferred, or the contradiction stands.
    """
    digits = date.replace("-", "")
    if len(nik) != 16 or len(digits) != 8 or len(nik_shares) != 16 or len(date_shares) != 8:
        return None
    woman = _SEXES.get(sex) is Sex.FEMALE if sex in _SEXES else nik[6] in "4567"
    new_nik, new_date, changes = list(nik), list(digits), 0
    for place, other in zip(range(6, 12), (0, 1, 2, 3, 6, 7), strict=True):
        raised = 4 if woman and place == 6 else 0
        one, two = int(new_nik[place]), int(new_date[other]) + raised
        if one == two:
            continue
        changes += 1
        to_date = nik_shares[place][two] / nik_shares[place][one] if two < 10 else 0.0
        lowered = one - raised
        to_nik = date_shares[other][lowered] / date_shares[other][two - raised] if lowered >= 0 else 0.0
        if max(to_date, to_nik) < _HELD_POSSIBLE:
            return None
        if to_date >= to_nik:
            new_nik[place] = str(two)
        else:
            new_date[other] = str(lowered)
    if not 1 <= changes <= 2:
        return None
    born = "".join(new_date)
    chosen = "".join(new_nik), f"{born[:2]}-{born[2:4]}-{born[4:]}"
    try:
        parse(chosen[0])
    except InvalidNik:
        return None
    return chosen if parse_date(chosen[1]) is not None else None


def unsure(field: Field) -> Field:
    """The field, no longer certain and with at most even odds, as another field contradicts it."""
    return Field(value=field.value, confidence=min(field.confidence, 0.5), certain=False, box=field.box)

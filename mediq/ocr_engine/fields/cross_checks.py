"""Cross-checks between the fields of a card: the NIK against birth date and sex.

No field is corrected from another one; contradictions are marked for the operator.
"""

import msgspec

from mediq.domain.card import Field, parse_date
from mediq.domain.nik import InvalidNik, Sex, disagreements, parse

_SEXES = {"LAKI-LAKI": Sex.MALE, "MALE": Sex.MALE, "PEREMPUAN": Sex.FEMALE, "FEMALE": Sex.FEMALE}

DigitProbabilities = tuple[tuple[float, ...], ...]
"""For each digit of a number, how likely it is each of 0 to 9."""

_LEAST_RATIO = 0.05
"""Probability against that of the digit read, from which another digit counts as possible."""
_BIRTH_IN_NIK = (6, 7, 8, 9, 10, 11)
_BIRTH_IN_DATE = (0, 1, 2, 3, 6, 7)
"""Where DDMMYY stands in the 16 digits of a NIK and in the 8 digits of a date."""
_WOMAN_TENS = 4
"""A woman's NIK adds 40 to the day."""
_MOST_CHANGES = 2


class CrossCheck(msgspec.Struct, frozen=True):
    """The fields that other fields confirm or contradict, and warnings for the operator."""

    confirmed: frozenset[str] = frozenset()
    contradicted: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


def cross_check(values: dict[str, str]) -> CrossCheck:
    """Compare the NIK with the printed birth date and sex."""
    try:
        nik = parse(values.get("nik", ""))
    except InvalidNik as error:
        if not values.get("nik"):
            return CrossCheck()
        return CrossCheck(contradicted=frozenset({"nik"}), warnings=(str(error),))
    confirmed: set[str] = set()
    contradicted: set[str] = set()
    warnings: list[str] = []
    born = parse_date(values.get("tgl_lahir", ""))
    sex = _SEXES.get(values.get("jenis_kelamin", ""))
    wrong = disagreements(nik, born=born, sex=sex)
    if "tgl_lahir" in wrong:
        contradicted |= {"nik", "tgl_lahir"}
        warnings.append("NIK tidak cocok dengan tanggal lahir. Periksa keduanya pada kartu.")
    elif born is not None:
        confirmed |= {"nik", "tgl_lahir"}
    if "jenis_kelamin" in wrong:
        contradicted |= {"nik", "jenis_kelamin"}
        warnings.append("NIK tidak cocok dengan jenis kelamin. Periksa keduanya pada kartu.")
    elif sex is not None:
        confirmed.add("jenis_kelamin")
    return CrossCheck(frozenset(confirmed), frozenset(contradicted), tuple(warnings))


def consistent_nik_and_birth_date(
    nik: str, nik_digits: DigitProbabilities, date: str, date_digits: DigitProbabilities, sex: str
) -> tuple[str, str] | None:
    """A NIK and a birth date that agree, if their own rows may read so; None to leave both as they are.

    Where the two differ in one or two digits, a digit gives way only if the network found the other digit possible on
    that very row. Otherwise the contradiction stands.
    """
    digits = date.replace("-", "")
    if len(nik) != 16 or len(digits) != 8 or len(nik_digits) != 16 or len(date_digits) != 8:
        return None
    woman = _SEXES.get(sex) is Sex.FEMALE if sex in _SEXES else nik[6] in "4567"
    new_nik, new_date, changes = list(nik), list(digits), 0
    for in_nik, in_date in zip(_BIRTH_IN_NIK, _BIRTH_IN_DATE, strict=True):
        added = _WOMAN_TENS if woman and in_nik == _BIRTH_IN_NIK[0] else 0
        of_nik, of_date = int(new_nik[in_nik]), int(new_date[in_date])
        if of_nik == of_date + added:
            continue
        changes += 1
        ratio_in_nik = ratio_in_date = 0.0
        if of_date + added < 10:
            ratio_in_nik = nik_digits[in_nik][of_date + added] / nik_digits[in_nik][of_nik]
        if of_nik >= added:
            ratio_in_date = date_digits[in_date][of_nik - added] / date_digits[in_date][of_date]
        if max(ratio_in_nik, ratio_in_date) < _LEAST_RATIO:
            return None
        if ratio_in_nik >= ratio_in_date:
            new_nik[in_nik] = str(of_date + added)
        else:
            new_date[in_date] = str(of_nik - added)
    if not 1 <= changes <= _MOST_CHANGES:
        return None
    born = "".join(new_date)
    chosen_nik, chosen_date = "".join(new_nik), f"{born[:2]}-{born[2:4]}-{born[4:]}"
    try:
        parse(chosen_nik)
    except InvalidNik:
        return None
    return (chosen_nik, chosen_date) if parse_date(chosen_date) is not None else None


def not_certain(field: Field) -> Field:
    """The field with a confidence of at most one half and no longer certain."""
    return Field(value=field.value, confidence=min(field.confidence, 0.5), certain=False, box=field.box)

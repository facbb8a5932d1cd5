"""The NIK, the birth date and the sex check one another; nothing changes to what its row cannot read."""

import pytest

from mediq.ocr_engine.fields.cross_checks import DigitProbabilities, consistent_nik_and_birth_date, cross_check

NIK, BORN = "3201241303890002", "13-03-1989"


def sure(digits: str, **also: float) -> DigitProbabilities:
    """Every digit sure, except those given as `at_INDEX_DIGIT=probability`."""
    table = [[1e-5] * 10 for _ in digits]
    for row, digit in zip(table, digits, strict=True):
        row[int(digit)] = 1.0
    for name, probability in also.items():
        _, index, digit = name.split("_")
        table[int(index)][int(digit)] = probability
    return tuple(tuple(row) for row in table)


def test_agreement_changes_nothing_and_confirms_the_fields() -> None:
    assert consistent_nik_and_birth_date(NIK, sure(NIK), BORN, sure("13031989"), "LAKI-LAKI") is None
    checked = cross_check({"nik": NIK, "tgl_lahir": BORN, "jenis_kelamin": "LAKI-LAKI"})
    assert checked.confirmed == {"nik", "tgl_lahir", "jenis_kelamin"}
    assert not checked.warnings


def test_a_digit_that_its_row_may_read_is_changed() -> None:
    misread = sure("13031969", at_6_8=0.3)
    assert consistent_nik_and_birth_date(NIK, sure(NIK), "13-03-1969", misread, "LAKI-LAKI") == (NIK, BORN)
    wrong = NIK[:8] + "8" + NIK[9:]
    assert consistent_nik_and_birth_date(wrong, sure(wrong, at_8_0=0.4), BORN, sure("13031989"), "") == (NIK, BORN)


def test_a_contradiction_in_clear_print_stands() -> None:
    assert consistent_nik_and_birth_date(NIK, sure(NIK), "13-03-1969", sure("13031969"), "LAKI-LAKI") is None
    checked = cross_check({"nik": NIK, "tgl_lahir": "13-03-1969"})
    assert checked.contradicted == {"nik", "tgl_lahir"}
    assert checked.warnings


def test_a_womans_nik_adds_forty_to_the_day() -> None:
    woman = "3201245303890002"
    assert consistent_nik_and_birth_date(woman, sure(woman), BORN, sure("13031989"), "PEREMPUAN") is None
    assert "jenis_kelamin" in cross_check({"nik": woman, "jenis_kelamin": "LAKI-LAKI"}).contradicted
    assert "jenis_kelamin" in cross_check({"nik": woman, "jenis_kelamin": "FEMALE"}).confirmed


@pytest.mark.parametrize("nik", ["", "123", "0001241303890002", "3201241303890000"])
def test_an_impossible_nik_is_contradicted_and_confirms_nothing(nik: str) -> None:
    checked = cross_check({"nik": nik, "tgl_lahir": BORN})
    assert not checked.confirmed
    assert ("nik" in checked.contradicted) == bool(nik)

"""The NIK, the birth date and the sex check one another; nothing is overwritten that the rows do not bear out."""

import pytest

from mediq.ocr_engine.fields.cross_checks import Shares, consistent_choice, cross_check

NIK, BORN = "3201241303890002", "13-03-1989"


def shares(digits: str, **also: float) -> Shares:
    """Every digit sure, but for places given as `at_PLACE_DIGIT=likelihood`."""
    table = [[1e-5] * 10 for _ in digits]
    for row, digit in zip(table, digits, strict=True):
        row[int(digit)] = 1.0
    for name, likelihood in also.items():
        _, place, digit = name.split("_")
        table[int(place)][int(digit)] = likelihood
    return tuple(tuple(row) for row in table)


def test_what_agrees_is_left_alone_and_supported() -> None:
    assert consistent_choice(NIK, shares(NIK), BORN, shares("13031989"), "LAKI-LAKI") is None
    verdict = cross_check({"nik": NIK, "tgl_lahir": BORN, "jenis_kelamin": "LAKI-LAKI"})
    assert verdict.supported == {"nik", "tgl_lahir", "jenis_kelamin"}
    assert not verdict.warnings


def test_a_digit_the_row_held_possible_is_chosen() -> None:
    misread = shares("13031969", at_6_8=0.3)
    assert consistent_choice(NIK, shares(NIK), "13-03-1969", misread, "LAKI-LAKI") == (NIK, BORN)
    wrong = NIK[:8] + "8" + NIK[9:]
    assert consistent_choice(wrong, shares(wrong, at_8_0=0.4), BORN, shares("13031989"), "") == (NIK, BORN)


def test_a_contradiction_in_clear_print_stands() -> None:
    assert consistent_choice(NIK, shares(NIK), "13-03-1969", shares("13031969"), "LAKI-LAKI") is None
    verdict = cross_check({"nik": NIK, "tgl_lahir": "13-03-1969"})
    assert verdict.doubted == {"nik", "tgl_lahir"}
    assert verdict.warnings


def test_a_womans_day_is_forty_more() -> None:
    woman = "3201245303890002"
    assert consistent_choice(woman, shares(woman), BORN, shares("13031989"), "PEREMPUAN") is None
    assert "jenis_kelamin" in cross_check({"nik": woman, "jenis_kelamin": "LAKI-LAKI"}).doubted
    assert "jenis_kelamin" in cross_check({"nik": woman, "jenis_kelamin": "FEMALE"}).supported


@pytest.mark.parametrize("nik", ["", "123", "0001241303890002", "3201241303890000"])
def test_an_impossible_nik_is_doubted_and_supports_nothing(nik: str) -> None:
    verdict = cross_check({"nik": nik, "tgl_lahir": BORN})
    assert not verdict.supported
    assert ("nik" in verdict.doubted) == bool(nik)

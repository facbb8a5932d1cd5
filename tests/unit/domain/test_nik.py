"""The NIK: what it says about its holder, and which texts cannot be one."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediq.domain.nik import PROVINCES, InvalidNik, Nik, Sex, disagreements, parse

TODAY = date(2026, 11, 23)
BIRTHS = st.dates(date(1926, 11, 24), TODAY)


def nik_of(born: date, sex: Sex, province: str = "31", area: int = 7101, serial: int = 1) -> str:
    """The NIK of a person with these data."""
    day = born.day + (40 if sex is Sex.FEMALE else 0)
    return f"{province}{area:04}{day:02}{born.month:02}{born.year % 100:02}{serial:04}"


@given(BIRTHS, st.sampled_from(Sex), st.sampled_from(sorted(PROVINCES)), st.integers(0, 9999), st.integers(1, 9999))
def test_a_nik_gives_back_what_it_was_made_of(born: date, sex: Sex, province: str, area: int, serial: int) -> None:
    text = nik_of(born, sex, province, area, serial)
    nik = parse(text)
    assert (nik.value, nik.sex, nik.province) == (text, sex, PROVINCES[province])
    assert (nik.day, nik.month, nik.year_of_century) == (born.day, born.month, born.year % 100)
    assert disagreements(nik, born=born, sex=sex) == []


@given(BIRTHS, st.sampled_from(Sex), BIRTHS)
def test_the_fields_that_contradict_the_nik_are_named(born: date, sex: Sex, other: date) -> None:
    nik = parse(nik_of(born, sex))
    opposite = Sex.MALE if sex is Sex.FEMALE else Sex.FEMALE
    assert disagreements(nik, sex=opposite) == ["jenis_kelamin"]
    differs = (born.day, born.month, born.year % 100) != (other.day, other.month, other.year % 100)
    assert disagreements(nik, born=other, sex=sex) == (["tgl_lahir"] if differs else [])


@given(st.text(max_size=20))
def test_any_text_is_parsed_or_refused_with_a_sentence(text: str) -> None:
    try:
        nik = parse(text)
    except InvalidNik as refusal:
        words = str(refusal)
    else:
        assert isinstance(nik, Nik)
        words = "NIK"
    assert words.startswith("NIK")


@given(st.from_regex(r"[0-9]{16}", fullmatch=True))
def test_a_parsed_nik_has_a_possible_birthday(text: str) -> None:
    try:
        nik = parse(text)
    except InvalidNik:
        return
    assert date(2000, nik.month, nik.day)
    assert nik.value == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("317101010190001", "16 angka, bukan 15"),
        ("31710101019000011", "16 angka, bukan 17"),
        ("31710101O1900001", "hanya boleh berisi angka"),
        ("３１７１０１０１０１９０0001", "hanya boleh berisi angka"),
        ("0071010101900001", "kode provinsi"),
        ("3171013201900001", "tanggal lahir"),
        ("3171017201900001", "tanggal lahir"),
        ("3171010113900001", "tanggal lahir"),
        ("3171013002900001", "tanggal lahir"),
        ("3171010001900001", "tanggal lahir"),
        ("3171014001900001", "tanggal lahir"),
        ("3171010101900000", "0000"),
    ],
)
def test_an_impossible_nik_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(InvalidNik, match=words):
        parse(text)


def test_a_leap_day_in_one_of_two_centuries_is_accepted() -> None:
    nik = parse("3171012902000001")
    assert (nik.day, nik.month, nik.year_of_century) == (29, 2, 0), "1900 had none"

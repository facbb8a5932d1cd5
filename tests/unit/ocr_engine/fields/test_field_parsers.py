"""Parsing values from rows written by hand: each character sure at its step, with a blank between two."""

import msgspec
import numpy as np
import pytest

from mediq.ocr_engine.card.layout import PlacedRow
from mediq.ocr_engine.fields.dates import parse_birth, parse_expiry
from mediq.ocr_engine.fields.field_parsers import parse_field
from mediq.ocr_engine.fields.field_value import FieldValue, stronger
from mediq.ocr_engine.text.alphabet import Alphabet
from mediq.ocr_engine.text.ctc import greedy_decode
from mediq.ocr_engine.text.detect import TextBox
from mediq.ocr_engine.text.networks import STEP
from mediq.ocr_engine.text.rows import Row

ALPHABET = Alphabet([chr(code) for code in range(33, 127)])


def step_of(index: int) -> int:
    """The step of a character in a row made by :func:`placed`."""
    return 2 * index + 1


def placed(text: str, *, y: float = 0.0, **also: float) -> PlacedRow:
    """A row that reads `text`; `also` makes other characters possible, as `at_INDEX_CHARACTER=probability`."""
    probabilities = np.full((2 * len(text) + 1, len(ALPHABET.characters)), 1e-6, np.float32)
    probabilities[:, 0] = 0.999
    for index, char in enumerate(text):
        probabilities[step_of(index)] = 1e-6
        probabilities[step_of(index), ALPHABET.index[char]] = 0.99
    for name, probability in also.items():
        _, at, char = name.split("_", 2)
        probabilities[step_of(int(at))] *= 1 - probability
        probabilities[step_of(int(at)), ALPHABET.index[char]] = probability
    glyphs = greedy_decode(probabilities, ALPHABET.characters)
    row = Row(TextBox(200, y, 200, 14, 0), probabilities, glyphs, np.zeros(0, np.float32))
    return PlacedRow(row, 120.0, 320.0, y)


def value(name: str, *texts: str) -> FieldValue:
    return parse_field(name, [placed(text, y=15.0 * row) for row, text in enumerate(texts)], ALPHABET)


@pytest.mark.parametrize(
    ("name", "read", "text"),
    [
        ("nama", ": LUKMAN WIJAYA", "LUKMAN WIJAYA"),
        ("nama", "LUKMAN W1JAYA", "LUKMAN WIJAYA"),
        ("alamat", "JLRAYA NO, 12 BLOKA", "JL RAYA NO. 12 BLOK A"),
        ("alamat", "KAMPUNG BAR0 F4", "KAMPUNG BARO F4"),
        ("rt_rw", "001/002", "001/002"),
        ("rt_rw", "O01/0O2", "001/002"),
        ("rt_rw", "0017002", "001/002"),
        ("rt_rw", "-/-", "-/-"),
        ("rt_rw", "-1-", "-/-"),
        ("gol_darah", ": 0", "O"),
        ("gol_darah", "AB", "AB"),
        ("gol_darah", "-", "-"),
        ("gol_darah", "B+", "B+"),
        ("agama", "lSLAM", "ISLAM"),
        ("agama", "KATH0L1K", "KATHOLIK"),
        ("status_perkawinan", "BELUMKAWIN", "BELUM KAWIN"),
        ("pekerjaan", "PEGAWAINEGERISIPIL", "PEGAWAI NEGERI SIPIL"),
        ("pekerjaan", "PELAJARIMAHASISWA", "PELAJAR/MAHASISWA"),
        ("pekerjaan", "PAWANG HUJAN", "PAWANG HUJAN"),
        ("kewarganegaraan", "WN1", "WNI"),
        ("kewarganegaraan", "JAPAN", "JAPAN"),
        ("provinsi", "PROVINSIDKIJAKARTA", "PROVINSI DKI JAKARTA"),
        ("kabupaten_kota", "KABUPATENBOGOR", "KABUPATEN BOGOR"),
        ("kabupaten_kota", "KAUPATEN BOGOR", "KABUPATEN BOGOR"),
        ("kabupaten_kota", "JAKARTA BARAT", "JAKARTA BARAT"),
        ("berlaku_hingga", "SEUMURHIDUP", "SEUMUR HIDUP"),
        ("berlaku_hingga", ":11-07-2019", "11-07-2019"),
        ("berlaku_hingga", "111-07-2019", "11-07-2019"),
        ("nik", "3201241107690002", "3201241107690002"),
        # The end of a label in front, a watermark behind.
        ("nama", "r :LUKMAN WIJAYA", "LUKMAN WIJAYA"),
        ("kewarganegaraan", "IC WNI", "WNI"),
        ("agama", "ISLAM ASI", "ISLAM"),
        ("status_perkawinan", "BELUM KAWINWW.CONTOH.COM", "BELUM KAWIN"),
        ("pekerjaan", "GURU BESAR ILMU", "GURU BESAR ILMU"),
        ("rt_rw", "001/-", "001/-"),
        ("kabupaten_kota", "KABUPATE BOGOR", "KABUPATEN BOGOR"),
    ],
)
def test_a_value_is_parsed_from_its_row(name: str, read: str, text: str) -> None:
    assert value(name, read).text == text


def test_the_rows_of_one_value_are_joined() -> None:
    assert value("alamat", ": JL. MERDEKA", "BLOK C NO. 5").text == "JL. MERDEKA BLOK C NO. 5"


@pytest.mark.parametrize(
    "rows", [(": BOGOR, 13-03-1989",), ("BOGOR 13-03-1989",), ("BOGOR,", "13-03-1989"), ("B0GOR,13-03-I989",)]
)
def test_place_and_date_of_birth_are_separated(rows: tuple[str, ...]) -> None:
    place, date = parse_birth([placed(text, y=15.0 * row) for row, text in enumerate(rows)], ALPHABET)
    assert (place.text, date.text) == ("BOGOR", "13-03-1989")


def test_a_nik_of_seventeen_digits_gives_its_likeliest_sixteen_and_is_not_well_formed() -> None:
    found = value("nik", "32012411076900025")
    assert len(found.text) == 16
    assert found.well_formed is False


def test_an_impossible_date_becomes_a_possible_one_that_the_row_may_read() -> None:
    place, date = parse_birth([placed("BOGOR, 16-42-1995", at_10_0=0.3)], ALPHABET)
    assert (place.text, date.text) == ("BOGOR", "16-02-1995")
    _, stays = parse_birth([placed("BOGOR, 16-42-1995")], ALPHABET)
    assert stays.text == "16-42-1995"
    assert stays.well_formed is False


def test_an_impossible_birth_year_becomes_a_possible_one_that_the_row_may_read() -> None:
    _, date = parse_birth([placed("BOGOR, 13-03-1889", at_14_9=0.3)], ALPHABET)
    assert date.text == "13-03-1989"
    _, stays = parse_birth([placed("BOGOR, 13-03-1889")], ALPHABET)
    assert stays.well_formed is False


def test_two_digits_of_a_date_that_ran_into_one_are_separated() -> None:
    blurred = placed("BOGOR, 13-03-1M9")
    blurred.row.probabilities[step_of(14), ALPHABET.index["9"]] = 0.3
    blurred.row.probabilities[step_of(14) + 1, ALPHABET.index["8"]] = 0.3
    _, date = parse_birth([blurred], ALPHABET)
    assert date.text == "13-03-1989"
    assert date.evidence.least < 0.6


def test_the_date_of_issue_beside_it_is_not_taken_for_the_expiry() -> None:
    aside = msgspec.structs.replace(placed("KOTA 05-11-2015"), left=270.0, right=330.0)
    found = parse_expiry([placed("22-02-207"), aside], ALPHABET)
    assert "2015" not in found.text
    assert found.well_formed is False


def test_merged_upright_strokes_are_read_as_the_common_word() -> None:
    blurred = placed("WUAYA")
    blurred.row.probabilities[step_of(1), ALPHABET.index["I"]] = 0.03
    blurred.row.probabilities[step_of(1) + 1, ALPHABET.index["J"]] = 0.03
    assert parse_field("nama", [blurred], ALPHABET).text == "WIJAYA"
    assert value("nama", "WUAYA").text == "WUAYA"


def spaced(text: str, gap: int, probability: float) -> str:
    """An address as read, with `gap` empty columns and this probability of a space behind its third character."""
    row = placed(text).row
    step = step_of(2) + 1
    row.probabilities[step, ALPHABET.index[" "]] = probability
    ink = np.full(len(row.probabilities) * STEP, 100.0, np.float32)
    middle = step * STEP + STEP // 2
    ink[middle - gap // 2 : middle + gap - gap // 2] = 0
    return parse_field("alamat", [PlacedRow(msgspec.structs.replace(row, ink=ink), 120.0, 320.0, 0.0)], ALPHABET).text


def test_a_space_at_a_stop_or_number_needs_a_gap_in_the_picture() -> None:
    assert spaced("JL.XAWE", 8, 0.1) == "JL. XAWE"
    assert spaced("JL.XAWE", 2, 0.1) == "JL.XAWE"
    assert spaced("JL.XAWE", 8, 0.001) == "JL.XAWE"
    assert spaced("GAN3", 8, 0.1) == "GAN 3"
    assert spaced("GAN3", 2, 0.1) == "GAN3"


def test_a_gap_that_the_network_finds_impossible_splits_no_word() -> None:
    assert spaced("XAWEKU", 14, 0.001) == "XAWEKU"
    assert spaced("XAWEKU", 14, 0.01) == "XAW EKU"


def test_a_row_that_may_read_a_common_word_is_read_as_that_word() -> None:
    blurred = parse_field("kecamatan", [placed("SUKAVAJU", at_4_M=0.2)], ALPHABET)
    assert blurred.text == "SUKAMAJU"
    clear = parse_field("kecamatan", [placed("SUKAVAJU")], ALPHABET)
    assert clear.text == "SUKAVAJU"
    assert blurred.evidence.least <= 0.5 < clear.evidence.least


@pytest.mark.parametrize(
    ("name", "read"), [("alamat", "KP."), ("alamat", "JL MELATI NO"), ("agama", "KH"), ("pekerjaan", "PE")]
)
def test_a_value_that_breaks_off_is_doubtful_however_clear(name: str, read: str) -> None:
    """Something may lie on the rest of the row."""
    assert value(name, read).well_formed is False
    assert value(name, read).doubtful


def test_an_unclear_space_casts_no_doubt_on_a_listed_value() -> None:
    dirt = placed("MENGURUS RUMAH TANGGA", at_8_B=0.4)  # where a space is
    listed = parse_field("pekerjaan", [dirt], ALPHABET)
    assert (listed.text, listed.doubtful) == ("MENGURUS RUMAH TANGGA", False)
    assert parse_field("pekerjaan", [placed("MENGURUS RUMAH TANGGA", at_9_B=0.4)], ALPHABET).doubtful


@pytest.mark.parametrize(("printed", "missed"), [("KATHOLIK", "H"), ("KHONGHUCU", "H"), ("BUDDHA", "D")])
def test_a_listed_value_that_may_be_another_with_a_letter_missed_is_doubtful(printed: str, missed: str) -> None:
    unclear = placed(printed)
    step = step_of(printed.index(missed))
    unclear.row.probabilities[step, [0, ALPHABET.index[missed]]] = 0.55, 0.45
    listed = parse_field("agama", [unclear], ALPHABET)
    assert (listed.text, listed.doubtful) == (printed.replace(missed, "", 1), True)


def test_no_rows_give_an_empty_value() -> None:
    for name in ("nik", "nama", "agama", "rt_rw", "gol_darah", "berlaku_hingga", "pekerjaan"):
        assert parse_field(name, [], ALPHABET).text == ""


def test_the_reread_wins_if_it_is_stronger_or_longer() -> None:
    first, second = value("nama", "UKMAN"), value("nama", "LUKMAN")
    assert stronger(first, second).text == "LUKMAN"
    assert stronger(second, value("nama", "")).text == "LUKMAN"
    assert stronger(second, second).reread_agrees is True
    assert stronger(second, first).reread_agrees is False

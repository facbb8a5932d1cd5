"""Values made of rows written by hand: each character sure at its step, a blank between two."""

import msgspec
import numpy as np
import pytest

from mediq.ocr_engine.card.layout import Piece
from mediq.ocr_engine.fields.formats import read_birth, read_expiry
from mediq.ocr_engine.fields.value import Value, better
from mediq.ocr_engine.fields.values import read_value
from mediq.ocr_engine.text.alphabet import Alphabet
from mediq.ocr_engine.text.ctc import Glyph, greedy
from mediq.ocr_engine.text.detect import Line
from mediq.ocr_engine.text.networks import STEP
from mediq.ocr_engine.text.rows import Row

ALPHABET = Alphabet([chr(code) for code in range(33, 127)])


def piece(text: str, *, y: float = 0.0, **also: float) -> Piece:
    """A row that reads `text`; `also` gives other characters a share, as `at_PLACE_CHARACTER=share`."""
    steps = np.full((2 * len(text) + 1, len(ALPHABET.characters)), 1e-6, np.float32)
    steps[:, 0] = 0.999
    for place, char in enumerate(text):
        steps[2 * place + 1] = 1e-6
        steps[2 * place + 1, ALPHABET.index[char]] = 0.99
    for name, share in also.items():
        _, place, char = name.split("_", 2)
        steps[2 * int(place) + 1] *= 1 - share
        steps[2 * int(place) + 1, ALPHABET.index[char]] = share
    glyphs: list[Glyph] = greedy(steps, ALPHABET.characters)
    row = Row(Line(200, y, 200, 14, 0), steps, glyphs, np.zeros(0, np.float32))
    return Piece(row, 120.0, 320.0, y)


def value(name: str, *texts: str) -> Value:
    return read_value(name, [piece(text, y=15.0 * row) for row, text in enumerate(texts)], ALPHABET)


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
        # The end of a label before, a watermark behind.
        ("nama", "r :LUKMAN WIJAYA", "LUKMAN WIJAYA"),
        ("kewarganegaraan", "IC WNI", "WNI"),
        ("agama", "ISLAM ASI", "ISLAM"),
        ("status_perkawinan", "BELUM KAWINWW.CONTOH.COM", "BELUM KAWIN"),
        ("pekerjaan", "GURU BESAR ILMU", "GURU BESAR ILMU"),
        ("rt_rw", "001/-", "001/-"),
        ("kabupaten_kota", "KABUPATE BOGOR", "KABUPATEN BOGOR"),
    ],
)
def test_values_as_rows_give_them(name: str, read: str, text: str) -> None:
    assert value(name, read).text == text


def test_rows_of_one_value_are_joined() -> None:
    assert value("alamat", ": JL. MERDEKA", "BLOK C NO. 5").text == "JL. MERDEKA BLOK C NO. 5"


@pytest.mark.parametrize(
    "rows", [(": BOGOR, 13-03-1989",), ("BOGOR 13-03-1989",), ("BOGOR,", "13-03-1989"), ("B0GOR,13-03-I989",)]
)
def test_place_and_date_of_birth_part(rows: tuple[str, ...]) -> None:
    place, date = read_birth([piece(text, y=15.0 * row) for row, text in enumerate(rows)], ALPHABET)
    assert (place.text, date.text) == ("BOGOR", "13-03-1989")


def test_a_nik_of_seventeen_characters_gives_its_likeliest_sixteen_digits_and_is_doubted() -> None:
    found = value("nik", "32012411076900025")
    assert len(found.text) == 16
    assert found.fits is False


def test_a_date_that_cannot_be_is_read_as_one_that_can() -> None:
    place, date = read_birth([piece("BOGOR, 16-42-1995", at_10_0=0.3)], ALPHABET)
    assert (place.text, date.text) == ("BOGOR", "16-02-1995")
    _, stays = read_birth([piece("BOGOR, 16-42-1995")], ALPHABET)
    assert stays.text == "16-42-1995"
    assert stays.fits is False


def test_a_year_in_which_nobody_was_born_is_read_as_one_that_can_be() -> None:
    _, date = read_birth([piece("BOGOR, 13-03-1889", at_14_9=0.3)], ALPHABET)
    assert date.text == "13-03-1989"
    _, stays = read_birth([piece("BOGOR, 13-03-1889")], ALPHABET)
    assert stays.fits is False


def test_digits_of_a_date_that_ran_into_one_are_parted() -> None:
    blurred = piece("BOGOR, 13-03-1M9")
    steps = blurred.row.steps
    steps[2 * 14 + 1, ALPHABET.index["9"]] = 0.3
    steps[2 * 14 + 2, ALPHABET.index["8"]] = 0.3
    _, date = read_birth([blurred], ALPHABET)
    assert date.text == "13-03-1989"
    assert date.evidence.least < 0.6


def test_a_date_is_never_read_from_the_row_beside_it() -> None:
    aside = msgspec.structs.replace(piece("KOTA 05-11-2015"), left=270.0, right=330.0)
    found = read_expiry([piece("22-02-207"), aside], ALPHABET)
    assert "2015" not in found.text
    assert found.fits is False


def test_strokes_that_ran_together_are_read_as_the_common_word_that_has_them() -> None:
    blurred = piece("WUAYA")
    blurred.row.steps[2 * 1 + 1, ALPHABET.index["I"]] = 0.03
    blurred.row.steps[2 * 1 + 2, ALPHABET.index["J"]] = 0.03
    assert read_value("nama", [blurred], ALPHABET).text == "WIJAYA"
    assert value("nama", "WUAYA").text == "WUAYA"


def spaced(text: str, gap: int, likely: float) -> str:
    """An address as read whose third and fourth character stand `gap` columns apart, a space there being `likely`."""
    row = piece(text).row
    row.steps[2 * 2 + 2, ALPHABET.index[" "]] = likely
    ink = np.full(len(row.steps) * STEP, 100.0, np.float32)
    middle = (2 * 2 + 2) * STEP + STEP // 2
    ink[middle - gap // 2 : middle + gap - gap // 2] = 0
    return read_value("alamat", [Piece(msgspec.structs.replace(row, ink=ink), 120.0, 320.0, 0.0)], ALPHABET).text


def test_stops_and_numbers_are_followed_by_a_space_where_the_picture_has_one() -> None:
    assert spaced("JL.XAWE", 8, 0.1) == "JL. XAWE"
    assert spaced("JL.XAWE", 2, 0.1) == "JL.XAWE"
    assert spaced("JL.XAWE", 8, 0.001) == "JL.XAWE"
    assert spaced("GAN3", 8, 0.1) == "GAN 3"
    assert spaced("GAN3", 2, 0.1) == "GAN3"


def test_no_word_is_parted_by_a_gap_that_the_network_finds_unthinkable() -> None:
    assert spaced("XAWEKU", 14, 0.001) == "XAWEKU"
    assert spaced("XAWEKU", 14, 0.01) == "XAW EKU"


def test_a_row_that_may_read_a_common_word_reads_it() -> None:
    blurred = read_value("kecamatan", [piece("SUKAVAJU", at_4_M=0.2)], ALPHABET)
    assert blurred.text == "SUKAMAJU"
    clear = read_value("kecamatan", [piece("SUKAVAJU")], ALPHABET)
    assert clear.text == "SUKAVAJU"
    assert blurred.evidence.least <= 0.5 < clear.evidence.least


@pytest.mark.parametrize(
    ("name", "read"), [("alamat", "KP."), ("alamat", "JL MELATI NO"), ("agama", "KH"), ("pekerjaan", "PE")]
)
def test_what_breaks_off_was_not_read_whole(name: str, read: str) -> None:
    """Something lay on the rest of the row: however well what shows was read, it is looked at again."""
    assert value(name, read).fits is False
    assert value(name, read).doubtful


def test_a_listed_value_read_letter_by_letter_is_not_doubted_for_its_spaces() -> None:
    dirt = piece("MENGURUS RUMAH TANGGA", at_8_B=0.4)  # where a space is
    listed = read_value("pekerjaan", [dirt], ALPHABET)
    assert (listed.text, listed.doubtful) == ("MENGURUS RUMAH TANGGA", False)
    assert read_value("pekerjaan", [piece("MENGURUS RUMAH TANGGA", at_9_B=0.4)], ALPHABET).doubtful


@pytest.mark.parametrize(("printed", "missed"), [("KATHOLIK", "H"), ("KHONGHUCU", "H"), ("BUDDHA", "D")])
def test_a_listed_value_that_may_lack_a_letter_of_another_is_doubted(printed: str, missed: str) -> None:
    row = piece(printed)
    step = 2 * printed.index(missed) + 1
    row.row.steps[step, 0], row.row.steps[step, ALPHABET.index[missed]] = 0.55, 0.45
    listed = read_value("agama", [row], ALPHABET)
    assert (listed.text, listed.doubtful) == (printed.replace(missed, "", 1), True)


def test_nothing_gives_nothing() -> None:
    for name in ("nik", "nama", "agama", "rt_rw", "gol_darah", "berlaku_hingga", "pekerjaan"):
        assert read_value(name, [], ALPHABET).text == ""


def test_the_second_look_wins_when_stronger_or_longer() -> None:
    first, second = value("nama", "UKMAN"), value("nama", "LUKMAN")
    assert better(first, second).text == "LUKMAN"
    assert better(second, value("nama", "")).text == "LUKMAN"
    assert better(second, second).agreed is True
    assert better(second, first).agreed is False

"""Tables for a spreadsheet: what comes out of a cell is what went in, and nothing in it runs."""

import csv
import io

import pytest

from mediq.domain import csv_table


def cells(table: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(table.decode(), newline="")))


def test_a_table_is_read_back_unchanged() -> None:
    rows = [["at", "why"], ["2026-03-02", 'kata "mereka", dua\nbaris'], ["", "usia lanjut é 王"]]
    table = csv_table.rows(rows)
    assert cells(table) == rows
    assert table.startswith(b"at,why\r\n")


def test_numbers_stay_numbers_and_none_is_an_empty_cell() -> None:
    assert csv_table.rows([(None, 3, -1.5)]) == b",3,-1.5\r\n"


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_never_becomes_a_formula(formula: str) -> None:
    assert cells(csv_table.rows([[formula, f"x{formula}"]])) == [[f"'{formula}", f"x{formula}"]]

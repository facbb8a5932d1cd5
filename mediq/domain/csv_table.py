"""Tables for a spreadsheet: CSV (RFC 4180) in UTF-8."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a text begins that a spreadsheet would take for a formula and run."""


def rows(table: Iterable[Sequence[object]]) -> bytes:
    """The rows of a table; None is an empty cell, and a text that looks like a formula is kept from being one."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in table:
        writer.writerow([_tame(cell) if isinstance(cell, str) else cell for cell in row])
    return text.getvalue().encode()


def _tame(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text

"""Tables for a spreadsheet: CSV (RFC 4180) in UTF-8."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""The first characters of texts that a spreadsheet would run as a formula."""


def rows(table: Iterable[Sequence[object]]) -> bytes:
    """The table as CSV. None is an empty cell; a text that looks like a formula gets an apostrophe in front."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in table:
        writer.writerow([_escaped(cell) if isinstance(cell, str) else cell for cell in row])
    return text.getvalue().encode()


def _escaped(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text

"""Requests that do not fit their message: the error names each field and says in Indonesian what is wrong with it."""

from datetime import date
from typing import Any

import msgspec
import pytest

from mediq.actors.queue.rules.ticket import Priority
from mediq.http.validation import convert
from mediq.messages.errors import Invalid


class Inner(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    nama: str


class Message(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    inner: Inner | None = None
    number: int = 0
    flag: bool = False
    day: date | None = None
    priority: Priority | None = None
    names: list[str] = []


@pytest.mark.parametrize(
    ("tree", "field", "word"),
    [
        ({"colour": 1}, "colour", "tidak dikenal"),
        ({"inner": {}}, "inner.nama", "wajib diisi"),
        ({"inner": {"nama": "a", "x": 1}}, "inner.x", "tidak dikenal"),
        ({"inner": []}, "inner", "objek"),
        ({"inner": {"nama": 1}}, "inner.nama", "teks"),
        ({"number": "1"}, "number", "bilangan"),
        ({"number": 1.5}, "number", "bilangan"),
        ({"flag": "yes"}, "flag", "true"),
        ({"day": "31-01-2026"}, "day", "tanggal"),
        ({"priority": "SOON"}, "priority", "SOON"),
        ({"names": ["a", 1]}, "names[1]", "teks"),
    ],
)
def test_an_error_names_the_field_and_what_is_wrong_with_it(tree: dict[str, Any], field: str, word: str) -> None:
    with pytest.raises(Invalid) as refused:
        convert(tree, Message, strict=True)
    [error] = refused.value.errors
    assert error.field == field
    assert word in error.message


def test_a_query_gives_numbers_and_dates_as_texts() -> None:
    read = convert({"number": "17", "day": "2026-01-31", "flag": "true"}, Message, strict=False)
    assert (read.number, read.day, read.flag) == (17, date(2026, 1, 31), True)

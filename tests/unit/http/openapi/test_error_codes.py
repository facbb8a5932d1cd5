"""What callers are told: the status of every error, and field names and words for what is wrong with a message."""

from datetime import date
from typing import Any

import msgspec
import pytest

from mediq.actors.queue.rules.ticket import Priority
from mediq.http import problem
from mediq.http.validation import convert
from mediq.messages import errors
from mediq.messages.errors import DomainError, Fault, FieldError, Invalid


def every(root: type[Exception]) -> list[type[Exception]]:
    return [each for child in root.__subclasses__() for each in (child, *every(child))]


TREE = ("mediq.domain.", "mediq.messages.")
EXPECTED = {
    "Malformed": 400, "Unauthenticated": 401, "Forbidden": 403, "NotFound": 404, "Conflict": 409, "TooLarge": 413,
    "Unsupported": 415, "Invalid": 422, "TooMany": 429, "Internal": 500, "Unavailable": 503, "Unroutable": 503,
    "MailboxFull": 503, "BreakerOpen": 503, "StorageFull": 503, "Expired": 504,
}  # fmt: skip


def test_every_error_of_the_tree_has_its_status() -> None:
    ours = [
        each
        for each in (*every(DomainError), *every(Fault))
        if each.__module__.startswith(("mediq.domain", "mediq.messages"))
    ]
    assert {each.__name__: problem.status_of(each("x")) for each in ours} == EXPECTED


def test_a_problem_says_what_is_wrong() -> None:
    response = problem.response(Invalid("Salah.", errors=[FieldError("nik", "harus 16 angka")]), "meja-1")
    assert response.content_type == "application/problem+json"
    assert msgspec.json.decode(response.body) == {
        "type": "urn:mediq:invalid",
        "title": "Isian belum benar",
        "status": 422,
        "detail": "Salah.",
        "request_id": "meja-1",
        "errors": [{"field": "nik", "message": "harus 16 angka"}],
    }


def test_when_to_ask_again() -> None:
    assert problem.response(errors.TooMany("x", retry_after=1.2), "r").headers["Retry-After"] == "2"
    assert problem.response(errors.StorageFull(), "r").headers["Retry-After"] == "1"
    assert "Retry-After" not in problem.response(errors.NotFound("x"), "r").headers
    assert problem.response(errors.Unauthenticated("x"), "r").headers["WWW-Authenticate"].startswith("Bearer")


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
def test_the_field_and_what_is_wrong_with_it(tree: dict[str, Any], field: str, word: str) -> None:
    with pytest.raises(Invalid) as refused:
        convert(tree, Message, strict=True)
    [error] = refused.value.errors
    assert error.field == field
    assert word in error.message


def test_texts_of_a_query_stand_for_numbers_and_dates() -> None:
    read = convert({"number": "17", "day": "2026-01-31", "flag": "true"}, Message, strict=False)
    assert (read.number, read.day, read.flag) == (17, date(2026, 1, 31), True)

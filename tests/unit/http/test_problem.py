"""Problem documents: the HTTP status of every error, and the headers that go with it."""

import msgspec

from mediq.http import problem
from mediq.messages import errors
from mediq.messages.errors import DomainError, Fault, FieldError, Invalid


def subclasses(root: type[DomainError] | type[Fault]) -> list[type[DomainError] | type[Fault]]:
    return [each for child in root.__subclasses__() for each in (child, *subclasses(child))]


EXPECTED = {
    "Malformed": 400, "Unauthenticated": 401, "Forbidden": 403, "NotFound": 404, "Conflict": 409, "TooLarge": 413,
    "Unsupported": 415, "Invalid": 422, "TooMany": 429, "Internal": 500, "Unavailable": 503, "Unroutable": 503,
    "MailboxFull": 503, "BreakerOpen": 503, "StorageFull": 503, "Expired": 504,
}  # fmt: skip


def test_every_error_has_its_status() -> None:
    tree = [
        each
        for each in (*subclasses(DomainError), *subclasses(Fault))
        if each.__module__.startswith(("mediq.domain.", "mediq.messages."))
    ]
    assert {each.__name__: problem.status_of(each("x")) for each in tree} == EXPECTED


def test_a_problem_describes_the_error() -> None:
    response = problem.response(Invalid("Salah.", errors=[FieldError("nik", "harus 16 angka")]), "meja-1")
    assert response.content_type == "application/problem+json"
    assert isinstance(response.body, bytes)
    assert msgspec.json.decode(response.body) == {
        "type": "urn:mediq:invalid",
        "title": "Isian belum benar",
        "status": 422,
        "detail": "Salah.",
        "request_id": "meja-1",
        "errors": [{"field": "nik", "message": "harus 16 angka"}],
    }


def test_a_problem_says_when_to_ask_again_and_how_to_sign_in() -> None:
    assert problem.response(errors.TooMany("x", retry_after=1.2), "r").headers["Retry-After"] == "2"
    assert problem.response(errors.StorageFull(), "r").headers["Retry-After"] == "1"
    assert "Retry-After" not in problem.response(errors.NotFound("x"), "r").headers
    assert problem.response(errors.Unauthenticated("x"), "r").headers["WWW-Authenticate"].startswith("Bearer")

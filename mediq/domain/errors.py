"""Why the clinic's rules refuse a request: final answers for whoever asked, never retried.

Each class is one `kind` of refusal; `code` names the rule that refused, `detail` says it in words for the front desk.
"""

from collections.abc import Sequence
from typing import ClassVar

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field of a request."""

    field: str
    message: str


class DomainError(Exception):
    """A rule says no."""

    kind: ClassVar[str] = "refused"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[FieldError] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.kind
        self.errors = tuple(errors)
        self.retry_after = retry_after


class Malformed(DomainError):
    """The request cannot be read at all."""

    kind = "malformed"


class Invalid(DomainError):
    """The request can be read, but what it says is not possible."""

    kind = "invalid"

    @classmethod
    def field(cls, field: str, message: str) -> "Invalid":
        return cls(message, errors=[FieldError(field, message)])


class Unauthenticated(DomainError):
    """Nobody has shown who is asking, or the proof is no longer good."""

    kind = "unauthenticated"


class Forbidden(DomainError):
    """Whoever asks is known and may not."""

    kind = "forbidden"


class NotFound(DomainError):
    """What is asked for does not exist, or not for this caller."""

    kind = "not-found"


class Conflict(DomainError):
    """The request is right but does not fit what is so at present."""

    kind = "conflict"


class TooLarge(DomainError):
    """More bytes or pixels than the clinic takes."""

    kind = "too-large"


class Unsupported(DomainError):
    """A kind of file or body that the clinic does not read."""

    kind = "unsupported"


class TooMany(DomainError):
    """Asked too often; `retry_after` says in how many seconds to ask again."""

    kind = "too-many"

"""Refusals of requests by the clinic's rules: final answers, never retried.

Each class is one `kind` of refusal. `code` names the rule that refused, `detail` says it in words for the front desk.
"""

from collections.abc import Sequence
from typing import ClassVar

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """An error in one field of a request."""

    field: str
    message: str


class DomainError(Exception):
    """A rule refuses the request. `retry_after` is in seconds, for a request that may succeed later."""

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
    """The request can be read, but its content is not possible."""

    kind = "invalid"

    @classmethod
    def field(cls, field: str, message: str) -> "Invalid":
        """The refusal of one field."""
        return cls(message, errors=[FieldError(field, message)])


class Unauthenticated(DomainError):
    """The request does not prove who sends it, or the proof is no longer valid."""

    kind = "unauthenticated"


class Forbidden(DomainError):
    """The caller is known but not allowed to do this."""

    kind = "forbidden"


class NotFound(DomainError):
    """The requested thing does not exist, or not for this caller."""

    kind = "not-found"


class Conflict(DomainError):
    """The request is valid but does not fit the present state."""

    kind = "conflict"


class TooLarge(DomainError):
    """More bytes or pixels than allowed."""

    kind = "too-large"


class Unsupported(DomainError):
    """A kind of file or body that MediQ does not read."""

    kind = "unsupported"


class TooMany(DomainError):
    """Too many requests; try again after `retry_after` seconds."""

    kind = "too-many"

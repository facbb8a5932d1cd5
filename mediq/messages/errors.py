"""The errors in replies: refusals by a rule, and faults of the program that may pass.

A refusal (:class:`~mediq.domain.errors.DomainError`) is a final answer. A :class:`Fault` says that the program could
not answer. Whether asking again is safe depends on the request, not on the fault.
"""

from typing import ClassVar, Final, TypeVar

import msgspec

from mediq.domain.errors import (
    Conflict,
    DomainError,
    FieldError,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unsupported,
)

__all__ = [
    "BreakerOpen",
    "Conflict",
    "DomainError",
    "Expired",
    "Fault",
    "FieldError",
    "Forbidden",
    "Internal",
    "Invalid",
    "MailboxFull",
    "Malformed",
    "NotFound",
    "StorageFull",
    "TooLarge",
    "TooMany",
    "Unauthenticated",
    "Unavailable",
    "Unroutable",
    "Unsupported",
    "WireError",
    "from_wire",
    "to_wire",
]


_Error = TypeVar("_Error", DomainError, "Fault")


class Fault(Exception):
    """The program could not answer a request that may be valid.

    Each class is one `kind` of fault. `words` is the text for the clinic unless a `detail` says more. `code` is the
    kind. `service` is the service that failed, which may differ from the one that reports the fault. `retry_after` is
    in seconds.
    """

    kind: ClassVar[str] = "fault"
    words: ClassVar[str] = "Sistem tidak dapat menjawab."

    def __init__(self, detail: str = "", *, retry_after: float | None = None, service: str | None = None) -> None:
        super().__init__(detail or self.words)
        self.detail = detail or self.words
        self.code = self.kind
        self.retry_after = retry_after
        self.service = service


class Internal(Fault):
    """A defect of the program; the log has the details."""

    kind = "internal"
    words = "Terjadi kesalahan di dalam sistem; kejadian ini sudah dicatat."


class Expired(Fault):
    """The service did not answer before the deadline."""

    kind = "timeout"
    words = "Layanan tidak menjawab tepat waktu."


class Unavailable(Fault):
    """A service, or a server that it needs, cannot be reached."""

    kind = "unavailable"
    words = "Layanan sedang tidak dapat dihubungi."


class Unroutable(Unavailable):
    """No process consumes the mailbox."""

    kind = "unroutable"
    words = "Tidak ada layanan yang mendengarkan alamat ini."


class MailboxFull(Unavailable):
    """The service's mailbox is full."""

    kind = "mailbox-full"
    words = "Layanan sedang terlalu sibuk."


class BreakerOpen(Unavailable):
    """The circuit breaker of the service is open: most recent calls failed."""

    kind = "breaker-open"
    words = "Layanan sedang terganggu dan diberi waktu untuk pulih."


class StorageFull(Fault):
    """The disk or database is full, and nothing was written."""

    kind = "storage-full"
    words = "Penyimpanan penuh; tidak ada yang dicatat."


class WireError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error in a reply: `kind` names the class, `code` the rule, `service` the service that failed, if any."""

    kind: str
    code: str
    detail: str
    errors: tuple[FieldError, ...] = ()
    retry_after: float | None = None
    service: str | None = None


def _by_kind(root: type[_Error]) -> dict[str, type[_Error]]:
    found = {root.kind: root}
    for child in root.__subclasses__():
        found |= _by_kind(child)
    return found


_REFUSALS: Final = _by_kind(DomainError)
_FAULTS: Final = _by_kind(Fault)


def to_wire(error: DomainError | Fault) -> WireError:
    """The form of `error` in a reply."""
    return WireError(
        kind=error.kind,
        code=error.code,
        detail=error.detail,
        errors=error.errors if isinstance(error, DomainError) else (),
        retry_after=error.retry_after,
        service=error.service if isinstance(error, Fault) else None,
    )


def from_wire(wire: WireError) -> DomainError | Fault:
    """The error in a reply. A kind that this process does not know becomes :class:`Internal`."""
    if refusal := _REFUSALS.get(wire.kind):
        return refusal(wire.detail, code=wire.code, errors=wire.errors, retry_after=wire.retry_after)
    return _FAULTS.get(wire.kind, Internal)(wire.detail, retry_after=wire.retry_after, service=wire.service)

"""The error tree of the wire: refusals of the domain, and faults of the house that may pass.

A refusal (:class:`~mediq.domain.errors.DomainError`) is a final answer. A :class:`Fault` says that the house could
not answer; whether asking again is safe depends on the request, not on the fault.
"""

from typing import Final

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


class Fault(Exception):
    """The house could not answer; the request itself may be right.

    `service` is the one that was asked in vain, which need not be the one that says so: it may have needed another.
    """

    code = "fault"

    def __init__(self, detail: str = "", *, retry_after: float | None = None, service: str | None = None) -> None:
        super().__init__(detail or (type(self).__doc__ or "").splitlines()[0])
        self.retry_after = retry_after
        self.service = service

    @property
    def detail(self) -> str:
        return str(self)


class Internal(Fault):
    """Terjadi kesalahan di dalam sistem; kejadian ini sudah dicatat."""

    code = "internal"


class Expired(Fault):
    """Layanan tidak menjawab tepat waktu."""

    code = "timeout"


class Unavailable(Fault):
    """Layanan sedang tidak dapat dihubungi."""

    code = "unavailable"


class Unroutable(Unavailable):
    """Tidak ada layanan yang mendengarkan alamat ini."""

    code = "unroutable"


class MailboxFull(Unavailable):
    """Layanan sedang terlalu sibuk."""

    code = "mailbox-full"


class BreakerOpen(Unavailable):
    """Layanan sedang terganggu dan diberi waktu untuk pulih."""

    code = "breaker-open"


class StorageFull(Fault):
    """Penyimpanan penuh; tidak ada yang dicatat."""

    code = "storage-full"


class WireError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error as it travels in a reply: the class by `kind`, the rule by `code`, of a fault the `service` in want."""

    kind: str
    code: str
    detail: str
    errors: tuple[FieldError, ...] = ()
    retry_after: float | None = None
    service: str | None = None


def _tree(root: type[Exception]) -> dict[str, type[Exception]]:
    found = {root.code: root}  # type: ignore[attr-defined]
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


_REFUSALS: Final = _tree(DomainError)
_FAULTS: Final = _tree(Fault)


def to_wire(error: DomainError | Fault) -> WireError:
    """The reply that carries `error` to whoever asked."""
    if isinstance(error, DomainError):
        return WireError(
            kind=type(error).code,
            code=error.reason,
            detail=error.detail,
            errors=error.errors,
            retry_after=error.retry_after,
        )
    return WireError(
        kind=error.code, code=error.code, detail=error.detail, retry_after=error.retry_after, service=error.service
    )


def from_wire(wire: WireError) -> DomainError | Fault:
    """The error that `wire` carries; a kind that this process does not know is :class:`Internal`."""
    if refusal := _REFUSALS.get(wire.kind):
        return refusal(wire.detail, code=wire.code, errors=wire.errors, retry_after=wire.retry_after)  # type: ignore[call-arg,return-value]
    fault = _FAULTS.get(wire.kind, Internal)
    return fault(wire.detail, retry_after=wire.retry_after, service=wire.service)  # type: ignore[call-arg,return-value]

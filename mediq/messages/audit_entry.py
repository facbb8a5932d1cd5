"""One entry of the audit trail, which several services write."""

from datetime import datetime
from typing import Annotated

import msgspec

from mediq.domain.instant import Instant
from mediq.messages.principal import Principal


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One act. `actor` and `subject` are ids, never names or NIKs; `actor` is None for MediQ itself.

    For a change of the clinic, `subject` lists what was changed, such as `name, services.gigi`. `ref` is the id of the
    request, or the number of the event in the queue's log.
    """

    at: Instant
    actor: Annotated[str | None, msgspec.Meta(examples=["7c1d0e9f8a7b4c6d5e4f3a2b1c0d9e8f"])] = None
    role: Annotated[str | None, msgspec.Meta(examples=["OPERATOR"])] = None
    action: Annotated[str, msgspec.Meta(examples=["queue.ticket-skipped"])]
    subject: Annotated[str | None, msgspec.Meta(examples=["5b0f2f6c9d1e4f0e8a7c3b2d1f0e9a8b"])] = None
    why: Annotated[str | None, msgspec.Meta(examples=["tidak datang"])] = None
    ref: Annotated[str | None, msgspec.Meta(examples=["9f2c51d07ab34e68"])] = None

    @classmethod
    def by(
        cls,
        principal: Principal | None,
        at: datetime,
        action: str,
        *,
        subject: str | None = None,
        why: str | None = None,
        request_id: str = "",
    ) -> "AuditEntry":
        """The entry of an act of `principal` in the request `request_id`."""
        return cls(
            at=at,
            actor=principal.user_id if principal else None,
            role=principal.role if principal else None,
            action=action,
            subject=subject,
            why=why,
            ref=request_id or None,
        )

"""One entry of the audit trail, which several services write."""

from datetime import datetime

import msgspec

from mediq.domain.instant import Instant
from mediq.messages.principal import Principal


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One act. `actor` and `subject` are ids, never names or NIKs; `actor` is None for MediQ itself.

    For a change of the clinic, `subject` lists what was changed, such as `name, services.gigi`. `ref` is the id of the
    request, or the number of the event in the queue's log.
    """

    at: Instant
    actor: str | None = None
    role: str | None = None
    action: str
    subject: str | None = None
    why: str | None = None
    ref: str | None = None

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

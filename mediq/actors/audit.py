"""The audit trail's own desk, apart from the user service's, so that neither waits for the other."""

from collections.abc import Callable
from datetime import datetime

from mediq.kernel.actor import Actor, handles
from mediq.kernel.bus import Bus
from mediq.kernel.context import Context
from mediq.messages import audit
from mediq.messages.audit import Entry
from mediq.messages.registry import Done
from mediq.stores.audit import AuditTrail


class AuditActor(Actor):
    """Answers `audit.*`."""

    name = "audit"

    def __init__(self, bus: Bus, trail: AuditTrail, *, clock: Callable[[], datetime]) -> None:
        super().__init__(bus)
        self._trail = trail
        self._clock = clock

    @handles(audit.RecordAct)
    async def record(self, message: audit.RecordAct, context: Context) -> Done:
        await self._trail.record(act_of(context, self._clock(), message.action, message.subject, message.why))
        return Done()


def act_of(context: Context, at: datetime, action: str, subject: str | None = None, why: str | None = None) -> Entry:
    """What the trail keeps of an act of whoever is asking."""
    principal = context.principal
    return Entry(
        at=at,
        actor=principal.user_id if principal else None,
        role=principal.role if principal else None,
        action=action,
        subject=subject,
        why=why,
        ref=context.request_id or None,
    )

"""The caller of a message: who asks, and the audit entry of what the caller does."""

from datetime import datetime

import msgspec

from mediq.actors.users.user import User
from mediq.messages.audit_entry import AuditEntry
from mediq.messages.errors import Unauthenticated
from mediq.messages.principal import Principal
from mediq.runtime.context import Context


def signed_in_caller(context: Context) -> Principal:
    """The caller.

    Raises:
        Unauthenticated: the caller is not signed in.
    """
    if context.principal is None:
        raise Unauthenticated("Silakan masuk dulu.")
    return context.principal


def audit_entry(
    context: Context,
    at: datetime,
    action: str,
    subject: str | None = None,
    *,
    why: str | None = None,
    actor: User | None = None,
) -> AuditEntry:
    """The audit entry of the caller's act, or of the act of `actor`, who is only just signing in."""
    act = AuditEntry.by(context.principal, at, action, subject=subject, why=why, request_id=context.request_id)
    return act if actor is None else msgspec.structs.replace(act, actor=actor.id, role=actor.role)

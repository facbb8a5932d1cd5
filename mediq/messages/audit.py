"""Who did what to whom, and why: the acts that the house's trails have kept."""

from datetime import datetime
from typing import Annotated

import msgspec

from mediq.messages.registry import Request, request

Place = Annotated[int, msgspec.Meta(ge=0)]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One act in one trail. People appear by their ids alone.

    `place` is where it stands in its trail, the newest highest, and never changes. `actor` is who did it, None for the
    house itself, and `role` theirs then, where it was noted. `subject` is what was done to: a user's id, a ticket's, a
    counter's. `patient` is the user whose ticket it is, where that is still known. `ref` is what else finds the act
    again: the request's id, or the ticket's number.
    """

    place: Place
    at: datetime
    actor: str | None
    role: str | None = None
    action: str
    subject: str | None = None
    patient: str | None = None
    why: str | None = None
    ref: str | None = None


class Entries(msgspec.Struct, frozen=True, kw_only=True):
    """Acts, newest first.

    `next` is what to ask `before` for those that follow, None at the trail's end. A search looks through so many acts
    at a time: with a `next`, fewer than the limit, or none, do not mean that there are no more.
    """

    data: tuple[Entry, ...]
    next: Place | None = None


@request("queue.get-audit", idempotent=True)
class GetQueueAudit(Request[Entries], frozen=True, kw_only=True):
    """Internal: the newest acts in the queue's log before a place in it.

    `action` is an event's name on the wire, such as `queue.ticket-called`, or the beginning of one that ends with a
    dot. `subject` is a ticket, a counter, or a patient, whose tickets are then meant. From `since` until just before
    `until`.
    """

    before: Place | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None

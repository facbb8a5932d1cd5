"""What the card-reading service is asked and tells."""

from enum import StrEnum
from typing import Annotated

import msgspec

from mediq.actors.queue.messages import Priority, PriorityReason, ServiceId, TicketView
from mediq.actors.users.messages import Ktp, Name, NikText
from mediq.domain.card import Field
from mediq.domain.instant import Instant
from mediq.domain.roles import Role
from mediq.messages.document import Jpeg
from mediq.messages.pagination import Page, PageLimit, PageNumber
from mediq.messages.registry import Done, Event, Request, event, request


class JobStatus(StrEnum):
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    NEEDS_REVIEW = "NEEDS_REVIEW"
    REGISTERED = "REGISTERED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"

    @property
    def final(self) -> bool:
        """Whether nothing more happens to the job by itself."""
        return self not in (JobStatus.PENDING, JobStatus.PROCESSING)


class CardResult(msgspec.Struct, frozen=True, kw_only=True):
    """A card's reading and what came of it."""

    id: str
    status: JobStatus
    is_ktp: bool | None = None
    reason: str | None = None
    fields: dict[str, Field] = {}
    warnings: tuple[str, ...] = ()
    user_id: str | None = None
    ticket: TicketView | None = None
    elapsed_ms: int | None = None


class CardStatus(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: JobStatus


JobId = Annotated[str, msgspec.Meta(max_length=64)]
ImageId = Annotated[str, msgspec.Meta(max_length=128)]


@request("ocr.process-ktp")
class ProcessKtp(Request[CardStatus], frozen=True, kw_only=True):
    """Take a picture of a card: it is stored before this is answered, and read afterwards.

    The picture does not travel in the message: `image_id` is the claim check of the stored picture.
    """

    image_id: ImageId
    service: ServiceId | None = None
    priority: Priority | None = None
    priority_reason: PriorityReason | None = None


@request("ocr.get-status", idempotent=True)
class GetCardStatus(Request[CardStatus], frozen=True, kw_only=True):
    """How far a card has come."""

    id: JobId


@request("ocr.get-result", idempotent=True)
class GetCardResult(Request[CardResult], frozen=True, kw_only=True):
    """What a card's reading gave."""

    id: JobId


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """A card that waits for an operator's look: `role` sent it in, `reason` stood in the way, if anything did.

    `service` and the priority are those that were asked for with the card.
    """

    id: str
    taken_at: Instant
    role: Role | None
    service: str | None
    priority: Priority | None
    priority_reason: str | None
    reason: str | None


@request("ocr.find-reviews", idempotent=True)
class FindReviews(Request[Page[Review]], frozen=True, kw_only=True):
    """The cards that wait for an operator's look, oldest first, a page at a time."""

    page: PageNumber = 1
    limit: PageLimit = 50


@request("ocr.get-image", idempotent=True)
class GetCardImage(Request[Jpeg], frozen=True, kw_only=True):
    """The picture of a card that is not registered yet, as a JPEG."""

    id: JobId


class ConfirmedFields(Ktp, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields as an operator has reviewed them."""

    nik: NikText
    nama: Name


@request("ocr.confirm", idempotent=True)
class ConfirmCard(Request[CardResult], frozen=True, kw_only=True):
    """Register the patient with the reviewed fields and issue the ticket, with the priority given here or none."""

    id: JobId
    fields: ConfirmedFields
    service: ServiceId | None = None
    priority: Priority | None = None
    priority_reason: PriorityReason | None = None


@request("ocr.run-job", service="reader", idempotent=True)
class RunJob(Request[Done], frozen=True, kw_only=True):
    """Internal: carry a stored job as far as it goes; told when it is stored and again when a process starts."""

    id: JobId


@request("ocr.forget-patient", idempotent=True)
class ForgetCards(Request[Done], frozen=True, kw_only=True):
    """Internal: erase what was read off a patient's cards, before the patient's record is deleted."""

    user_id: str


@event("ocr.status-changed")
class CardStatusChanged(Event, frozen=True, kw_only=True):
    id: str
    status: JobStatus

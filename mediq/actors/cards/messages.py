"""The messages of the card service."""

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

_ShownId = Annotated[str, msgspec.Meta(examples=["5b0f2f6c9d1e4f0e8a7c3b2d1f0e9a8b"])]
JobId = Annotated[_ShownId, msgspec.Meta(max_length=64)]
ImageId = Annotated[str, msgspec.Meta(max_length=128)]

_FIELDS_EXAMPLE = {
    "nama": {
        "value": "SITI CONTOH",
        "confidence": 0.998,
        "certain": True,
        "box": {"x": 0.31, "y": 0.24, "width": 0.4, "height": 0.06},
    }
}


class JobStatus(StrEnum):
    """How far a card is."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    NEEDS_REVIEW = "NEEDS_REVIEW"
    REGISTERED = "REGISTERED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"

    @property
    def final(self) -> bool:
        """Whether nothing more happens to the job without an operator."""
        return self not in (JobStatus.PENDING, JobStatus.PROCESSING)


class CardResult(msgspec.Struct, frozen=True, kw_only=True):
    """The fields read from a card, and the registration that followed."""

    id: _ShownId
    status: Annotated[JobStatus, msgspec.Meta(examples=["REGISTERED"])]
    is_ktp: Annotated[bool | None, msgspec.Meta(examples=[True])] = None
    reason: str | None = None
    fields: Annotated[dict[str, Field], msgspec.Meta(examples=[_FIELDS_EXAMPLE])] = {}
    warnings: tuple[str, ...] = ()
    user_id: Annotated[str | None, msgspec.Meta(examples=["0d8e6a5c4b3f4a2e9c1d7f6e5b4a3c2d"])] = None
    ticket: TicketView | None = None
    elapsed_ms: Annotated[int | None, msgspec.Meta(examples=[640])] = None


class CardStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far a card is."""

    id: _ShownId
    status: Annotated[JobStatus, msgspec.Meta(examples=["PENDING"])]


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
    """How far a card is."""

    id: JobId


@request("ocr.get-result", idempotent=True)
class GetCardResult(Request[CardResult], frozen=True, kw_only=True):
    """A card's result."""

    id: JobId


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """A card that waits for an operator's review.

    `role` is the uploader's, `reason` the refusal that stopped the registration, if any. `service` and priority are
    those of the upload.
    """

    id: _ShownId
    taken_at: Instant
    role: Annotated[Role | None, msgspec.Meta(examples=["KIOSK"])]
    service: Annotated[str | None, msgspec.Meta(examples=["umum"])]
    priority: Annotated[Priority | None, msgspec.Meta(examples=["NORMAL"])]
    priority_reason: str | None
    reason: str | None


@request("ocr.find-reviews", idempotent=True)
class FindReviews(Request[Page[Review]], frozen=True, kw_only=True):
    """The cards that wait for an operator's review, oldest first, a page at a time."""

    page: PageNumber = 1
    limit: PageLimit = 50


@request("ocr.get-image", idempotent=True)
class GetCardImage(Request[Jpeg], frozen=True, kw_only=True):
    """The picture of a card that is not registered yet, as a JPEG."""

    id: JobId


class ConfirmedFields(Ktp, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields after an operator's review."""

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
    """Internal: process a stored job. Sent when the job is stored, and again for jobs that a crash left unfinished."""

    id: JobId


@request("ocr.forget-patient", idempotent=True)
class ForgetCards(Request[Done], frozen=True, kw_only=True):
    """Internal: erase the cards of a patient who is being deleted."""

    user_id: str


@event("ocr.status-changed")
class CardStatusChanged(Event, frozen=True, kw_only=True):
    """A card has another status now."""

    id: str
    status: JobStatus

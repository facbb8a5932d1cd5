"""The interface of the job store: cards and their pictures, from the upload until registration or expiry."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import msgspec

from mediq.messages.errors import Conflict, NotFound

UNFINISHED: Final = ("PENDING", "PROCESSING")
"""The statuses of a job that the card reader still has to work on."""
UNADOPTED: Final = timedelta(minutes=10)
"""How long a stored picture waits for its job. An upload's message is answered or dropped long before."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One card on its way; change it with `msgspec.structs.replace` and :meth:`JobStore.update`.

    `status` is a :class:`~mediq.actors.cards.messages.JobStatus`. `digest` identifies the picture: the same picture
    twice has the same digest. `requested_by` and `role` are the uploader's; `service`, `priority` and
    `priority_reason` describe the ticket to issue. `reading` is the encoded result of the card reader, `reason` says
    why the job was rejected or failed, and `attempts` counts how often reading was begun. `asked` is the fingerprint of
    the upload request, `confirmed_under` the idempotency key of the confirmation.
    """

    id: str
    status: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    digest: str
    requested_by: str | None = None
    role: str | None = None
    service: str | None = None
    priority: str | None = None
    priority_reason: str | None = None
    reading: bytes | None = None
    user_id: str | None = None
    ticket_id: str | None = None
    reason: str | None = None
    attempts: int = 0
    asked: str | None = None
    confirmed_under: str | None = None


class JobStore(Protocol):
    """Jobs and their pictures, each with a time to live.

    A picture is stored first (claim check): its id travels in the message that creates the job, and the job then
    adopts the picture. A picture that no job adopts expires after :data:`UNADOPTED`.

    Every method may raise :class:`~mediq.messages.errors.Unavailable` and, if it writes,
    :class:`~mediq.messages.errors.StorageFull`; nothing is then written.

    Example::

        store = SqliteJobStore("data/cards.db", clock=now)
        await store.open()
        image_id = await store.store_image(picture)
        job = await store.create(job, image_id, key="upload-1")
        assert await store.image(job.id) == picture
        await store.update(msgspec.structs.replace(job, status="REGISTERED"), delete_image=True)
    """

    async def open(self) -> None:
        """Make the store ready, and create it if it does not exist. Opening an open store does nothing."""
        ...

    async def close(self) -> None:
        """Finish pending calls and close. Closing twice does nothing; the store can be opened again."""
        ...

    async def ping(self) -> None:
        """Return if the store answers; raise :class:`~mediq.messages.errors.Unavailable` if it does not."""
        ...

    async def store_image(self, image: bytes) -> str:
        """Store a picture durably and return its unguessable id; `create` attaches the picture to a job."""
        ...

    async def erase_upload(self, image_id: str) -> None:
        """Erase a picture that no job has adopted. A failure is ignored, since the picture expires."""
        ...

    async def create(self, job: Job, image_id: str, key: str | None = None) -> Job:
        """Store `job`, which adopts the picture with `image_id`; durable before the return.

        If an unexpired job has this `key`, nothing is created, and that job is returned as it is now. The picture is
        then erased, as after a `Conflict`.

        Raises:
            Conflict: `card-in-progress`, an unfinished job has the same picture; `id-taken`.
            NotFound: `no-image`, no picture with this id waits for a job.
        """
        ...

    async def get(self, job_id: str) -> Job | None:
        """The job, or None if it is absent or expired."""
        ...

    async def image(self, job_id: str) -> bytes | None:
        """The job's picture, or None if job or picture are absent, erased or expired."""
        ...

    async def update(self, job: Job, *, delete_image: bool = False, expect: str | None = None) -> Job:
        """Replace the stored job with `job`; `delete_image` erases the picture in the same write.

        With `expect`, only if that is the stored status: of two callers, one succeeds.

        Raises:
            NotFound: `job-not-found`, the job is absent or expired.
            Conflict: `job-moved-on`, the stored status is not `expect`; `card-in-progress`, the job would be
                unfinished again while another unfinished job has the same picture.
        """
        ...

    async def having(self, *statuses: str) -> list[Job]:
        """The unexpired jobs in one of these statuses, oldest first."""
        ...

    async def expire(self, now: datetime) -> int:
        """Erase the jobs, with their pictures, that expired until `now`, and pictures that no job adopted in time.

        Returns the number of erased jobs.
        """
        ...


def new_image_id(image: bytes) -> str:
    """An unguessable id for a picture, which begins with the picture's digest."""
    return f"{hashlib.sha256(image).hexdigest()}.{secrets.token_urlsafe(16)}"


def digest_of(image_id: str) -> str:
    """The digest of the picture with this id: equal pictures have equal digests."""
    return image_id.partition(".")[0]


def card_in_progress() -> Conflict:
    """The refusal of a picture that an unfinished job already has."""
    return Conflict("Kartu ini sedang dibaca. Tunggu hasilnya.", code="card-in-progress")


def id_taken() -> Conflict:
    """The refusal of a job whose id exists."""
    return Conflict("Kartu ini sudah ada.", code="id-taken")


def no_image() -> NotFound:
    """The refusal of a job whose picture is not stored, or not any more."""
    return NotFound("Foto kartu ini tidak tersimpan lagi. Kirim ulang fotonya.", code="no-image")


def job_not_found() -> NotFound:
    """The refusal to update a job that is absent or expired."""
    return NotFound("Kartu ini tidak ada atau sudah kedaluwarsa.", code="job-not-found")


def job_moved_on() -> Conflict:
    """The refusal to update a job whose status another caller has changed."""
    return Conflict("Kartu ini sudah diproses lebih lanjut.", code="job-moved-on")


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970: whole numbers, which sort by time and lose nothing."""
    return (moment - _EPOCH) // timedelta(microseconds=1)

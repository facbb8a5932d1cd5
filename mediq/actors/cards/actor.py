"""The card service's actor: accepts uploads, answers how far each card is, and registers cards that staff reviewed."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import msgspec

from mediq.actors.audit.messages import RecordAct
from mediq.actors.cards import messages as ocr
from mediq.actors.cards.job_store.base import UNFINISHED, Job, JobStore, digest_of
from mediq.actors.cards.messages import CardResult, CardStatus, JobStatus
from mediq.actors.cards.registration import Registration
from mediq.actors.queue import messages as queue
from mediq.actors.queue.messages import Priority
from mediq.actors.users import messages as user
from mediq.domain.card import FIELDS, Field, Reading
from mediq.domain.idempotency import refuse_other_use, split
from mediq.domain.roles import Role
from mediq.messages.document import Document
from mediq.messages.errors import Conflict, DomainError, Fault, Forbidden, Invalid, NotFound
from mediq.messages.health import CheckOcr, ComponentHealth
from mediq.messages.pagination import Page
from mediq.messages.registry import Done
from mediq.observability import logging
from mediq.runtime.actor import Actor, handles
from mediq.runtime.bus import Bus
from mediq.runtime.context import Context
from mediq.runtime.health import probe
from mediq.runtime.periodic import every

_log = logging.logger("ocr")
_SWEEP_SECONDS: Final = 30.0
_STALE: Final = timedelta(minutes=5)
"""The time without a change after which the worker of a job is thought to have crashed."""
_CLINIC_SECONDS: Final = 1.0
"""How long to wait for the clinic's list of services."""
_decode_reading: Final = msgspec.msgpack.Decoder(Reading).decode
_encode: Final = msgspec.msgpack.Encoder().encode


class OcrActor(Actor):
    """Answers `ocr.*`. A job is stored before its upload is accepted; a sweep finds jobs that a crash left unfinished.

    Args:
        keep: how long a job and its picture live.
        ready: whether the models of the card reader are loaded.
        preview: turns an uploaded file into the JPEG that staff see during the review.
    """

    name = "ocr"
    concurrency = 32

    def __init__(
        self,
        bus: Bus,
        jobs: JobStore,
        *,
        keep: timedelta,
        ready: Callable[[], bool],
        preview: Callable[[bytes], bytes],
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(bus)
        self._jobs = jobs
        self._keep = keep
        self._ready = ready
        self._preview = preview
        self._clock = clock
        self._registration = Registration(bus, jobs, clock)
        self._sent_to_worker: set[str] = set()

    async def run(self) -> None:
        await every(_SWEEP_SECONDS, self._sweep)

    @handles(ocr.ProcessKtp)
    async def process_ktp(self, message: ocr.ProcessKtp, context: Context) -> CardStatus:
        await self._refuse_unknown(message.service)
        principal = context.principal
        if not (principal and principal.staff) and (message.priority or message.priority_reason):
            raise Forbidden("Prioritas ditetapkan oleh petugas.", code="priority-by-staff")
        now = self._clock()
        key, asked = split(context.key)
        job = Job(
            id=secrets.token_urlsafe(24),
            status=JobStatus.PENDING,
            created_at=now,
            updated_at=now,
            expires_at=now + self._keep,
            digest=digest_of(message.image_id),
            requested_by=principal.user_id if principal else None,
            role=principal.role if principal else None,
            service=message.service,
            priority=message.priority,
            priority_reason=message.priority_reason,
            asked=asked,
        )
        job = await self._jobs.create(job, message.image_id, key=key)
        refuse_other_use(job.asked, asked)
        await self._send_to_worker(job.id)
        return CardStatus(id=job.id, status=JobStatus(job.status))

    @handles(ocr.GetCardStatus)
    async def get_status(self, message: ocr.GetCardStatus, context: Context) -> CardStatus:
        job = await self._job(message.id)
        return CardStatus(id=job.id, status=JobStatus(job.status))

    @handles(ocr.GetCardResult)
    async def get_result(self, message: ocr.GetCardResult, context: Context) -> CardResult:
        job = await self._job(message.id)
        if job.reading is not None:
            await self._record_read(job, "ocr.get-result", context)
        return await self._result(job)

    @handles(ocr.FindReviews)
    async def find_reviews(self, message: ocr.FindReviews, context: Context) -> Page[ocr.Review]:
        waiting = await self._jobs.having(JobStatus.NEEDS_REVIEW)
        first = (message.page - 1) * message.limit
        reviews = [
            ocr.Review(
                id=job.id,
                taken_at=job.created_at,
                role=Role(job.role) if job.role else None,
                service=job.service,
                priority=Priority(job.priority) if job.priority else None,
                priority_reason=job.priority_reason,
                reason=job.reason,
            )
            for job in waiting[first : first + message.limit]
        ]
        return Page.of(reviews, page=message.page, limit=message.limit, total=len(waiting))

    @handles(ocr.GetCardImage)
    async def get_image(self, message: ocr.GetCardImage, context: Context) -> Document:
        job = await self._job(message.id)
        image = await self._jobs.image(job.id)
        if image is None:
            raise NotFound("Foto kartu ini sudah dihapus.", code="no-image")
        await self._record_read(job, "ocr.get-image", context)
        return Document(media_type="image/jpeg", content=await asyncio.to_thread(self._preview, image))

    @handles(ocr.ConfirmCard)
    async def confirm(self, message: ocr.ConfirmCard, context: Context) -> CardResult:
        await self._refuse_unknown(message.service)
        job = await self._job(message.id)
        if _confirmed_under(job, context.key) or self._registered_with(job, message.fields):
            await self._record_read(job, "ocr.get-result", context)
            return await self._result(job)
        if job.status == JobStatus.REGISTERED:
            raise Conflict("Kartu ini sudah terdaftar dengan isian lain.", code="already-registered")
        if job.status != JobStatus.NEEDS_REVIEW:
            raise Conflict(f"Kartu ini berstatus {job.status}, tidak menunggu pemeriksaan.", code="not-in-review")
        principal = context.principal
        # The change of status is a claim: of two confirmations, one registers. The reviewed fields are stored with it,
        # so that a crash from here on is resumed with them.
        job = await self._registration.move(
            job,
            JobStatus.PROCESSING,
            requested_by=principal.user_id if principal else job.requested_by,
            role=principal.role if principal else job.role,
            service=message.service or job.service,
            priority=message.priority,
            priority_reason=message.priority_reason,
            reading=_encode(_confirmed(self._reading(job), message.fields)),
            confirmed_under=context.key,
        )
        try:
            job = await self._registration.register(job, user.CreateFromOcr(**msgspec.structs.asdict(message.fields)))
        except (DomainError, Fault) as error:
            await self._registration.give_back(job.id, error.code)
            raise
        return await self._result(job)

    @handles(ocr.ForgetCards)
    async def forget(self, message: ocr.ForgetCards, context: Context) -> Done:
        now = self._clock()
        for job in await self._jobs.having(*JobStatus):
            if job.user_id == message.user_id:
                with suppress(NotFound):  # expired meanwhile
                    await self._jobs.update(msgspec.structs.replace(job, expires_at=now), delete_image=True)
        await self._jobs.expire(now)
        return Done()

    @handles(CheckOcr)
    async def health(self, message: CheckOcr, context: Context) -> ComponentHealth:
        store = await probe(self._jobs.ping)
        models = (
            ComponentHealth(status="up")
            if self._ready()
            else ComponentHealth(status="degraded", detail="model sedang dimuat")
        )
        status = store.status if store.status != "up" else models.status
        return ComponentHealth(status=status, parts={"jobs": store, "models": models})

    async def _record_read(self, job: Job, action: str, context: Context) -> None:
        """Record that a member of staff is about to see a card."""
        if context.principal is not None and context.principal.staff:
            await self.bus.ask(RecordAct(action=action, subject=job.user_id or job.id))

    async def _refuse_unknown(self, service: str | None) -> None:
        """Refuse a service that the clinic does not have. If the queue does not answer, it refuses the ticket later."""
        if service is None:
            return
        try:
            clinic = await self.bus.ask(queue.GetClinic(), timeout=_CLINIC_SECONDS)
        except Fault:
            return
        if all(each.id != service for each in clinic.services):
            raise Invalid.field("service", f"Poli {service} tidak ada di klinik ini.")

    async def _job(self, job_id: str) -> Job:
        job = await self._jobs.get(job_id)
        if job is None:
            raise NotFound("Kartu ini tidak ada, atau hasilnya sudah dihapus.", code="no-card")
        return job

    async def _result(self, job: Job) -> CardResult:
        reading = self._reading(job)
        ticket = None
        if job.ticket_id is not None:
            try:
                ticket = await self.bus.ask(queue.GetTicket(id=job.ticket_id))
            except NotFound:
                ticket = None  # deleted with its day
        return CardResult(
            id=job.id,
            status=JobStatus(job.status),
            is_ktp=reading.is_ktp if reading else None,
            reason=job.reason,
            fields=reading.fields if reading else {},
            warnings=reading.warnings if reading else (),
            user_id=job.user_id,
            ticket=ticket,
            elapsed_ms=reading.elapsed_ms if reading else None,
        )

    def _registered_with(self, job: Job, fields: ocr.ConfirmedFields) -> bool:
        """Whether the patient was registered with exactly these fields."""
        reading = self._reading(job)
        if job.status != JobStatus.REGISTERED or reading is None:
            return False
        registered = {name: field.value for name, field in reading.fields.items() if field.value}
        return registered == {name: value for name in FIELDS if (value := getattr(fields, name))}

    def _reading(self, job: Job) -> Reading | None:
        return _decode_reading(job.reading) if job.reading is not None else None

    async def _send_to_worker(self, job_id: str) -> None:
        """Ask the worker to process a stored job; if that fails now, the sweep asks again."""
        try:
            await self.bus.tell(ocr.RunJob(id=job_id))
            self._sent_to_worker.add(job_id)
        except Fault as error:
            _log.warning("worker not reached", job=job_id, code=error.code)

    async def _sweep(self) -> None:
        """Erase expired jobs, and send the worker those that a crash or a full mailbox left unfinished."""
        now = self._clock()
        await self._jobs.expire(now)
        unfinished = await self._jobs.having(*UNFINISHED)
        self._sent_to_worker &= {job.id for job in unfinished}
        for job in unfinished:
            if job.id not in self._sent_to_worker or now - job.updated_at > _STALE:
                await self._send_to_worker(job.id)


def _confirmed_under(job: Job, key: str) -> bool:
    """Whether this idempotency key confirmed the job.

    Raises:
        Conflict: `key-reused`, the confirmation under this key had other content.
    """
    first, asked = split(job.confirmed_under or "")
    name, fingerprint = split(key)
    if first != name:
        return False
    refuse_other_use(asked, fingerprint)
    return True


def _confirmed(reading: Reading | None, fields: ocr.ConfirmedFields) -> Reading:
    """The reading with the operator's fields, which count as certain."""
    before = reading.fields if reading else {}
    values = {name: value for name in FIELDS if (value := getattr(fields, name)) is not None}
    confirmed = {
        name: Field(value=value, confidence=1.0, certain=True, box=before[name].box if name in before else None)
        for name, value in values.items()
    }
    return Reading(is_ktp=True, fields=confirmed, elapsed_ms=reading.elapsed_ms if reading else 0)

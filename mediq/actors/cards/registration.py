"""Registration: the steps from a card's fields to a registered patient with a ticket."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from mediq.actors.cards.job_store.base import Job, JobStore
from mediq.actors.cards.messages import CardStatusChanged, JobStatus
from mediq.actors.queue.messages import AddPatient, AddRegistered, Priority
from mediq.actors.users.messages import CreateFromOcr
from mediq.domain.idempotency import derive
from mediq.domain.roles import Role
from mediq.messages.principal import Principal
from mediq.runtime.bus import Bus

_encode: Final = msgspec.msgpack.Encoder().encode


class Registration:
    """Registers the holder of a card, and moves its job from status to status. Repeating a step changes nothing."""

    def __init__(self, bus: Bus, jobs: JobStore, clock: Callable[[], datetime]) -> None:
        self._bus = bus
        self._jobs = jobs
        self._clock = clock

    async def register(self, job: Job, fields: CreateFromOcr) -> Job:
        """Register the patient, issue the ticket, and finish the job with its picture erased.

        The idempotency key of a step comes from the job and the step's message: a step repeated after a crash happens
        once, and a step corrected by an operator is a new step. The ticket is requested in the name of the uploader,
        the patient in the name of the present caller: only someone who has seen the fields may change a known
        patient's record.
        """
        principal = Principal(job.requested_by, Role(job.role)) if job.requested_by and job.role else None
        patient = await self._bus.ask(fields, key=_key(job, fields))
        if job.user_id != patient.id:
            job = await self.keep(job, user_id=patient.id)
        add = AddPatient(
            user_id=patient.id,
            service=job.service,
            priority=Priority(job.priority) if job.priority else None,
            priority_reason=job.priority_reason,
        )
        registered = AddRegistered(**msgspec.structs.asdict(add), born=patient.born)
        ticket = await self._bus.ask(registered, key=_key(job, add), principal=principal)
        return await self.move(job, JobStatus.REGISTERED, ticket_id=ticket.id, reason=None, delete_image=True)

    async def move(self, job: Job, status: JobStatus, *, delete_image: bool = False, **changes: object) -> Job:
        """Change the job's status and publish it.

        Raises:
            Conflict: `job-moved-on`, another caller has changed the status meanwhile.
            NotFound: `job-not-found`, the job has expired.
        """
        changed = msgspec.structs.replace(job, status=status, updated_at=self._clock(), **changes)
        moved = await self._jobs.update(changed, delete_image=delete_image, expect=job.status)
        await self._bus.publish(CardStatusChanged(id=job.id, status=status))
        return moved

    async def give_back(self, job_id: str, reason: str) -> None:
        """Leave a job whose registration was refused for `reason` to an operator, unless it is finished meanwhile."""
        job = await self._jobs.get(job_id)
        if job is not None and job.status == JobStatus.PROCESSING:
            await self.move(job, JobStatus.NEEDS_REVIEW, reason=reason, confirmed_under=None)

    async def keep(self, job: Job, **changes: object) -> Job:
        """Store changes of a job that leave its status as it is; raises as :meth:`move`."""
        changed = msgspec.structs.replace(job, updated_at=self._clock(), **changes)
        return await self._jobs.update(changed, expect=job.status)


def _key(job: Job, message: msgspec.Struct) -> str:
    return derive(job.id, hashlib.sha256(_encode(message)).hexdigest()[:16])

"""The worker: takes a stored job from its picture to a registered patient, or to an operator's review."""

import asyncio
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

import msgspec

from mediq.actors.cards.job_store.base import Job, JobStore
from mediq.actors.cards.messages import JobStatus, RunJob
from mediq.actors.cards.registration import Registration
from mediq.actors.users.messages import CreateFromOcr
from mediq.domain.card import FIELDS, Reading
from mediq.messages.errors import Conflict, DomainError, NotFound
from mediq.messages.registry import Done
from mediq.observability import logging, metrics
from mediq.runtime.actor import Actor, handles
from mediq.runtime.bus import Bus
from mediq.runtime.context import Context

_log = logging.logger("reader")
_MOST_TRIES: Final = 3
"""How often reading a picture is begun: a picture that crashes the process is not tried for ever."""
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Reading).decode


class ReaderBroken(Exception):
    """The card reader's models cannot be loaded on this machine."""


class ReaderActor(Actor):
    """Processes jobs: one more than cards are read at once, so that reading continues while a patient is registered.

    Args:
        load: returns the function that reads a picture; slow, so it runs in a thread while the process starts.
        readers: the number of cards read at once.
        timeout: the most seconds for reading one card.
    """

    name = "reader"

    def __init__(
        self,
        bus: Bus,
        jobs: JobStore,
        load: Callable[[], Callable[[bytes], Reading]],
        *,
        readers: int,
        timeout: float,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(bus)
        self.concurrency = readers + 1
        self._running: set[str] = set()
        self._jobs = jobs
        self._load = load
        self._loaded: asyncio.Future[Callable[[bytes], Reading]] = asyncio.get_running_loop().create_future()
        self._timeout = timeout
        self._registration = Registration(bus, jobs, clock)
        self._readers = readers
        self._slots = asyncio.Semaphore(readers)
        self._executor = self._make_executor()

    @property
    def ready(self) -> bool:
        """Whether the models are loaded."""
        return self._loaded.done() and self._loaded.exception() is None

    async def run(self) -> None:
        """Load the models in the background, so that the first card does not wait for them."""
        try:
            read = await asyncio.get_running_loop().run_in_executor(self._executor, self._load)
        except Exception as error:  # a broken installation; the queue goes on, and cards are typed by hand
            _log.exception("card reader cannot be loaded")
            self._loaded.set_exception(ReaderBroken(str(error)))
            self._loaded.exception()  # retrieved, so that asyncio does not log it as unhandled
        else:
            self._loaded.set_result(read)
            _log.info("card reader ready")

    async def on_stop(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    @handles(RunJob)
    async def run_job(self, message: RunJob, context: Context) -> Done:
        if message.id in self._running:
            return Done()
        self._running.add(message.id)
        try:
            job = await self._jobs.get(message.id)
            if job is not None and not JobStatus(job.status).final:
                await self._advance(job)
        except Conflict as error:
            if error.code != "job-moved-on":
                raise
        except NotFound:
            _log.info("job expired while it was processed", job=message.id)
        finally:
            self._running.discard(message.id)
        return Done()

    async def _advance(self, job: Job) -> None:
        if job.reading is None:
            # Counted before reading: a picture that crashes the process must not be tried for ever.
            tries = job.attempts + 1
            if job.status == JobStatus.PENDING:
                job = await self._registration.move(job, JobStatus.PROCESSING, attempts=tries)
            elif tries > _MOST_TRIES:
                await self._registration.move(job, JobStatus.FAILED, reason="crashed", delete_image=True)
                return
            else:
                job = await self._registration.keep(job, attempts=tries)
            image = await self._jobs.image(job.id)
            if image is None:
                raise NotFound("Foto kartu sudah dihapus.")
            try:
                reading = await self._read(image)
            except ReaderBroken:
                await self._registration.move(job, JobStatus.NEEDS_REVIEW, reason="reader-broken")
                return
            except Exception as error:  # reading this picture again would fail again
                reason = "timeout" if isinstance(error, TimeoutError) else "internal"
                # Where it broke, but not its message, which may quote the card.
                frame = traceback.extract_tb(error.__traceback__)[-1]
                _log.error(
                    "card not read",
                    job=job.id,
                    error=type(error).__name__,
                    where=f"{frame.filename}:{frame.lineno}",
                )
                await self._registration.move(job, JobStatus.FAILED, reason=reason, delete_image=True)
                return
            job = await self._registration.keep(job, reading=_encode(reading))
        else:
            reading = _decode(job.reading)
        if not reading.is_ktp:
            await self._registration.move(job, JobStatus.REJECTED, reason=reading.reason, delete_image=True)
        elif not reading.certain:
            await self._registration.move(job, JobStatus.NEEDS_REVIEW)
        else:
            await self._register(job, reading)

    async def _register(self, job: Job, reading: Reading) -> None:
        values: dict[str, Any] = {
            name: field.value for name in FIELDS if (field := reading.fields.get(name)) and field.value
        }
        try:
            await self._registration.register(job, CreateFromOcr(**values))
        except DomainError as refusal:
            await self._registration.give_back(job.id, refusal.code)

    async def _read(self, image: bytes) -> Reading:
        """Read a picture.

        Raises:
            TimeoutError: reading took more than `timeout` seconds.
            ReaderBroken: the models cannot be loaded.
        """
        read = await asyncio.shield(self._loaded)
        async with self._slots:  # the timeout does not count the wait for other cards
            began = time.perf_counter()
            outcome = "failed"
            try:
                async with asyncio.timeout(self._timeout):
                    reading = await asyncio.get_running_loop().run_in_executor(self._executor, read, image)
                outcome = "read" if reading.is_ktp else "refused"
            except TimeoutError:
                # A thread cannot be stopped: leave it behind, and give the next card another one.
                self._executor.shutdown(wait=False)
                self._executor = self._make_executor()
                raise
            finally:
                metrics.card_seconds.labels(outcome).observe(time.perf_counter() - began)
        return reading

    def _make_executor(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._readers, thread_name_prefix="card")

"""The card reader: carries a stored job from its picture to a registered patient, or to an operator's review."""

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
"""How often a picture is read whose reading never came to an end, since the process died over it."""
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Reading).decode


class ReaderBroken(Exception):
    """The card reader's models cannot be loaded on this machine."""


class ReaderActor(Actor):
    """Runs jobs, one more at once than cards are read, so that reading goes on while another is registered.

    `load` makes the function that reads a picture; it takes a while, and runs in a thread while the house opens.
    `readers` cards are read at once, each for at most `timeout` seconds.
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
            self._loaded.exception()  # counts as seen
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
            _log.info("job expired under way", job=message.id)
        finally:
            self._running.discard(message.id)
        return Done()

    async def _advance(self, job: Job) -> None:
        if job.reading is None:
            # Counted before it is read: a picture that takes the process down with it is not tried for ever.
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
            except Exception as error:  # a picture that breaks the reader would break it again
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
        """The reading of a picture.

        Raises:
            TimeoutError: that took too long.
        """
        read = await asyncio.shield(self._loaded)
        async with self._slots:  # only its own time counts, not that of the cards before it
            began = time.perf_counter()
            outcome = "failed"
            try:
                async with asyncio.timeout(self._timeout):
                    reading = await asyncio.get_running_loop().run_in_executor(self._executor, read, image)
                outcome = "read" if reading.is_ktp else "refused"
            except TimeoutError:
                # A thread cannot be stopped: it is left behind, and the next card gets another one.
                self._executor.shutdown(wait=False)
                self._executor = self._make_executor()
                raise
            finally:
                metrics.card_seconds.labels(outcome).observe(time.perf_counter() - began)
        return reading

    def _make_executor(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._readers, thread_name_prefix="card")

"""The worker with a reading function of the test's own: what becomes of pictures that break it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mediq.actors.cards.actor import OcrActor
from mediq.actors.cards.job_store.sqlite import SqliteJobStore
from mediq.actors.cards.messages import CardResult, CardStatusChanged, GetCardResult, JobStatus, ProcessKtp
from mediq.actors.cards.worker import ReaderActor
from mediq.domain.card import Reading, Refusal
from mediq.runtime.bus import Bus
from mediq.runtime.cell import ActorCell
from mediq.transport.memory import MemoryBroker, MemoryTransport

Read = Callable[[bytes], Reading]


class CardService:
    """The actors `ocr` and `reader` over a store of their own, and nobody else."""

    def __init__(self, bus: Bus, jobs: SqliteJobStore) -> None:
        self.bus = bus
        self.jobs = jobs
        self._done: dict[str, asyncio.Event] = {}

    def changed(self, event: CardStatusChanged) -> None:
        if event.status.final:
            self._done.setdefault(event.id, asyncio.Event()).set()

    async def put(self, image: bytes) -> str:
        return (await self.bus.ask(ProcessKtp(image_id=await self.jobs.store_image(image)))).id

    async def result(self, job_id: str) -> CardResult:
        async with asyncio.timeout(10):
            await self._done.setdefault(job_id, asyncio.Event()).wait()
        return await self.bus.ask(GetCardResult(id=job_id))


@asynccontextmanager
async def card_service(folder: Path, load: Callable[[], Read], *, timeout: float = 5.0) -> AsyncIterator[CardService]:
    def now() -> datetime:
        return datetime.now(UTC)

    jobs = SqliteJobStore(folder / "cards.db", clock=now)
    await jobs.open()
    transport = MemoryTransport(MemoryBroker())
    await transport.start()
    bus = Bus(transport, {"ocr": "ocr", "reader": "reader"})
    service = CardService(bus, jobs)
    reader = ReaderActor(bus, jobs, load, readers=1, timeout=timeout, clock=now)
    ocr = OcrActor(bus, jobs, keep=timedelta(minutes=1), ready=lambda: reader.ready, preview=bytes, clock=now)
    cells = [ActorCell(ocr, transport, "ocr"), ActorCell(reader, transport, "reader")]
    for child in (bus, *cells):
        await child.start()
    await bus.subscribe("ocr.status-changed", service.changed)
    tasks = [asyncio.create_task(child.run()) for child in (bus, *cells)]
    try:
        yield service
    finally:
        for child in (*cells, bus):
            await child.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await transport.stop()
        await jobs.close()


def refuse(image: bytes) -> Reading:
    return Reading(is_ktp=False, reason=Refusal.NOT_A_CARD)


async def test_a_refused_picture_is_rejected_and_erased(tmp_path: Path) -> None:
    async with card_service(tmp_path, lambda: refuse) as service:
        job_id = await service.put(b"a landscape")
        result = await service.result(job_id)
        assert (result.status, result.reason, result.is_ktp) == (JobStatus.REJECTED, "not-a-card", False)
        assert await service.jobs.image(job_id) is None


async def test_a_picture_that_breaks_the_reader_fails_alone(tmp_path: Path) -> None:
    def read(image: bytes) -> Reading:
        if image == b"poison":
            raise ValueError("a message that may quote the card")
        return refuse(image)

    async with card_service(tmp_path, lambda: read) as service:
        poisoned, other = await service.put(b"poison"), await service.put(b"harmless")
        result = await service.result(poisoned)
        assert (result.status, result.reason, result.user_id) == (JobStatus.FAILED, "internal", None)
        assert await service.jobs.image(poisoned) is None
        assert (await service.result(other)).status == JobStatus.REJECTED
        # The same picture may come again: its job is over, and not in progress until it expires.
        assert (await service.result(await service.put(b"poison"))).status == JobStatus.FAILED


async def test_a_picture_that_takes_too_long_fails(tmp_path: Path) -> None:
    read_on = threading.Event()

    def read(image: bytes) -> Reading:
        read_on.wait(10)
        return refuse(image)

    async with card_service(tmp_path, lambda: read, timeout=0.01) as service:
        result = await service.result(await service.put(b"slow"))
        assert (result.status, result.reason) == (JobStatus.FAILED, "timeout")
        read_on.set()

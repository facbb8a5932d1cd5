"""Uploads: reads the picture of a card from a request, stores it, and waits for the card's result."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

import aiohttp
import msgspec
from aiohttp import web

from mediq.actors.cards.messages import CardResult, CardStatus, CardStatusChanged, GetCardResult, ProcessKtp
from mediq.actors.queue.messages import Priority, PriorityReason, ServiceId
from mediq.messages.errors import Fault, FieldError, Invalid, Malformed, TooLarge, Unavailable, Unsupported
from mediq.runtime.bus import Bus
from mediq.transport.base import Binding

_TEXTS: Final = ("service", "priority", "priority_reason")
_TEXT_LIMIT: Final = 1024
_CHUNK: Final = 65_536
_AT_ONCE: Final = 8
_UPLOAD_SECONDS: Final = 30.0
_SLOT_SECONDS: Final = 5.0
"""How long an upload waits for others to be read."""
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait=(\d{1,3})(?:$|[,;\s])")
_LONGEST_WAIT: Final = 30.0


class CardUpload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The form of an upload. The fingerprint of an idempotency key is made of it, so the order of fields must stay."""

    image: bytes
    service: ServiceId | None = None
    priority: Priority | None = None
    priority_reason: PriorityReason | None = None


class PictureStore(Protocol):
    """Where a gateway leaves pictures for the card service; the store of the card service's jobs."""

    async def store_image(self, image: bytes) -> str:
        """Store a picture durably and return its unguessable id."""
        ...

    async def erase_upload(self, image_id: str) -> None:
        """Erase a picture that no job has adopted."""
        ...


class UploadHandler:
    """Takes the uploads of cards.

    Args:
        max_size: the most bytes of a picture.
        check: raises a refusal if the bytes are no picture that the card reader can open; runs in a thread.
        pictures: takes a picture for the card service to adopt.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        max_size: int,
        check: Callable[[bytes], None],
        pictures: PictureStore,
    ) -> None:
        self._bus = bus
        self._max_size = max_size
        self._check = check
        self._pictures = pictures
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._ended = False
        self._binding: Binding | None = None

    async def start(self) -> None:
        """Listen for finished cards."""
        self._binding = await self._bus.subscribe("ocr.status-changed", self._changed)

    async def read(self, request: web.Request) -> dict[str, Any]:
        """The fields of a :class:`CardUpload`, with the picture checked and the texts as they were sent.

        Raises:
            Malformed: the form cannot be read, or came too slowly.
            Unsupported: the body is no form, or the picture of a kind that the card reader does not open.
            TooLarge: the picture has too many bytes or pixels.
            Invalid: the picture is missing or broken, or a field is unknown.
            Unavailable: too many uploads at once.
        """
        if request.content_type != "multipart/form-data":
            raise Unsupported("Kirim foto kartu sebagai formulir (multipart/form-data) dengan isian ktp_image.")
        if (request.content_length or 0) > self._max_size + _CHUNK:
            raise self._too_large()
        async with self._slot():
            try:
                async with asyncio.timeout(_UPLOAD_SECONDS):
                    tree = await self._parts(request)
            except TimeoutError:
                raise Malformed(
                    "Unggahan terlalu lambat. Periksa jaringan dan ulangi.", code="upload-too-slow"
                ) from None
            except (ValueError, aiohttp.ClientPayloadError) as error:
                raise Malformed("Formulir unggahan tidak dapat dibaca.") from error
            if "image" not in tree:
                raise Invalid.field("ktp_image", "wajib diisi")
            await asyncio.to_thread(self._check, tree["image"])
        return tree

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """A slot among the few uploads that are read at once."""
        try:
            async with asyncio.timeout(_SLOT_SECONDS):
                await self._room.acquire()
        except TimeoutError:
            raise Unavailable("Terlalu banyak unggahan sekaligus.", retry_after=_SLOT_SECONDS) from None
        try:
            yield
        finally:
            self._room.release()

    async def _parts(self, request: web.Request) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        async for part in await request.multipart():
            if not isinstance(part, aiohttp.BodyPartReader):
                raise Malformed("Formulir unggahan tidak boleh bersarang.")
            name = "image" if part.name == "ktp_image" else part.name or ""
            if name in tree:
                raise Invalid.field(part.name or "", "dikirim dua kali")
            if name == "image":
                tree[name] = await self._bounded(part, self._max_size, self._too_large)
            elif name in _TEXTS:
                tree[name] = (await self._bounded(part, _TEXT_LIMIT, _too_long)).decode("utf-8")
            else:
                raise Invalid("Isian tidak dikenal.", errors=[FieldError(part.name or "", "tidak dikenal")])
        return tree

    async def _bounded(self, part: aiohttp.BodyPartReader, limit: int, refusal: Callable[[], Exception]) -> bytes:
        data = bytearray()
        while chunk := await part.read_chunk(_CHUNK):
            data += chunk
            if len(data) > limit:
                raise refusal()
        return bytes(data)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"Foto lebih besar dari {self._max_size / 1_048_576:.0f} MB. Kirim foto yang lebih kecil.")

    async def submit(self, upload: CardUpload, *, key: str | None, timeout: float) -> CardStatus:
        """Store the picture of an upload and ask the card service to read it.

        A picture that the card service does not take is erased at once.

        Raises:
            Unavailable, StorageFull: the picture is not stored.
            DomainError, Fault: see :meth:`mediq.runtime.bus.Bus.ask`.
        """
        image_id = await self._pictures.store_image(upload.image)
        message = ProcessKtp(
            image_id=image_id,
            service=upload.service,
            priority=upload.priority,
            priority_reason=upload.priority_reason,
        )
        try:
            return await self._bus.ask(message, key=key, timeout=timeout)
        except BaseException:
            await self._pictures.erase_upload(image_id)
            raise

    async def result(self, job_id: str, seconds: float) -> CardResult | None:
        """The card's result as soon as it is final, or as it is after `seconds` or when the gateway stops.

        None if the card service does not answer.
        """
        result: CardResult | None = None
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job_id, set()).add(done)
        try:
            async with asyncio.timeout(seconds):
                while not (result := await self._bus.ask(GetCardResult(id=job_id))).status.final and not self._ended:
                    await done
        except (TimeoutError, Fault):
            return result  # the card is stored: the caller can ask later
        finally:
            self._waiting[job_id].discard(done)
            if not self._waiting[job_id]:
                del self._waiting[job_id]
        return result

    async def close(self) -> None:
        """Stop listening."""
        if self._binding is not None:
            await self._binding.close()

    def end(self) -> None:
        """End all waiting for results."""
        self._ended = True
        for done in [done for waiting in self._waiting.values() for done in waiting]:
            if not done.done():
                done.set_result(None)

    def _changed(self, event: CardStatusChanged) -> None:
        if event.status.final:
            for done in self._waiting.get(event.id, ()):
                if not done.done():
                    done.set_result(None)


def _too_long() -> Invalid:
    return Invalid(f"Isian formulir paling banyak {_TEXT_LIMIT} huruf.")


def wanted_wait(request: web.Request) -> float:
    """The seconds that a caller waits for the result, from `Prefer: wait=N` (RFC 7240); 0 without it."""
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return min(float(found[1]), _LONGEST_WAIT) if found else 0.0

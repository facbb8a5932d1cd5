"""Taking a picture of a card from a request, and waiting for what it says."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from aiohttp import web

from mediq.actors.cards.messages import CardResult, CardStatusChanged, GetCardResult
from mediq.messages.errors import Fault, FieldError, Invalid, Malformed, TooLarge, Unavailable, Unsupported
from mediq.runtime.bus import Bus
from mediq.transport.base import Binding

_TEXTS: Final = ("service", "priority", "priority_reason")
_TEXT_LIMIT: Final = 1024
_CHUNK: Final = 65_536
_AT_ONCE: Final = 8
_UPLOAD_SECONDS: Final = 30.0
_PLACE_SECONDS: Final = 5.0
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait=(\d{1,3})(?:$|[,;\s])")
_LONGEST_WAIT: Final = 30.0


class UploadHandler:
    """Where pictures of cards come in.

    `check` looks at the bytes and raises a refusal if they are no picture that can be read; it runs in a thread.
    """

    def __init__(self, bus: Bus, *, max_size: int, check: Callable[[bytes], None]) -> None:
        self._bus = bus
        self._max_size = max_size
        self._check = check
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._ended = False
        self._binding: Binding | None = None

    async def start(self) -> None:
        """Listen for cards that are done."""
        self._binding = await self._bus.subscribe("ocr.status-changed", self._changed)

    async def read(self, request: web.Request) -> dict[str, Any]:
        """The fields of an upload: `image` as bytes, and the wishes for the ticket.

        Raises:
            Unsupported: the body is no form, or the picture of a kind that is not read.
            TooLarge: more bytes or pixels than are taken.
            Invalid: the picture is missing or broken.
        """
        if request.content_type != "multipart/form-data":
            raise Unsupported("Kirim foto kartu sebagai formulir (multipart/form-data) dengan isian ktp_image.")
        if (request.content_length or 0) > self._max_size + _CHUNK:
            raise self._too_large()
        async with self._place():
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
    async def _place(self) -> AsyncIterator[None]:
        """A place among the few uploads that are taken in at once."""
        try:
            async with asyncio.timeout(_PLACE_SECONDS):
                await self._room.acquire()
        except TimeoutError:
            raise Unavailable("Terlalu banyak unggahan sekaligus.", retry_after=_PLACE_SECONDS) from None
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

    async def result(self, job_id: str, seconds: float) -> CardResult | None:
        """The card's result once it is done, or None if that takes longer than `seconds` or the gateway stops."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job_id, set()).add(done)
        try:
            async with asyncio.timeout(seconds):
                while not (result := await self._bus.ask(GetCardResult(id=job_id))).status.final:
                    if self._ended:
                        return None
                    await done
                return result
        except (TimeoutError, Fault):
            return None  # the card is stored all the same; its caller asks later
        finally:
            self._waiting[job_id].discard(done)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    async def close(self) -> None:
        """Listen no more."""
        if self._binding is not None:
            await self._binding.close()

    def end(self) -> None:
        """Let nobody wait any longer."""
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
    """The seconds that `Prefer: wait=N` (RFC 7240) asks to wait for the result; 0 without it."""
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return min(float(found[1]), _LONGEST_WAIT) if found else 0.0

"""Files on their way to a browser: whole, or noticed not to be."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from mediq.http.file_responses import send
from mediq.http.origin import Origin
from mediq.http.request_context import REQUEST_CONTEXT, RequestContext
from mediq.messages.document import Document
from mediq.messages.errors import Unavailable

Part = Callable[[str], Awaitable[Document]]


def a_part(content: bytes, next_: str | None = None) -> Document:
    return Document(media_type="text/csv", content=content, name="tabel.csv", next=next_)


@asynccontextmanager
async def serving(first: Document, part: Part) -> AsyncIterator[str]:
    """The address of a server that sends one file."""

    async def handle(request: web.Request) -> web.StreamResponse:
        request[REQUEST_CONTEXT] = RequestContext(request_id="test", origin=Origin("203.0.113.7", "http"), headers={})
        return await send(request, first, part)

    app = web.Application()
    app.router.add_get("/file", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/file"
    finally:
        await runner.cleanup()


async def fetched(url: str) -> bytes:
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status == 200
        assert response.headers["Content-Disposition"] == 'attachment; filename="tabel.csv"'
        return await response.read()


async def no_part(before: str) -> Document:
    raise AssertionError(f"nobody asked for the part {before}")


async def test_a_short_file_has_its_length() -> None:
    async with serving(a_part(b"a,b\r\n"), no_part) as url, aiohttp.ClientSession() as http, http.get(url) as response:
        assert (response.headers["Content-Length"], await response.read()) == ("5", b"a,b\r\n")


async def test_a_long_file_comes_part_by_part() -> None:
    parts = {"2": a_part(b"", "3"), "3": a_part(b"three")}

    async def part(before: str) -> Document:
        return parts[before]

    async with serving(a_part(b"one,", "2"), part) as url:
        assert await fetched(url) == b"one,three"


@pytest.mark.parametrize("error", [Unavailable(), RuntimeError("a bug")])
async def test_what_breaks_off_is_not_taken_for_the_whole(error: Exception) -> None:
    async def part(before: str) -> Document:
        raise error

    async with serving(a_part(b"one,", "2"), part) as url:
        with pytest.raises(aiohttp.ClientError):
            await fetched(url)

"""Files in responses: a client gets the whole file, or notices that it did not."""

from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpClient

from mediq.http.file_responses import send
from mediq.http.origin import Origin
from mediq.http.request_context import REQUEST_CONTEXT, RequestContext
from mediq.messages.document import Document
from mediq.messages.errors import Unavailable

NextPart = Callable[[str], Awaitable[Document]]
Download = Callable[[Document, NextPart], Awaitable[aiohttp.ClientResponse]]


def file_part(content: bytes, next_: str | None = None) -> Document:
    return Document(media_type="text/csv", content=content, name="tabel.csv", next=next_)


@pytest.fixture
def download(aiohttp_client: AiohttpClient) -> Download:
    """Requests a file from a server that sends it."""

    async def request_file(first: Document, next_part: NextPart) -> aiohttp.ClientResponse:
        async def handle(request: web.Request) -> web.StreamResponse:
            request[REQUEST_CONTEXT] = RequestContext(
                request_id="test", origin=Origin("203.0.113.7", "http"), headers={}
            )
            return await send(request, first, next_part)

        app = web.Application()
        app.router.add_get("/file", handle)
        response = await (await aiohttp_client(app)).get("/file")
        assert response.status == 200
        assert response.headers["Content-Disposition"] == 'attachment; filename="tabel.csv"'
        return response

    return request_file


async def no_part(before: str) -> Document:
    raise AssertionError(f"part {before} was requested")


async def test_a_short_file_has_its_length(download: Download) -> None:
    response = await download(file_part(b"a,b\r\n"), no_part)
    assert (response.headers["Content-Length"], await response.read()) == ("5", b"a,b\r\n")


async def test_a_long_file_is_sent_part_by_part(download: Download) -> None:
    parts = {"2": file_part(b"", "3"), "3": file_part(b"three")}

    async def next_part(before: str) -> Document:
        return parts[before]

    response = await download(file_part(b"one,", "2"), next_part)
    assert await response.read() == b"one,three"


@pytest.mark.parametrize("error", [Unavailable(), RuntimeError("a bug")])
async def test_a_client_notices_that_a_file_is_not_whole(download: Download, error: Exception) -> None:
    async def next_part(before: str) -> Document:
        raise error

    async def read_all() -> bytes:
        return await (await download(file_part(b"one,", "2"), next_part)).read()

    with pytest.raises(aiohttp.ClientError):
        await read_all()

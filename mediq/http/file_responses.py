"""File responses: a short file in one piece, a long one part by part."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from mediq.http.request_context import request_context
from mediq.messages.document import Document
from mediq.messages.errors import DomainError, Fault
from mediq.observability import logging

_log = logging.logger("files")


async def send(
    request: web.Request, document: Document, part: Callable[[str], Awaitable[Document]]
) -> web.StreamResponse:
    """Send a file whose first part is `document`; `part` fetches the part that a document's `next` names.

    If a later part cannot be fetched, the connection is aborted, so that the client notices the missing rest.
    """
    headers = {"Content-Type": document.media_type}
    if document.name:
        headers["Content-Disposition"] = f'attachment; filename="{document.name}"'
    if document.next is None:
        return web.Response(body=document.content, headers=headers)
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    whole = False
    try:
        await response.write(document.content)
        while document.next is not None:
            document = await part(document.next)
            await response.write(document.content)
        await response.write_eof()
        whole = True
    except (DomainError, Fault) as error:
        _log.warning("file cut off", request_id=request_context(request).request_id, error=type(error).__name__)
    finally:
        if not whole and request.transport is not None:
            request.transport.abort()
    return response

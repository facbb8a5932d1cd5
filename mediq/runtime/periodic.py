"""Work that is due again and again."""

import asyncio
from collections.abc import Awaitable, Callable

from mediq.messages.errors import DomainError, Fault
from mediq.observability import logging

_log = logging.logger("interval")


async def every(
    seconds: float,
    work: Callable[[], Awaitable[object]],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Do `work` at once and then every so many seconds, until cancelled.

    A fault or refusal is logged and the work tried again when it is next due; any other error is raised.
    """
    while True:
        try:
            await work()
        except (Fault, DomainError) as error:
            _log.warning("put off", work=getattr(work, "__qualname__", repr(work)), error=str(error))
        await sleep(seconds)

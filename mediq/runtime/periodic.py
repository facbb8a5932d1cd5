"""Work that is repeated at a fixed interval."""

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
    """Run `work` at once, then again `seconds` after each run, until cancelled.

    A DomainError or Fault is logged, and `work` runs again at its next time; any other error is raised.
    """
    while True:
        try:
            await work()
        except (Fault, DomainError) as error:
            _log.warning("put off", work=getattr(work, "__qualname__", repr(work)), error=str(error))
        await sleep(seconds)

"""Work repeated at an interval."""

import asyncio

import pytest

from mediq.messages.errors import Conflict, Unavailable
from mediq.runtime.periodic import every


class Enough(BaseException):
    """Ends the endless loop."""


async def run(*outcomes: BaseException | None) -> tuple[int, list[float]]:
    """Run until the outcomes are used up; return how often the work ran, and the waits in between."""
    left = list(outcomes)
    waits: list[float] = []
    done = 0

    async def work() -> None:
        nonlocal done
        if not left:
            raise Enough
        done += 1
        if (error := left.pop(0)) is not None:
            raise error

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    with pytest.raises(Enough):
        await every(7.0, work, sleep=sleep)
    return done, waits


async def test_work_runs_at_once_and_after_every_interval() -> None:
    assert await run(None, None, None) == (3, [7.0] * 3)


async def test_a_fault_or_domain_error_waits_for_the_next_interval() -> None:
    assert await run(Unavailable(), Conflict("x"), None) == (3, [7.0] * 3)


@pytest.mark.parametrize("error", [ValueError("a bug"), asyncio.CancelledError()])
async def test_any_other_error_is_raised(error: BaseException) -> None:
    async def work() -> None:
        raise error

    with pytest.raises(type(error)):
        await every(7.0, work)

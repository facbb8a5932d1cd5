import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.fixtures.runtime import Application


@pytest.fixture(autouse=True)
async def nothing_goes_unnoticed() -> AsyncIterator[None]:
    """Fail the test if an exception reached nobody but the loop's exception handler."""
    unnoticed: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unnoticed.append(context))
    with capture_logs():
        yield
    gc.collect(1)
    assert unnoticed == []


@pytest.fixture
async def application() -> AsyncIterator[Application]:
    async with Application() as application:
        yield application

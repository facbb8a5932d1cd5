from collections.abc import AsyncIterator

import pytest

from mediq.transport.base import Transport
from tests.contract.transport.harness import BACKENDS, Backend


@pytest.fixture(params=sorted(BACKENDS))
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    made = BACKENDS[request.param]()
    yield made
    await made.close()


@pytest.fixture
async def transport(backend: Backend) -> Transport:
    return await backend.transport()

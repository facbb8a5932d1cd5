from collections.abc import AsyncIterator

import pytest

from mediq.transport.base import Transport
from tests.fixtures.transport.harness import BACKENDS, Backend
from tests.fixtures.transport.rabbit_harness import RabbitBackend


@pytest.fixture(params=sorted([*BACKENDS, "rabbitmq"]))
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    if request.param == "rabbitmq":
        made: Backend = RabbitBackend(request.getfixturevalue("rabbitmq_url"))
    else:
        made = BACKENDS[request.param]()
    yield made
    await made.close()


@pytest.fixture
async def transport(backend: Backend) -> Transport:
    return await backend.transport()

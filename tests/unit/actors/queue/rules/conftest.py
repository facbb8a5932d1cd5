import pytest

from tests.fixtures.queue.journal import Journal


@pytest.fixture
def journal() -> Journal:
    return Journal()

import pytest

from mediq.ocr_engine.reader import CardReader


@pytest.fixture(scope="session")
def reader() -> CardReader:
    """One reader for all tests: loading the networks takes half a second."""
    reader = CardReader(threads=2)
    reader.load()
    return reader

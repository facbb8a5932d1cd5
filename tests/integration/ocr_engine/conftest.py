"""The shared reader for the integration tests of the engine."""

from tests.fixtures.card_reader import reader

__all__ = ["reader"]

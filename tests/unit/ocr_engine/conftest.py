"""The shared reader for the unit tests of the engine."""

from tests.fixtures.card_reader import networks, reader

__all__ = ["networks", "reader"]

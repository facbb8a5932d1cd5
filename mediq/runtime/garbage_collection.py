"""Settings of Python's cyclic garbage collector for a server process."""

import gc
from typing import Final

_THRESHOLD: Final = 10_000
"""New objects that start a collection. Python's default, 700, is what some ten requests in progress hold."""


def rest() -> None:
    """Pause collection during the start: nearly all objects made then stay, so scanning them is wasted work."""
    gc.disable()


def settle() -> None:
    """Start collecting, after the start: skip the objects that exist now, and collect less often."""
    gc.freeze()
    gc.set_threshold(_THRESHOLD)
    gc.enable()

"""Python's collector of cycles, set for a process that serves."""

import gc
from typing import Final

_YOUNG: Final = 10_000
"""Objects more than before at which the collector looks; by default 700, which some ten requests under way are."""


def rest() -> None:
    """Leave out the start: what it makes stays, and to look through it again and again would be a tenth of its work."""
    gc.disable()


def settle() -> None:
    """Begin collecting, for good: look at nothing that is there now, nor at what will be gone in a moment by itself."""
    gc.freeze()
    gc.set_threshold(_YOUNG)
    gc.enable()

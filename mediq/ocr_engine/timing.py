"""Seconds spent in each stage of reading, summed over all cards of this process, for benchmarks.

Rows are recognised in the background. Stage "recognise" counts the wait for them, also within other stages.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

seconds: defaultdict[str, float] = defaultdict(float)
"""Seconds by stage."""


@contextmanager
def timed(stage: str) -> Iterator[None]:
    """Add the time of the block to a stage."""
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] += time.perf_counter() - started

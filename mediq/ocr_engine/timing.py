"""Seconds spent in each stage of reading, summed over all cards of this process, for benches.

Rows are read in the background: of them counts what was waited for, also while deciding.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

seconds: defaultdict[str, float] = defaultdict(float)


@contextmanager
def timed(stage: str) -> Iterator[None]:
    """Count what runs inside as time of `stage`."""
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] += time.perf_counter() - started

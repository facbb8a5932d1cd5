"""The value below which a share of the samples lies."""

from collections.abc import Sequence


def quantile(ordered: Sequence[float], share: float) -> float:
    """The quantile of sorted samples, linear between neighbours (Hyndman & Fan's type 7).

    Raises:
        ValueError: there is no sample.
    """
    if not ordered:
        raise ValueError("no quantile of nothing")
    rank = (len(ordered) - 1) * share
    low = int(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)

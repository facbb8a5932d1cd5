"""The Prometheus metrics of a process. No label holds a NIK, a name, an e-mail address or a token: ids only."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

LATENCY: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Seconds(Collector):
    """A histogram of seconds that the loop's thread alone counts.

    That of prometheus_client, made for many threads, takes a lock for its labels and for each of its numbers: a tenth
    of all that a message costs.
    """

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str], registry: CollectorRegistry = REGISTRY
    ) -> None:
        self._described = name, documentation
        self._labels = labels
        self._counts: defaultdict[tuple[str, ...], list[int]] = defaultdict(lambda: [0] * (len(LATENCY) + 1))
        self._sums: defaultdict[tuple[str, ...], float] = defaultdict(float)
        registry.register(self)

    def observe(self, values: tuple[str, ...], seconds: float) -> None:
        """Count one that took so long; `values` are those of the labels."""
        self._counts[values][bisect_left(LATENCY, seconds)] += 1
        self._sums[values] += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(*self._described, labels=self._labels)
        bounds = [*(str(float(bound)) for bound in LATENCY), "+Inf"]
        for values, counts in self._counts.items():
            family.add_metric(values, list(zip(bounds, accumulate(counts), strict=True)), self._sums[values])
        yield family


message_seconds = Seconds("mediq_message_seconds", "Time of a message in its handler", ["pattern", "outcome"])
http_seconds = Seconds("mediq_http_request_seconds", "Time of a request by route", ["method", "route", "status"])
mailbox_depth = Gauge("mediq_mailbox_depth", "Messages taken from the transport and not yet handled", ["mailbox"])
mailbox_waiting = Gauge(
    "mediq_mailbox_waiting", "Messages that wait in a mailbox of this process; a broker tells of its own", ["mailbox"]
)
dead_letters = Counter("mediq_dead_letters_total", "Messages given up", ["mailbox", "reason"])
events_dropped = Counter("mediq_events_dropped_total", "Events that a slow subscriber lost", ["topic"])
restarts = Counter("mediq_restarts_total", "Restarts of a supervised child", ["child"])
breaker_open = Gauge("mediq_breaker_open", "1 while the circuit to a service is open", ["service"])
streams_open = Gauge("mediq_event_streams", "Open event streams", ["kind"])
card_seconds = Histogram(
    "mediq_card_seconds",
    "Time to read a card",
    ["outcome"],
    buckets=(0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30),
)
registry = REGISTRY

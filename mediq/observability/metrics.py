"""The Prometheus metrics of a process. No label holds a NIK, a name, an e-mail address or a token: ids only."""

from functools import cache
from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

LATENCY: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Upper bounds of the latency buckets, in seconds."""

message_seconds = Histogram(
    "mediq_message_seconds", "Time of a message in its handler", ["pattern", "outcome"], buckets=LATENCY
)
http_seconds = Histogram(
    "mediq_http_request_seconds", "Time of a request by route", ["method", "route", "status"], buckets=LATENCY
)
message_seconds_for = cache(message_seconds.labels)
"""The child of `message_seconds` for a pattern and an outcome. Cached: `labels` takes half of the time of a count."""
http_seconds_for = cache(http_seconds.labels)
"""The child of `http_seconds` for a method, a route and a status; cached likewise."""
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

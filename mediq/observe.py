"""What the house tells about itself: structured logs, Prometheus metrics, trace context.

No log line, label or header here may hold a NIK, a name, an e-mail address, a token or a picture: ids only.
"""

import logging
import random
import re
import sys
import time
import traceback
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import accumulate
from typing import Final, Literal

import structlog
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from mediq.lines import Stderr

LogFormat = Literal["console", "json"]

_TRACEPARENT: Final = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<parent>(?!0{16})[0-9a-f]{16})-"
    r"(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
LATENCY: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_KINDS: Final = 1024
"""Kinds of requests to keep things ready for; a caller can make up methods."""
_MARKED_MS: Final = 12345678.9
"""Longer than any request takes."""


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


def configure_logging(fmt: LogFormat, level: str, headers: Callable[[], Mapping[str, str]]) -> None:
    """Send every log line to standard error, one event a line; standard output is for a command's own result.

    Each line says whose request it is about, by the `headers` of what runs at that moment.
    """
    out = Stderr(sys.stderr)
    shared: list[structlog.typing.Processor] = [
        partial(_add_whose, headers),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_where),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if fmt == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: out,
        cache_logger_on_first_use=True,
    )
    # It would quote malformed requests, tokens and all; what our own handlers raise is logged by them.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")


def new_id(size: int) -> str:
    """So many bytes that nobody else is likely to make, in hexadecimal digits; nothing is guarded by them."""
    return random.getrandbits(8 * size).to_bytes(size).hex()  # less than half of what secrets cost


def traceparent(shown: str | None) -> str:
    """The trace that a caller has shown, or a new one (W3C Trace Context, version 00).

    We record no spans, so that whoever is asked next hears of the caller as the parent, as the standard allows.
    """
    found = _TRACEPARENT.fullmatch(shown) if shown else None
    if found is None or (found["version"] == "00" and found["more"]):
        ids = new_id(24)
        return f"00-{ids[:32]}-{ids[32:]}-00"
    return f"00-{found['trace']}-{found['parent']}-{found['flags']}"


def _add_whose(
    headers_now: Callable[[], Mapping[str, str]], logger: object, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    headers = headers_now()
    if "request_id" in headers:
        event.setdefault("request_id", headers["request_id"])
    if "traceparent" in headers:
        event.setdefault("trace_id", headers["traceparent"].split("-")[1])
    return event


def _where(exc_info: structlog.typing.ExcInfo) -> str:
    """Where an exception came from, without its message or its variables: those may quote a patient."""
    lines: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None:
        lines[:0] = [*traceback.format_tb(error.__traceback__), f"{type(error).__qualname__}\n"]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "".join(lines).rstrip()


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one part of the house."""
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=name)
    return log


class RequestLines:
    """The lines of requests, as the logger of `part` would write them.

    What a request shares with those before it is rendered once, by the renderer of all lines: this costs an eighth.
    """

    def __init__(self, part: str) -> None:
        settings = structlog.get_config()
        *self._processors, self._render = settings["processors"]
        self._write: Callable[[str], None] = settings["logger_factory"]().info
        self._wanted: bool = structlog.get_logger().bind().is_enabled_for(logging.INFO)
        self._part = part
        self._second = 0.0
        self._to_second = ""
        self._template = lru_cache(_KINDS)(self._make_template)

    def info(
        self, headers: Mapping[str, str], *, method: str, route: str, status: int, ms: float, role: str | None
    ) -> None:
        """Tell of a request whose messages travel with `headers`; what a caller may have written there was checked."""
        if not self._wanted:
            return
        second, fraction = divmod(time.time(), 1)
        if second != self._second:
            self._second, self._to_second = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        varying = {
            "ms": f"{ms:.1f}",
            "request_id": headers["request_id"],
            "timestamp": f"{self._to_second}.{int(fraction * 1e6):06}Z",
            "trace_id": headers["traceparent"][3:35],
        }
        self._write(self._template(method, route, status, role) % varying)

    def _make_template(self, method: str, route: str, status: int, role: str | None) -> str:
        event: structlog.typing.EventDict = {
            "part": self._part,
            "method": method,
            "route": route,
            "status": status,
            "ms": _MARKED_MS,
            "role": role,
            "event": "request",
            "request_id": "<request_id>",
            "trace_id": "<trace_id>",
        }
        for process in self._processors:
            event = process(None, "info", event)
        text = str(self._render(None, "info", {**event, "timestamp": "<timestamp>"}))
        text = text.replace("%", "%%").replace(str(_MARKED_MS), "%(ms)s")
        return re.sub("<(request_id|trace_id|timestamp)>", r"%(\1)s", text)

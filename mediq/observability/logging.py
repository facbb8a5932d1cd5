"""Structured logs. No log line holds a NIK, a name, an e-mail address, a token or a picture: ids only."""

import logging
import re
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Final, Literal

import structlog

from mediq.observability.lines import Stderr

LogFormat = Literal["console", "json"]

_KINDS: Final = 1024
"""Kinds of requests to keep things ready for; a caller can make up methods."""
_MARKED_MS: Final = 12345678.9
"""Longer than any request takes."""


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

"""Structured logs. No log line holds a NIK, a name, an e-mail address, a token or a picture: ids only."""

import json
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import IO, Any, BinaryIO, Literal, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, ExcInfo, FilteringBoundLogger, Processor

LogFormat = Literal["console", "json"]

_encode = msgspec.json.Encoder(enc_hook=repr).encode


def configure_logging(fmt: LogFormat, level: str, headers: Callable[[], Mapping[str, str]]) -> None:
    """Write every log line to standard error, one event a line; standard output is for a command's own result.

    `headers` gives the message headers of the code that logs: their request and trace ids go into each line. Every line
    is written at once, so that none is lost when the process ends.
    """
    structlog.configure(
        processors=[
            partial(_add_request, headers),
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_format_exception),
            _renderer(fmt),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=_logger_factory(fmt),
        cache_logger_on_first_use=True,
    )
    # It would quote malformed requests, tokens included; the request middleware logs what handlers raise.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    # They write unstructured lines at every attempt to reconnect; the transport logs the same as events.
    for name in ("aio_pika", "aiormq"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")


def logger(name: str) -> FilteringBoundLogger:
    """The logger of one part of the program."""
    log: FilteringBoundLogger = structlog.get_logger(part=name)
    return log


class RequestLine(msgspec.Struct, frozen=True, kw_only=True):
    """The log line of one request, with the keys that every line has; `ms` is its duration in milliseconds."""

    part: str
    method: str
    route: str
    status: int
    ms: float
    role: str | None
    event: str = "request"
    request_id: str
    trace_id: str
    level: str = "info"
    timestamp: datetime


class RequestLogger:
    """Logs requests as the logger of `part` would; to be made after :func:`configure_logging`.

    The line is a struct that is rendered at once. Through structlog's processors it would add a fifth (JSON) to a third
    (console) to the cost of a request. A terminal, which wants colours, is not in such a hurry.
    """

    def __init__(self, part: str) -> None:
        settings = structlog.get_config()
        self._part = part
        self._log = logger(part)
        self._enabled = bool(self._log.bind().is_enabled_for(logging.INFO))
        self._write: Callable[[Any], None] = settings["logger_factory"]().info
        self._render: Callable[[RequestLine], bytes | str] | None = None
        if isinstance(settings["processors"][-1], structlog.processors.JSONRenderer):
            self._render = _encode
        elif not sys.stderr.isatty():
            self._render = _to_console

    def info(
        self, headers: Mapping[str, str], *, method: str, route: str, status: int, ms: float, role: str | None
    ) -> None:
        """Log a request; `headers` are those of its messages."""
        if not self._enabled:
            return
        if self._render is None:
            self._log.info("request", method=method, route=route, status=status, ms=ms, role=role)
            return
        line = RequestLine(
            part=self._part,
            method=method,
            route=route,
            status=status,
            ms=ms,
            role=role,
            request_id=headers["request_id"],
            trace_id=headers["traceparent"].split("-")[1],
            timestamp=datetime.now(UTC),
        )
        self._write(self._render(line))


def _renderer(fmt: LogFormat) -> Processor:
    if fmt == "json":
        return structlog.processors.JSONRenderer(serializer=_to_json)
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())


def _logger_factory(fmt: LogFormat) -> Callable[..., Any]:
    if fmt == "json":
        return structlog.BytesLoggerFactory(cast(BinaryIO, _BestEffort(sys.stderr.buffer)))
    return structlog.PrintLoggerFactory(cast(TextIO, _BestEffort(sys.stderr)))


class _BestEffort:
    """Standard error for log lines. What it does not take, as on a full disk, must not fail the request it tells of."""

    def __init__(self, stream: IO[Any]) -> None:
        self._stream = stream

    def write(self, line: Any) -> None:
        with suppress(OSError, ValueError):  # ValueError: the stream is closed
            self._stream.write(line)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def _to_console(line: RequestLine) -> str:
    """A request as structlog's console renderer would write it; a method, an HTTP token, may hold an apostrophe."""
    time = line.timestamp.isoformat(timespec="microseconds").removesuffix("+00:00")
    method = repr(line.method) if "'" in line.method else line.method
    return (
        f"{time}Z [{line.level:9}] {line.event:30} method={method} ms={line.ms} part={line.part} "
        f"request_id={line.request_id} role={line.role} route={line.route} status={line.status} "
        f"trace_id={line.trace_id}"
    )


def _to_json(event: EventDict, default: Callable[[Any], Any]) -> bytes:
    try:
        return _encode(event)
    except UnicodeEncodeError:  # a file name that is no UTF-8
        return json.dumps(event, default=default).encode()


def _add_request(
    headers_now: Callable[[], Mapping[str, str]], logger: object, method: str, event: EventDict
) -> EventDict:
    headers = headers_now()
    if "request_id" in headers:
        event.setdefault("request_id", headers["request_id"])
    if "traceparent" in headers:
        event.setdefault("trace_id", headers["traceparent"].split("-")[1])
    return event


def _format_exception(exc_info: ExcInfo) -> str:
    """Where an exception came from, without its message or its variables: those may quote a patient."""
    lines: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None:
        lines[:0] = [*traceback.format_tb(error.__traceback__), f"{type(error).__qualname__}\n"]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "".join(lines).rstrip()

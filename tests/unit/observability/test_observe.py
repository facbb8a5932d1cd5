"""Logs, metrics and trace context: where something went wrong, never with personal data."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
import structlog
from prometheus_client import Histogram

from mediq.observability import logging, metrics, tracing
from mediq.runtime.context import following, headers_now

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "shown",
    [f"00-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01-what-comes-after"],
)
def test_a_valid_trace_header_is_continued(shown: str) -> None:
    assert tracing.traceparent(shown) == f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize(
    "shown",
    [
        None,
        "",
        "nonsense",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-01\n",
        f" 00-{TRACE}-{PARENT}-01",
    ],
)
def test_an_invalid_trace_header_begins_a_new_trace(shown: str | None) -> None:
    made = tracing.traceparent(shown)
    assert tracing.traceparent(made) == made
    assert TRACE not in made
    assert made != tracing.traceparent(shown), "each its own"


def test_every_line_names_the_request_that_it_belongs_to(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        logging.configure_logging("json", "info", headers_now)
        log = logging.logger("test")
        headers = {"request_id": "r-1", "traceparent": f"00-{TRACE}-{PARENT}-01"}
        with following(headers):
            log.info("within")
            with following({}):
                log.info("of no request")
        log.info("without")
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    finally:
        structlog.reset_defaults()
    assert [(line["event"], line.get("request_id"), line.get("trace_id")) for line in lines] == [
        ("within", "r-1", TRACE),
        ("of no request", None, None),
        ("without", None, None),
    ]


TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.mark.parametrize("method", ["GET", "%(ms)s", "it's"])
@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize("fmt", ["console", "json"])
def test_the_line_of_a_request_looks_like_any_other(
    fmt: logging.LogFormat,
    colours: bool,
    method: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    headers = {"request_id": "r-1", "traceparent": f"00-{TRACE}-{PARENT}-01"}
    requests: list[dict[str, Any]] = [
        {"method": method, "route": "/queue/status/{user_id}", "status": 200, "ms": ms, "role": role}
        for role in (None, "OPERATOR")
        for ms in (0.1, 12.0, 12345.6)
    ]
    try:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: colours)
        logging.configure_logging(fmt, "info", headers_now)
        request_logger = logging.RequestLogger("http")
        with following(headers):
            for request in requests:
                logging.logger("http").info("request", **request)
            usual = capsys.readouterr().err
            for request in requests:
                request_logger.info(headers, **request)
            quick = capsys.readouterr().err
        logging.configure_logging(fmt, "warning", headers_now)
        logging.RequestLogger("http").info(headers, **requests[0])
        assert capsys.readouterr().err == ""
    finally:
        structlog.reset_defaults()
    assert len(TIME.findall(usual)) == len(TIME.findall(quick)) == len(requests)
    assert without_times(quick, fmt) == without_times(usual, fmt)
    assert ("\x1b[" in usual) == (colours and fmt == "console")


def without_times(lines: str, fmt: logging.LogFormat) -> list[object]:
    """The lines without their times; of JSON the order of the keys does not matter."""
    timeless = TIME.sub("", lines).splitlines()
    return [json.loads(line) for line in timeless] if fmt == "json" else list(timeless)


@pytest.mark.parametrize("fmt", ["console", "json"])
@pytest.mark.parametrize("end", ["raise RuntimeError", "sys.exit(3)", "asyncio.get_running_loop().stop()"])
def test_the_end_of_the_process_loses_no_line(fmt: logging.LogFormat, end: str) -> None:
    program = (
        "import asyncio, sys\n"
        "from mediq.observability import logging\n"
        f"logging.configure_logging({fmt!r}, 'info', dict)\n"
        "async def main():\n"
        "    logging.logger('test').info('the last')\n"
        f"    {end}\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "the last" in ended.stderr


def test_the_client_library_of_the_broker_writes_no_lines_of_its_own() -> None:
    program = (
        "import logging as std\n"
        "from mediq.observability import logging\n"
        "logging.configure_logging('json', 'info', dict)\n"
        "std.getLogger('aio_pika.robust_connection').warning('attempt failed')\n"
        "std.getLogger('aiormq.connection').error('attempt failed')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stderr == ""


def test_a_value_that_is_no_unicode_is_logged_too(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        logging.configure_logging("json", "info", headers_now)
        logging.logger("test").info("opened", file="data-\udcff")
        line = json.loads(capsys.readouterr().err)
    finally:
        structlog.reset_defaults()
    assert line["file"] == "data-\udcff"


@pytest.mark.parametrize("fmt", ["console", "json"])
def test_an_exception_is_logged_without_its_message(fmt: logging.LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        logging.configure_logging(fmt, "info", headers_now)
        nik = "3201" + "241107690002"
        try:
            try:
                int(nik + "x")
            except ValueError as error:
                raise RuntimeError(f"NIK {nik}") from error
        except RuntimeError:
            structlog.get_logger().exception("boom")
        told = capsys.readouterr().err
    finally:
        structlog.reset_defaults()
    assert "boom" in told
    assert "RuntimeError" in told
    assert "ValueError" in told
    assert __file__.rpartition("/")[2] in told
    assert nik not in told


@pytest.mark.parametrize(
    ("histogram", "name", "labels"),
    [
        (metrics.message_seconds, "mediq_message_seconds", {"pattern", "outcome"}),
        (metrics.http_seconds, "mediq_http_request_seconds", {"method", "route", "status"}),
    ],
)
def test_a_latency_histogram_keeps_its_name_labels_and_buckets(
    histogram: Histogram, name: str, labels: set[str]
) -> None:
    histogram.labels(**dict.fromkeys(labels, "test")).observe(0.0011)
    (family,) = histogram.collect()
    buckets = [
        sample for sample in family.samples if sample.name == f"{name}_bucket" and "test" in sample.labels.values()
    ]
    assert {*buckets[0].labels} == labels | {"le"}
    assert [(sample.labels["le"], sample.value) for sample in buckets] == [
        *(("0.001", 0), ("0.0025", 1), ("0.005", 1), ("0.01", 1), ("0.025", 1), ("0.05", 1), ("0.1", 1)),
        *(("0.25", 1), ("0.5", 1), ("1.0", 1), ("2.5", 1), ("5.0", 1), ("10.0", 1), ("+Inf", 1)),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is a device of Linux")
@pytest.mark.parametrize("fmt", ["json", "console"])
def test_a_log_that_takes_nothing_fails_no_request(fmt: str) -> None:
    script = (
        "from mediq.observability import logging\n"
        f"logging.configure_logging({fmt!r}, 'info', dict)\n"
        "logging.logger('test').warning('lost')\n"
        "headers = {'request_id': 'r', 'traceparent': '00-a-b-00'}\n"
        "logging.RequestLogger('http').info(headers, method='GET', route='/', status=200, ms=1.0, role=None)\n"
        "print('served', flush=True)\n"
        "import os; os._exit(0)\n"
    )
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=full, text=True, timeout=60, check=True
        )
    assert done.stdout == "served\n"

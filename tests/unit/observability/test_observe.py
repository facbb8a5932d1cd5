"""Logs say where something went wrong, never with whose data."""

import json
import re
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
def test_a_trace_is_continued(shown: str) -> None:
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
def test_what_is_no_trace_begins_one(shown: str | None) -> None:
    made = tracing.traceparent(shown)
    assert tracing.traceparent(made) == made
    assert TRACE not in made
    assert made != tracing.traceparent(shown), "each its own"


def test_every_line_says_whose_request_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        logging.configure_logging("json", "info", headers_now)
        log = logging.logger("test")
        headers = {"request_id": "r-1", "traceparent": f"00-{TRACE}-{PARENT}-01"}
        with following(headers):
            log.info("within")
            with following({}):
                log.info("of the application itself")
        log.info("without")
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    finally:
        structlog.reset_defaults()
    assert [(line["event"], line.get("request_id"), line.get("trace_id")) for line in lines] == [
        ("within", "r-1", TRACE),
        ("of the application itself", None, None),
        ("without", None, None),
    ]


@pytest.mark.parametrize("method", ["GET", "%(ms)s", "it's"])
@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize("fmt", ["console", "json"])
def test_the_line_of_a_request_is_as_any_other(
    fmt: logging.LogFormat,
    colours: bool,
    method: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    headers = {"request_id": "r-1", "traceparent": f"00-{TRACE}-{PARENT}-01"}
    kinds: list[dict[str, Any]] = [
        {"method": method, "route": "/queue/status/{user_id}", "status": 200, "ms": ms, "role": role}
        for role in (None, "OPERATOR")
        for ms in (0.1, 12.0, 12345.6)
    ]
    try:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: colours)
        logging.configure_logging(fmt, "info", headers_now)
        with following(headers):
            for kind in kinds:
                logging.logger("http").info("request", **kind)
        plain = capsys.readouterr().err
        for kind in kinds:
            logging.RequestLines("http").info(headers, **kind)
        quick = capsys.readouterr().err
        logging.configure_logging(fmt, "warning", headers_now)
        logging.RequestLines("http").info(headers, **kinds[0])
        assert capsys.readouterr().err == ""
    finally:
        structlog.reset_defaults()
    time_of_day = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
    assert len(time_of_day.findall(plain)) == len(kinds)
    assert time_of_day.sub("", quick) == time_of_day.sub("", plain)
    assert ("\x1b[" in plain) == (colours and fmt == "console")


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

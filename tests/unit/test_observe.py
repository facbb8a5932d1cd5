"""Logs say where something went wrong, never with whose data."""

import pytest
import structlog

from mediq import observe


@pytest.mark.parametrize("fmt", ["console", "json"])
def test_an_exception_is_logged_without_its_message(fmt: observe.LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        observe.configure_logging(fmt, "info")
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

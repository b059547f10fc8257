import json

import pytest
import structlog

from service.telemetry import configure_logging, metrics_page
from tests.service.fakes import fast_settings


def test_a_log_line_is_json_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(fast_settings(log_level="info"))
    structlog.get_logger("x").debug("silent")
    structlog.get_logger("x").info("heard", number=3)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["number"], line["level"]) == ("heard", 3, "info")


def test_an_error_is_logged_with_its_cause_in_both_formats(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for log_format in ("json", "console"):
        configure_logging(fast_settings(log_format=log_format))
        structlog.get_logger("x").error("failed", exc_info=ValueError("the cause"))
        assert "the cause" in capsys.readouterr().err


def test_metrics_are_in_the_format_of_prometheus() -> None:
    assert b"# TYPE relata_http_request_seconds histogram" in metrics_page()

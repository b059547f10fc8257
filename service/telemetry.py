"""Logs and metrics: one JSON line per event with the request id, one registry for Prometheus."""

import logging
import sys
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from service.settings import Settings

METRICS_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

REGISTRY = CollectorRegistry()
HTTP_SECONDS = Histogram(
    "relata_http_request_seconds",
    "Wall time of requests, by route and status.",
    ("method", "route", "status"),
    buckets=SECONDS,
    registry=REGISTRY,
)
HTTP_ACTIVE = Gauge(
    "relata_http_requests_active", "Requests being answered now.", registry=REGISTRY
)
HTTP_CANCELLED = Counter(
    "relata_http_requests_cancelled_total",
    "Requests whose caller left before the answer.",
    registry=REGISTRY,
)


def metrics_page() -> bytes:
    """Give all metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)


def configure_logging(settings: Settings) -> None:
    """Send every log line to standard error, as JSON or for people to read."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    as_json = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    renderers: list[Any] = as_json if settings.log_format == "json" else [_console_renderer()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _console_renderer() -> structlog.dev.ConsoleRenderer:
    """Give lines for people; tracebacks without local variables, which hold the caller's data."""
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)

"""Structured logs: one event per line, each with the correlation id of the request or job it belongs to."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars

Style = Literal["json", "console"]


def configure(style: Style | None = None) -> None:
    """JSON lines on standard error, or coloured ones when a person is looking."""
    chosen = style or ("console" if sys.stderr.isatty() else "json")
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers: list[Any] = (
        [structlog.dev.ConsoleRenderer()]
        if chosen == "console"
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s", stream=sys.stderr)


def begin(correlation_id: str, **facts: object) -> None:
    """Everything logged from here on in this task carries these."""
    clear_contextvars()
    bind_contextvars(correlation_id=correlation_id, **facts)

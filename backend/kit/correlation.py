"""A correlation id for every request: taken from the caller when it is well formed, made otherwise, and answered."""

from __future__ import annotations

import re
import time
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.kit import logs
from backend.kit.ids import uuid7

HEADER: Final = b"x-correlation-id"
_WELL_FORMED: Final = re.compile(rb"[A-Za-z0-9._-]{1,80}")
log = structlog.get_logger()


class CorrelationMiddleware:
    """Puts `correlation_id` into the scope and the logs, and one line per request into the log."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(HEADER, b"")
        correlation_id = given.decode() if _WELL_FORMED.fullmatch(given) else str(uuid7())
        scope["correlation_id"] = correlation_id
        logs.begin(correlation_id)
        started, status = time.perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (HEADER, correlation_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            took_ms = round((time.perf_counter() - started) * 1000, 1)
            log.info("request", method=scope["method"], path=scope["path"], status=status, took_ms=took_ms)

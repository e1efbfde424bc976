"""The daily jobs over the books: checkpoints of balances, anchors of the chain."""

from __future__ import annotations

from datetime import time
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog

from backend.kit.database import UnitOfWork
from backend.kit.jobs.context import JobContext
from backend.kit.jobs.registry import job
from backend.kit.jobs.schedules import Daily
from backend.ledger.history.service import CHECKPOINT_JOB, HistoryService
from backend.ledger.seals import anchor_days

ANCHOR_JOB: Final = "ledger.anchor"
log = structlog.get_logger()


@job(CHECKPOINT_JOB, schedule=Daily(time(0, 30)))
async def checkpoint(context: JobContext) -> dict[str, Any]:
    """Bring the checkpoints up to date; each is a transaction of its own, so a later attempt goes on behind it."""
    return {"checkpoints": await context.services.get(HistoryService).checkpoint(context.tenant_id)}


@job(ANCHOR_JOB, schedule=Daily(time(0, 15), ZoneInfo("UTC")))
async def anchor(context: JobContext) -> dict[str, Any] | None:
    """Anchor past days (UTC), and say their roots in the result and in the log, which lies elsewhere."""

    async def effect(unit: UnitOfWork) -> dict[str, Any]:
        made = await anchor_days(unit, context.services.toolbox.clock.now())
        roots = [{"day": str(a.day), "seals": [a.first_seal, a.last_seal], "root": a.root.hex()} for a in made]
        return {"anchored": len(made), "anchors": roots}

    answer = await context.finish(effect)
    for made in (answer or {}).get("anchors", []):
        log.info("ledger anchored", tenant=str(context.tenant_id), **made)
    return None if answer is None else dict(answer)

"""The job that takes an offset surrender as far as it goes by itself, and the one that sees to those left standing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from backend.kit.database import UnitOfWork
from backend.kit.jobs.context import JobContext
from backend.kit.jobs.registry import job
from backend.kit.jobs.schedules import Every
from backend.ledger.offsets.service import ADVANCE_JOB, OffsetService


@job(ADVANCE_JOB)
async def advance_offset_surrender(context: JobContext, surrender_id: UUID) -> dict[str, Any]:
    """Step after step, each kept for itself: whoever takes the job up again goes on where the last one stopped."""
    service = context.services.get(OffsetService)
    taken = []
    while step := await service.advance(context.tenant_id, surrender_id):
        taken.append(step.value)
        context.check()
    return {"taken": taken}


@job("ledger.resume_offset_surrenders", schedule=Every(timedelta(hours=1)))
async def resume_offset_surrenders(context: JobContext) -> dict[str, Any] | None:
    """Have surrenders go on whose next step waits for nobody."""
    service = context.services.get(OffsetService)

    async def effect(unit: UnitOfWork) -> dict[str, Any]:
        return {"resumed": await service.resume(unit)}

    answer = await context.finish(effect)
    return None if answer is None else dict(answer)

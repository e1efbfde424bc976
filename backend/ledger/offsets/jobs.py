"""The job that takes an offset surrender as far as it goes by itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from backend.kit.jobs.context import JobContext
from backend.kit.jobs.registry import job
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

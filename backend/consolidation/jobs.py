"""The job that carries a consolidation out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from backend.consolidation.service import JOB, ConsolidationService
from backend.kit.database import UnitOfWork
from backend.kit.jobs.context import JobContext
from backend.kit.jobs.registry import job


@job(JOB)
async def run(context: JobContext, run_id: UUID) -> dict[str, Any] | None:
    """Freeze, determine, and store the results together with the end of the job."""
    service = context.services.get(ConsolidationService)

    async def report(done: int, total: int) -> None:
        await context.progress(done, total, "nodes")

    found = await service.find(context.tenant_id, run_id, report)

    async def effect(unit: UnitOfWork) -> dict[str, Any]:
        await service.store(unit, run_id, found)
        return {"input_sha256": found.input_sha256.hex(), "result_sha256": found.result_sha256.hex()}

    answer = await context.finish(effect)
    return None if answer is None else dict(answer)

"""Jobs of the accounting slice."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

from backend.accounting.service.exports import JOB as EXPORT_JOB
from backend.accounting.service.exports import ExportService
from backend.accounting.service.imports import JOB, STEPS, ImportService
from backend.kit.database import UnitOfWork
from backend.kit.jobs.context import JobContext
from backend.kit.jobs.registry import job


@job(JOB)
async def run_import(context: JobContext, import_id: UUID) -> dict[str, Any] | None:
    """Read the file, then keep its rows together with the end of the job: a broken attempt leaves nothing behind."""
    service = context.services.get(ImportService)
    read = await service.read(context.tenant_id, import_id, context.progress)
    await context.progress(3, STEPS, "storing")

    async def effect(unit: UnitOfWork) -> dict[str, Any]:
        return await service.store(unit, read)

    answer = await context.finish(effect)
    return None if answer is None else dict(answer)


@job(EXPORT_JOB)
async def run_export(context: JobContext, export_id: UUID) -> dict[str, Any] | None:
    """Write the file, then keep it together with the end of the job."""
    service = context.services.get(ExportService)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "activity.csv"
        asked, count = await service.write(context.tenant_id, export_id, path)

        async def effect(unit: UnitOfWork) -> dict[str, Any]:
            return await service.store(unit, asked, count, path)

        answer = await context.finish(effect)
    return None if answer is None else dict(answer)

"""Jobs of the accounting slice."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from backend.accounting.domain.chinese import NAMES
from backend.accounting.service.adoption import JOB as ADOPTION_JOB
from backend.accounting.service.adoption import AdoptionService
from backend.accounting.service.exports import JOB as EXPORT_JOB
from backend.accounting.service.exports import ExportService
from backend.accounting.service.imports import JOB, STEPS, ImportService
from backend.accounting.service.long_work import Asked, Report
from backend.accounting.service.methods import CHOICE_JOB, MethodService
from backend.accounting.service.methods import JOB as DERIVATION_JOB
from backend.kit.database import UnitOfWork
from backend.kit.jobs.context import JobContext
from backend.kit.jobs.registry import job

# What jobs refuse is told in Chinese as well: a worker reads the words before it raises an error.
assert NAMES


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


Given = Callable[[UnitOfWork, Asked, Report], Awaitable[dict[str, Any]]]


@job(ADOPTION_JOB)
async def run_adoption(context: JobContext, member_id: UUID, correlation_id: str, body: str) -> dict[str, Any] | None:
    """Adopt a factor set for many stream-months: setting, coefficients, results and record come with the job's end."""
    work = context.services.get(AdoptionService).carry_out
    return await _carried_out(context, work, Asked(member_id, correlation_id, body))


@job(DERIVATION_JOB)
async def run_derivation(context: JobContext, member_id: UUID, correlation_id: str, body: str) -> dict[str, Any] | None:
    """Derive the coefficients of many stream-months anew: coefficients and results come with the job's end."""
    work = context.services.get(MethodService).carry_out
    return await _carried_out(context, work, Asked(member_id, correlation_id, body))


@job(CHOICE_JOB)
async def run_choice(context: JobContext, member_id: UUID, correlation_id: str, body: str) -> dict[str, Any] | None:
    """Choose what counts for a source of many stream-months: choice and results come with the job's end."""
    work = context.services.get(MethodService).carry_out_choice
    return await _carried_out(context, work, Asked(member_id, correlation_id, body))


async def _carried_out(context: JobContext, work: Given, asked: Asked) -> dict[str, Any] | None:
    async def effect(unit: UnitOfWork) -> dict[str, Any]:
        return await work(unit, asked, context.progress)

    answer = await context.finish(effect, long=True)
    return None if answer is None else dict(answer)

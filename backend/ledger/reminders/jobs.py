"""The daily job that reminds of surrender deadlines."""

from __future__ import annotations

from datetime import time
from typing import Any

from backend.kit.database import UnitOfWork
from backend.kit.jobs.context import JobContext
from backend.kit.jobs.registry import job
from backend.kit.jobs.schedules import Daily
from backend.ledger.reminders.service import ReminderService


@job("ledger.remind", schedule=Daily(time(6, 0)))
async def remind(context: JobContext) -> dict[str, Any] | None:
    """Make what is due together with the end of the job; what was made before is not made again."""
    service = context.services.get(ReminderService)

    async def effect(unit: UnitOfWork) -> dict[str, Any]:
        return {"reminders": await service.remind(unit)}

    answer = await context.finish(effect)
    return None if answer is None else dict(answer)

"""The job that ends a reservation at its deadline, and the one that sees to those it missed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from backend.kit.database import UnitOfWork
from backend.kit.jobs.context import JobContext
from backend.kit.jobs.registry import job
from backend.kit.jobs.schedules import Every
from backend.ledger.reservations.service import EXPIRE_JOB, ReservationService


@job(EXPIRE_JOB)
async def expire_reservation(context: JobContext, reservation_id: UUID) -> dict[str, Any] | None:
    """Give the units back, once, together with the end of the job; nothing to do when somebody was quicker."""
    service = context.services.get(ReservationService)

    async def effect(unit: UnitOfWork) -> dict[str, Any]:
        return {"expired": await service.expire(unit, reservation_id)}

    answer = await context.finish(effect)
    return None if answer is None else dict(answer)


@job("ledger.expire_reservations", schedule=Every(timedelta(hours=1)))
async def expire_overdue_reservations(context: JobContext) -> dict[str, Any]:
    """End reservations that stand beyond their deadline."""
    return {"expired": await context.services.get(ReservationService).expire_overdue(context.tenant_id)}

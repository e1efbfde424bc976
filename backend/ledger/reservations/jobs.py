"""The job that ends a reservation at its deadline."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from backend.kit.database import UnitOfWork
from backend.kit.jobs.context import JobContext
from backend.kit.jobs.registry import job
from backend.ledger.reservations.service import EXPIRE_JOB, ReservationService


@job(EXPIRE_JOB)
async def expire_reservation(context: JobContext, reservation_id: UUID) -> dict[str, Any] | None:
    """Give the units back, once, together with the end of the job; nothing to do when somebody was quicker."""
    service = context.services.get(ReservationService)

    async def effect(unit: UnitOfWork) -> dict[str, Any]:
        return {"expired": await service.expire(unit, reservation_id)}

    answer = await context.finish(effect)
    return None if answer is None else dict(answer)

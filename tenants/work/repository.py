"""All SQL of the people's side of the queue: what they may see, and what they may ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, func, or_, select
from sqlalchemy.exc import IntegrityError

from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.jobs.domain import CHANNEL, JOB_ALREADY_QUEUED, Job, JobState
from backend.kit.jobs.tables import job, scheduled_run
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from tenants.access import Permission, Principal, within

_DUE: Final = (
    select(scheduled_run.c.due_at)
    .where(scheduled_run.c.tenant_id == job.c.tenant_id, scheduled_run.c.job_id == job.c.id)
    .scalar_subquery()
)
_JOB: Final[Select[Any]] = select(
    job.c.id,
    job.c.name,
    job.c.organisation_id,
    job.c.created_by,
    job.c.state,
    job.c.attempts,
    job.c.max_attempts,
    job.c.progress_done,
    job.c.progress_total,
    job.c.progress_note,
    job.c.error_code,
    job.c.error_en,
    job.c.error_zh,
    job.c.cancel_requested_at.isnot(None).label("cancel_requested"),
    job.c.created_at,
    job.c.run_at,
    job.c.started_at,
    job.c.finished_at,
    _DUE.label("scheduled_for"),
)
_FREED: Final = {"lease_token": None, "lease_until": None}


def _job(row: Row[Any]) -> Job:
    return Job(**{**row._mapping, "state": JobState(row.state)})  # noqa: SLF001 - the public name of a row's mapping


def _visible(principal: Principal) -> ColumnElement[bool]:
    """Whoever may see an organisation's totals may see the work on them; and everybody their own."""
    return or_(
        within(principal, Permission.TOTALS_READ, job.c.organisation_id), job.c.created_by == principal.member_id
    )


async def jobs(session: ReadSession, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Job]:
    """By id, those the caller may see."""
    rows = await session.rows(_JOB.where(job.c.id.in_(keys), _visible(principal)))
    return {row.id: _job(row) for row in rows}


async def page_of_jobs(
    session: ReadSession, principal: Principal, request: PageRequest, state: JobState | None, *, scheduled: bool | None
) -> Page[Job]:
    """Those the caller may see, newest first; with `scheduled` only runs of schedules, or only what was asked for."""
    statement = _JOB.where(_visible(principal))
    if state is not None:
        statement = statement.where(job.c.state == state.value)
    if scheduled is not None:
        statement = statement.where(_DUE.isnot(None) if scheduled else _DUE.is_(None))
    rows = [_job(row) for row in await session.rows(keyset(statement, request, job.c.id, latest_first=True))]
    return Page.cut(rows, request, lambda j: (j.id,))


async def locked(unit: UnitOfWork, principal: Principal, key: UUID) -> Job | None:
    """One job, still until the end of this transaction; None when the caller may not see it."""
    row = await unit.first(_JOB.where(job.c.id == key, _visible(principal)).with_for_update())
    return None if row is None else _job(row)


async def cancel_queued(unit: UnitOfWork, key: UUID) -> None:
    moment = func.clock_timestamp()
    values = {"state": JobState.CANCELLED.value, "cancel_requested_at": moment, "finished_at": moment}
    await unit.execute(job.update().where(job.c.id == key).values(_FREED | values))


async def ask_to_cancel(unit: UnitOfWork, key: UUID) -> None:
    await unit.execute(job.update().where(job.c.id == key).values(cancel_requested_at=func.clock_timestamp()))


async def queue_again(unit: UnitOfWork, key: UUID) -> None:
    """Errors: JOB_ALREADY_QUEUED."""
    values = {
        "state": JobState.QUEUED.value,
        "attempts": 0,
        "run_at": func.now(),
        "finished_at": None,
        "cancel_requested_at": None,
    }
    try:
        await unit.execute(job.update().where(job.c.id == key).values(values))
    except IntegrityError as error:
        raise translate(error, {"job_deduplication": JOB_ALREADY_QUEUED}) from error
    await unit.execute("SELECT pg_notify(:channel, '')", {"channel": CHANNEL})

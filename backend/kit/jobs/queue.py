"""All SQL of the worker's side: who gets which job, and what became of it.

Everything but the effect of a job is written here bound to no tenant, by the worker role, to the table of jobs alone.
Each write is fenced by the token of the lease: who has lost the lease changes nothing. Leases run by the clock of the
database, so the clocks of the workers need not agree.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Update, and_, case, func, null, select

from backend.kit.database import Database, Parameters, UnitOfWork
from backend.kit.jobs.domain import JOB_WORKER_LOST, Claim, JobState, Pace, Progress, Reason, Started
from backend.kit.jobs.registry import Answer
from backend.kit.jobs.tables import job

# One look at each tenant that has something waiting (a skip scan), its first few due jobs, and of those the ones whose
# tenant has had the fewest turns: what a tenant has under way counts as turns it has had. The cost is that of the
# tenants that wait, not of the jobs that wait.
_CLAIM: Final = """
WITH RECURSIVE waiting AS (
  (SELECT tenant_id FROM job WHERE state = 'QUEUED' ORDER BY tenant_id LIMIT 1)
  UNION ALL
  SELECT (SELECT j.tenant_id FROM job j WHERE j.state = 'QUEUED' AND j.tenant_id > w.tenant_id
          ORDER BY j.tenant_id LIMIT 1)
  FROM waiting w WHERE w.tenant_id IS NOT NULL
),
under_way AS (
  SELECT tenant_id, count(*) AS jobs FROM job WHERE lease_until IS NOT NULL GROUP BY tenant_id
),
due AS (
  SELECT w.tenant_id, d.id, d.run_at,
         coalesce(u.jobs, 0) + row_number() OVER (PARTITION BY w.tenant_id ORDER BY d.run_at, d.id) AS turn
  FROM waiting w
  JOIN tenant t ON t.id = w.tenant_id AND t.status = 'ACTIVE'
  LEFT JOIN under_way u ON u.tenant_id = w.tenant_id
  CROSS JOIN LATERAL (
    SELECT j.id, j.run_at FROM job j
    WHERE j.tenant_id = w.tenant_id AND j.state = 'QUEUED' AND j.run_at <= now()
      AND (j.lease_until IS NULL OR j.lease_until < now())
    ORDER BY j.run_at, j.id LIMIT CAST(:room AS integer) * 2
  ) d
),
chosen AS (
  SELECT j.tenant_id, j.id FROM job j JOIN due USING (tenant_id, id)
  WHERE j.state = 'QUEUED' AND (j.lease_until IS NULL OR j.lease_until < now())
  ORDER BY due.turn, due.run_at, j.id
  LIMIT CAST(:room AS integer) FOR UPDATE OF j SKIP LOCKED
)
UPDATE job SET lease_token = gen_random_uuid(), lease_until = now() + CAST(:lease AS interval)
FROM chosen WHERE job.tenant_id = chosen.tenant_id AND job.id = chosen.id
RETURNING job.tenant_id, job.id, job.lease_token
"""

# Whoever had these is dead or cut off. What has attempts left waits for its next turn at once.
_TAKE_BACK: Final = """
WITH lost AS (
  SELECT tenant_id, id,
         CASE WHEN cancel_requested_at IS NOT NULL THEN 'CANCELLED'
              WHEN attempts >= max_attempts THEN 'FAILED' ELSE 'QUEUED' END AS next
  FROM job WHERE state = 'RUNNING' AND lease_until < now()
  ORDER BY lease_until LIMIT 200 FOR UPDATE SKIP LOCKED
)
UPDATE job SET
  state = lost.next, lease_token = NULL, lease_until = NULL, run_at = now(),
  finished_at = CASE WHEN lost.next <> 'QUEUED' THEN clock_timestamp() END,
  error_code = CAST(:code AS text),
  error_en = replace(CAST(:en AS text), '#', job.attempts::text),
  error_zh = replace(CAST(:zh AS text), '#', job.attempts::text)
FROM lost WHERE job.tenant_id = lost.tenant_id AND job.id = lost.id
"""
_ON_THE_WAY: Final = "SELECT count(*) FROM job WHERE state = 'QUEUED' AND lease_until >= now()"

_FREED: Final = {"lease_token": None, "lease_until": None}


class LeaseLostError(Exception):
    """The lease ran out and somebody else may have the job: whatever was about to be written must not be."""


class Queue:
    """The table of jobs, as a worker works it."""

    def __init__(self, database: Database, pace: Pace) -> None:
        self.database = database
        self.pace = pace

    async def claim(self, room: int) -> list[Claim]:
        """Lease up to `room` due jobs, the tenants in turn; each is now on its way to a worker."""
        given = {"room": room, "lease": timedelta(seconds=self.pace.sent_lease_s)}

        async def work(unit: UnitOfWork) -> list[Claim]:
            return [Claim(r.tenant_id, r.id, r.lease_token) for r in await unit.rows(_CLAIM, given)]

        return await self.database.write(None, work)

    async def on_the_way(self) -> int:
        """How many jobs have been sent and not been started."""
        async with self.database.read(None) as session:
            return int(await session.scalar(_ON_THE_WAY))

    async def take_back(self) -> int:
        """Free the running jobs whose lease has run out: to be done again, or given up; how many there were."""
        lost = JOB_WORKER_LOST(attempt="#")
        given = {"code": lost.code.name, "en": lost.message("en"), "zh": lost.message("zh-CN")}
        return await self._write(_TAKE_BACK, given)

    async def release(self, claim: Claim) -> None:
        """Give back what was claimed and not started."""
        await self._write(_held(claim, JobState.QUEUED).values(_FREED))

    async def start(self, claim: Claim) -> Started | None:
        """Take up a claim; None when it is stale, or was taken up already: the message came late or twice."""
        statement = (
            _held(claim, JobState.QUEUED)
            .values(
                state=JobState.RUNNING.value,
                attempts=job.c.attempts + 1,
                started_at=func.now(),
                lease_until=func.now() + timedelta(seconds=self.pace.lease_s),
                progress_done=0,
                progress_total=None,
                progress_note="",
            )
            .returning(job.c.name, job.c.arguments, job.c.attempts, job.c.max_attempts)
        )

        async def work(unit: UnitOfWork) -> Started | None:
            row = await unit.first(statement)
            return None if row is None else Started(claim, row.name, row.arguments, row.attempts, row.max_attempts)

        return await self.database.write(None, work)

    async def extend(self, claim: Claim, progress: Progress | None = None) -> bool:
        """Keep the lease, write the progress down; whether somebody asked to cancel. Errors: LeaseLostError."""
        values: dict[str, Any] = {"lease_until": func.now() + timedelta(seconds=self.pace.lease_s)}
        if progress is not None:
            values |= {
                "progress_done": progress.done,
                "progress_total": progress.total,
                "progress_note": progress.note,
            }
        statement = _held(claim).values(values).returning(job.c.cancel_requested_at)

        async def work(unit: UnitOfWork) -> bool:
            row = await unit.first(statement)
            if row is None:
                raise LeaseLostError
            return row.cancel_requested_at is not None

        return await self.database.write(None, work)

    async def succeed(self, claim: Claim, answer: Answer) -> None:
        """Mark done a job whose effect, if it has one, is written. Errors: LeaseLostError."""

        async def work(unit: UnitOfWork) -> None:
            await mark_done(unit, claim, answer)

        await self.database.write(None, work)

    async def fail(self, started: Started, reason: Reason, *, for_good: bool) -> None:
        """After a failed attempt: to be done again later, or given up for the last reason."""
        for_good = for_good or started.attempts >= started.max_attempts
        said = {"error_code": reason.code, "error_en": reason.en, "error_zh": reason.zh}
        if for_good:
            values = {"state": JobState.FAILED.value, "finished_at": func.clock_timestamp()}
        else:
            values = _again(after=timedelta(seconds=self.pace.backoff_s(started.attempts)))
        await self._write(_held(started.claim).values(_FREED | said | values))

    async def put_back(self, claim: Claim) -> None:
        """The attempt was broken off through no fault of its own; it does not count."""
        values = _again(after=timedelta()) | {"attempts": job.c.attempts - 1}
        await self._write(_held(claim).values(_FREED | values))

    async def cancel(self, claim: Claim) -> None:
        """The running job was stopped on request."""
        values = {"state": JobState.CANCELLED.value, "finished_at": func.clock_timestamp()}
        await self._write(_held(claim).values(_FREED | values))

    async def _write(self, statement: Update | str, parameters: Parameters | None = None) -> int:
        async def work(unit: UnitOfWork) -> int:
            return await unit.execute(statement, parameters)

        return await self.database.write(None, work)


async def hold(unit: UnitOfWork, claim: Claim) -> None:
    """Lock the job for this transaction, so that nobody takes it over before the effect is written.

    Errors: LeaseLostError.
    """
    row = await unit.first(select(job.c.id).where(_is_held(claim, JobState.RUNNING)).with_for_update())
    if row is None:
        raise LeaseLostError


async def mark_done(unit: UnitOfWork, claim: Claim, answer: Answer) -> None:
    """Mark the job done in this transaction. Errors: LeaseLostError."""
    values = {
        "state": JobState.SUCCEEDED.value,
        "finished_at": func.clock_timestamp(),
        "result": null() if answer is None else dict(answer),
        "error_code": None,
        "error_en": "",
        "error_zh": "",
    }
    if not await unit.execute(_held(claim).values(_FREED | values)):
        raise LeaseLostError


def _again(*, after: timedelta) -> dict[str, Any]:
    """Back into the queue; what somebody asked to cancel meanwhile is cancelled instead."""
    asked = job.c.cancel_requested_at.isnot(None)
    return {
        "state": case((asked, JobState.CANCELLED.value), else_=JobState.QUEUED.value),
        "finished_at": case((asked, func.clock_timestamp())),
        "run_at": func.clock_timestamp() + after,
    }


def _held(claim: Claim, state: JobState = JobState.RUNNING) -> Update:
    return job.update().where(_is_held(claim, state))


def _is_held(claim: Claim, state: JobState) -> ColumnElement[bool]:
    return and_(
        job.c.tenant_id == claim.tenant_id,
        job.c.id == claim.job_id,
        job.c.lease_token == claim.token,
        job.c.state == state.value,
    )

"""Starts the periodic jobs that are due, of every active tenant, once each whoever else is looking.

A run is a row under schedule, tenant and due moment, written with its job in one transaction: there are both, or
neither. Only the latest due moment is looked at, so what was missed while nobody worked is made up once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from backend.kit.clock import Clock
from backend.kit.database import Database, ReadSession, UnitOfWork
from backend.kit.ids import uuid7
from backend.kit.jobs.domain import CHANNEL, JobState
from backend.kit.jobs.schedules import Schedule

log = structlog.get_logger()

LOOK_S: Final = 15.0
"""Between two looks at what is due."""
BATCH: Final = 1000
ALL: Final = "all"
_KEY: Final = "scheduled"

# Whoever looks meanwhile leaves it to us: what it would start, we start.
_TURN: Final = "SELECT pg_try_advisory_xact_lock(hashtextextended('scheduled_run', 0))"
# A tenant is due from its first due moment on; a run waits for the one before it.
_DUE: Final = """
SELECT t.id AS tenant_id, d.schedule, d.due_at
FROM unnest(CAST(:names AS text[]), CAST(:moments AS timestamptz[])) AS d (schedule, due_at)
JOIN tenant t ON t.status = 'ACTIVE' AND t.created_at < d.due_at
WHERE NOT EXISTS (SELECT FROM scheduled_run r
                  WHERE r.tenant_id = t.id AND r.schedule = d.schedule AND r.due_at >= d.due_at)
  AND NOT EXISTS (SELECT FROM job j
                  WHERE j.tenant_id = t.id AND j.name = d.schedule AND j.deduplication_key = :key
                    AND j.deduplication_key IS NOT NULL AND j.state IN ('QUEUED', 'RUNNING'))
ORDER BY d.due_at, d.schedule, t.id LIMIT CAST(:most AS integer)
"""
_JOBS: Final = """
INSERT INTO job (tenant_id, id, name, deduplication_key)
SELECT r.tenant_id, r.id, r.schedule, :key
FROM unnest(CAST(:tenants AS uuid[]), CAST(:ids AS uuid[]), CAST(:names AS text[])) AS r (tenant_id, id, schedule)
"""
_RUNS: Final = """
INSERT INTO scheduled_run (tenant_id, schedule, due_at, job_id)
SELECT r.tenant_id, r.schedule, r.due_at, r.id
FROM unnest(CAST(:tenants AS uuid[]), CAST(:ids AS uuid[]), CAST(:names AS text[]), CAST(:moments AS timestamptz[]))
  AS r (tenant_id, id, schedule, due_at)
"""
_LAST: Final = """
SELECT DISTINCT ON (r.schedule) r.schedule, r.due_at, j.state, j.finished_at, j.result, j.error_code
FROM scheduled_run r JOIN job j ON j.tenant_id = r.tenant_id AND j.id = r.job_id
ORDER BY r.schedule, r.due_at DESC
"""
_PRUNE: Final = "SELECT prune_jobs(CAST(:before AS timestamptz), CAST(:most AS integer))"


class Scheduler:
    """One per worker process; any number may run at once."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        schedules: Mapping[str, Schedule],
        ring: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._schedules = schedules
        self._ring = ring

    async def run(self) -> None:
        """Until cancelled. Survives the absence of the database."""
        while self._schedules:
            started = BATCH
            try:
                while started == BATCH:
                    started = await self.start_due()
            except Exception:
                log.warning("periodic jobs could not be started", exc_info=True)
            await asyncio.sleep(LOOK_S)

    async def start_due(self) -> int:
        """Start what is due now and has not been started; how many runs."""
        now = self._clock.now()
        moments = {name: schedule.last(now) for name, schedule in self._schedules.items()}

        async def work(unit: UnitOfWork) -> int:
            if not await unit.scalar(_TURN):
                return 0
            asked = {"names": list(moments), "moments": list(moments.values()), "key": _KEY, "most": BATCH}
            due = await unit.rows(_DUE, asked)
            if due:
                await _start(unit, due)
            return len(due)

        started = await self._database.write(None, work)
        if started:
            self._ring()
        return started


async def _start(unit: UnitOfWork, due: Sequence[Any]) -> None:
    rows = {
        "tenants": [r.tenant_id for r in due],
        "ids": [uuid7() for _ in due],
        "names": [r.schedule for r in due],
    }
    await unit.execute(_JOBS, rows | {"key": _KEY})
    await unit.execute(_RUNS, rows | {"moments": [r.due_at for r in due]})
    await unit.execute("SELECT pg_notify(:channel, '')", {"channel": CHANNEL})


@dataclass(frozen=True, slots=True)
class LastRun:
    """The latest run of a schedule in a tenant: when it was due, and what became of it."""

    due_at: datetime
    state: JobState
    finished_at: datetime | None
    result: Mapping[str, Any] | None
    error_code: str | None


async def last_runs(session: ReadSession) -> dict[str, LastRun]:
    """By schedule, of the tenant the session is bound to."""
    return {
        r.schedule: LastRun(r.due_at, JobState(r.state), r.finished_at, r.result, r.error_code)
        for r in await session.rows(_LAST)
    }


async def prune(unit: UnitOfWork, finished_before: datetime, most: int) -> int:
    """Delete jobs of the tenant that ended before a moment and that no record refers to; how many."""
    return int(await unit.scalar(_PRUNE, {"before": finished_before, "most": most}))


def wanted(schedules: Mapping[str, Schedule], off: frozenset[str]) -> dict[str, Schedule]:
    """Those that are not switched off by name, or all by `all`."""
    unknown = off - schedules.keys() - {ALL}
    if unknown:
        log.warning("no such schedule to switch off", names=sorted(unknown))
    return {} if ALL in off else {name: found for name, found in schedules.items() if name not in off}

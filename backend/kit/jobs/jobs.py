"""The job that keeps the table of jobs short."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any, Final

from backend.kit.jobs.context import JobContext
from backend.kit.jobs.registry import job
from backend.kit.jobs.scheduler import prune
from backend.kit.jobs.schedules import Daily

KEPT: Final = timedelta(days=90)
"""How long a finished job is kept after its end; one that a record refers to is kept as long as that."""
SLICE: Final = 5_000


@job("jobs.prune", schedule=Daily(time(3, 30)))
async def prune_jobs(context: JobContext) -> dict[str, Any]:
    """Delete finished jobs that are older than `KEPT`, a slice at a time."""
    toolbox, pruned = context.services.toolbox, 0
    before = toolbox.clock.now() - KEPT
    while gone := await toolbox.database.write(context.tenant_id, lambda unit: prune(unit, before, SLICE)):
        pruned += gone
        await context.progress(pruned)
    return {"pruned": pruned}

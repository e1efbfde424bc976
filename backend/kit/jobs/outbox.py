"""Putting a job into the queue, in the transaction whose consequence it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert

from backend.kit.database import UnitOfWork
from backend.kit.ids import uuid7
from backend.kit.jobs.domain import CHANNEL
from backend.kit.jobs.tables import job

Argument = UUID | str | int | bool | None

# Spelled as in the index: a predicate with parameters is not recognised.
_UNFINISHED: Final = text("deduplication_key IS NOT NULL AND state IN ('QUEUED', 'RUNNING')")
_EARLIER: Final = """
SELECT id FROM job
WHERE name = :name AND deduplication_key = :key AND state IN ('QUEUED', 'RUNNING') AND tenant_id = :tenant_id
"""
DEFAULT_ATTEMPTS: Final = 5


async def enqueue(
    unit: UnitOfWork,
    name: str,
    arguments: Mapping[str, Argument],
    *,
    organisation_id: UUID | None,
    created_by: UUID | None = None,
    deduplication_key: str | None = None,
    run_at: datetime | None = None,
    max_attempts: int = DEFAULT_ATTEMPTS,
) -> UUID:
    """Ask for `name` to be done once this transaction has been committed, not before `run_at`; the job's id.

    Arguments are ids and plain values: the job reads the rest when it runs. With a `deduplication_key`, while a job of
    that name and key is queued or running, that job's id is answered and nothing is written. `organisation_id` and
    `created_by` say who may see it. The NOTIFY is delivered by the commit; where none is heard, the relay polls.
    """
    row: dict[str, Any] = {
        "tenant_id": unit.tenant_id,
        "id": uuid7(),
        "name": name,
        "arguments": {key: str(value) if isinstance(value, UUID) else value for key, value in arguments.items()},
        "organisation_id": organisation_id,
        "created_by": created_by,
        "deduplication_key": deduplication_key,
        "max_attempts": max_attempts,
    }
    if run_at is not None:
        row["run_at"] = run_at
    statement = (
        insert(job)
        .values(row)
        .on_conflict_do_nothing(
            index_elements=["tenant_id", "name", "deduplication_key"],
            index_where=_UNFINISHED,
        )
        .returning(job.c.id)
    )
    while True:
        key = await unit.scalar(statement)
        if key is not None:
            await unit.execute("SELECT pg_notify(:channel, '')", {"channel": CHANNEL})
            return UUID(int=key.int)
        # The one that stood in the way may end between the two statements; then the way is free.
        key = await unit.scalar(_EARLIER, {"tenant_id": unit.tenant_id, "name": name, "key": deduplication_key})
        if key is not None:
            return UUID(int=key.int)

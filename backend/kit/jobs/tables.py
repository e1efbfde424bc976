"""The table of jobs, and which of them are runs of a schedule. The migrations hold constraints, policies and the order
of states.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, ForeignKeyConstraint, Integer, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB

from backend.kit.tables import belongs_to, tenant_table


def _moment(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True))


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


job = tenant_table(
    "job",
    Column("id", Uuid),
    Column("name", Text, nullable=False),
    Column("arguments", JSONB, nullable=False, server_default="{}"),
    Column("organisation_id", Uuid),
    Column("created_by", Uuid),
    Column("deduplication_key", Text),
    Column("state", Text, nullable=False, server_default="QUEUED"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("max_attempts", Integer, nullable=False, server_default="5"),
    Column("run_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("lease_token", Uuid),
    _moment("lease_until"),
    _moment("cancel_requested_at"),
    Column("progress_done", BigInteger, nullable=False, server_default="0"),
    Column("progress_total", BigInteger),
    _text("progress_note"),
    Column("result", JSONB),
    Column("error_code", Text),
    _text("error_en"),
    _text("error_zh"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    _moment("started_at"),
    _moment("finished_at"),
    belongs_to("organisation", "organisation_id"),
    belongs_to("member", "created_by"),
)

scheduled_run = tenant_table(
    "scheduled_run",
    Column("schedule", Text),
    Column("due_at", DateTime(timezone=True)),
    Column("job_id", Uuid, nullable=False),
    ForeignKeyConstraint(["tenant_id", "job_id"], ["job.tenant_id", "job.id"], ondelete="CASCADE"),
    keys=("schedule", "due_at"),
)

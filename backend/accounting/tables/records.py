"""What was recorded."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, Column, Date, DateTime, ForeignKey, Integer, Numeric, SmallInteger, Text, Uuid

from backend.kit.tables import belongs_to, moment, tenant_table, text_or_empty


def _record_columns() -> tuple[Column[Any], ...]:
    """What every kind of record has: its line, its batch, who recorded it and when, and how it was superseded."""
    return (
        Column("line_id", Uuid, nullable=False),
        Column("batch_id", Uuid, nullable=False),
        text_or_empty("evidence"),
        text_or_empty("note"),
        moment("recorded_at"),
        Column("recorded_by", Uuid, nullable=False),
        Column("superseded_at", DateTime(timezone=True)),
        Column("superseded_because", Text),
    )


activity_batch = tenant_table(
    "activity_batch",
    Column("id", Uuid),
    Column("origin", Text, nullable=False),
    Column("entered_unit", Text, nullable=False),
    text_or_empty("evidence"),
    text_or_empty("note"),
    Column("lines", Integer, nullable=False),
    Column("line_id", Uuid),
    Column("recorded_by", Uuid, nullable=False),
    moment("recorded_at"),
)

activity_pack = tenant_table(
    "activity_pack",
    Column("stream_id", Uuid),
    Column("month", Date),
    Column("batch_id", Uuid),
    Column("first_line", Integer),
    Column("days", ARRAY(SmallInteger), nullable=False),
    Column("quantities", ARRAY(Numeric(27, 12)), nullable=False),
    Column("source_rows", ARRAY(Integer)),
    Column("quantity", Numeric(38, 12), nullable=False),
    keys=("stream_id", "month", "batch_id", "first_line"),
)

activity_withdrawal = tenant_table(
    "activity_withdrawal",
    Column("batch_id", Uuid),
    Column("line", Integer),
    Column("stream_id", Uuid, nullable=False),
    Column("month", Date, nullable=False),
    Column("quantity", Numeric(38, 12), nullable=False),
    moment("at"),
    Column("because", Text, nullable=False),
    Column("withdrawn_by", Uuid, nullable=False),
    belongs_to("activity_batch", "batch_id"),
    belongs_to("emission_stream", "stream_id"),
    keys=("batch_id", "line"),
)

declared_result = tenant_table(
    "declared_result",
    Column("id", Uuid),
    Column("source_id", Uuid, nullable=False),
    Column("first_month", Date, nullable=False),
    Column("months", SmallInteger, nullable=False),
    Column("gas", Text, nullable=False),
    Column("mass_t", Numeric(38, 12), nullable=False),
    Column("method", Text, nullable=False),
    Column("gwp_set", Text, nullable=False),
    Column("gwp", Numeric, nullable=False),
    Column("gwp_factor_id", Uuid, ForeignKey("factor.id")),
    Column("co2e_t", Numeric(38, 9), nullable=False),
    *_record_columns(),
    belongs_to("emission_source", "source_id"),
)

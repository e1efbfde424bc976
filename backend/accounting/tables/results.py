"""What follows from the records."""

from __future__ import annotations

from sqlalchemy import Column, Date, DateTime, Integer, Numeric, Text, Uuid

from backend.kit.tables import tenant_table

stream_month = tenant_table(
    "stream_month",
    Column("stream_id", Uuid),
    Column("month", Date),
    Column("source_id", Uuid, nullable=False),
    Column("organisation_id", Uuid, nullable=False),
    Column("category", Text, nullable=False),
    Column("direct_kind", Text),
    Column("coefficient_id", Uuid),
    Column("quantity", Numeric(38, 12), nullable=False),
    Column("co2e_t", Numeric(38, 9), nullable=False),
    Column("records", Integer, nullable=False),
    Column("last_recorded_at", DateTime(timezone=True), nullable=False),
    keys=("stream_id", "month"),
)

"""What streams are accounted by besides the library, and which method of a source counts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Date, DateTime, Numeric, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from backend.kit.tables import belongs_to, moment, tenant_table, text_or_empty


def superseded_columns() -> tuple[Column[Any], ...]:
    """Who recorded a row and when, and how it was superseded."""
    return (
        Column("recorded_by", Uuid, nullable=False),
        moment("recorded_at"),
        Column("superseded_at", DateTime(timezone=True)),
        Column("superseded_because", Text),
    )


stream_basis = tenant_table(
    "stream_basis",
    Column("id", Uuid),
    Column("stream_id", Uuid, nullable=False),
    Column("method", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("parameters", JSONB, nullable=False),
    text_or_empty("gas"),
    text_or_empty("formula"),
    Column("first_month", Date, nullable=False),
    Column("last_month", Date),
    text_or_empty("reason"),
    text_or_empty("evidence"),
    Column("went_back_by", Uuid),
    *superseded_columns(),
    belongs_to("emission_stream", "stream_id"),
)

source_method = tenant_table(
    "source_method",
    Column("id", Uuid),
    Column("source_id", Uuid, nullable=False),
    Column("first_month", Date, nullable=False),
    Column("last_month", Date),
    Column("method", Text, nullable=False),
    text_or_empty("reason"),
    *superseded_columns(),
    belongs_to("emission_source", "source_id"),
)

divergence_threshold = tenant_table(
    "divergence_threshold",
    Column("id", Uuid),
    Column("source_id", Uuid, nullable=False),
    Column("share", Numeric, nullable=False),
    Column("reason", Text, nullable=False),
    *superseded_columns(),
    belongs_to("emission_source", "source_id"),
)

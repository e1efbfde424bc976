"""What follows from the records."""

from __future__ import annotations

from sqlalchemy import Column, Date, Integer, Numeric, SmallInteger, Text, Uuid

from backend.kit.tables import belongs_to, moment, tenant_table

stream_month = tenant_table(
    "stream_month",
    Column("stream_id", Uuid),
    Column("month", Date),
    Column("coefficient_id", Uuid, nullable=False),
    Column("quantity", Numeric(38, 12), nullable=False, server_default="0"),
    Column("co2e_t", Numeric(38, 9), nullable=False, server_default="0"),
    Column("records", Integer, nullable=False, server_default="0"),
    moment("last_recorded_at"),
    belongs_to("emission_stream", "stream_id"),
    belongs_to("stream_coefficient", "coefficient_id"),
    keys=("stream_id", "month"),
)

source_month = tenant_table(
    "source_month",
    Column("source_id", Uuid),
    Column("first_month", Date),
    Column("months", SmallInteger),
    Column("gas", Text),
    Column("origin", Text),
    Column("organisation_id", Uuid, nullable=False),
    Column("category", Text, nullable=False),
    Column("direct_kind", Text),
    Column("mass_t", Numeric(38, 12), nullable=False, server_default="0"),
    Column("co2e_t", Numeric(38, 9), nullable=False, server_default="0"),
    Column("records", Integer, nullable=False, server_default="0"),
    moment("last_recorded_at"),
    belongs_to("emission_source", "source_id"),
    keys=("source_id", "first_month", "months", "gas", "origin"),
)

"""Sources, their streams, and what the streams are accounted by."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, DateTime, ForeignKey, ForeignKeyConstraint, Integer, Numeric, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from backend.kit.tables import belongs_to, moment, tenant_table, text_or_empty

emission_source = tenant_table(
    "emission_source",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("name_zh", Text, nullable=False),
    text_or_empty("name_en"),
    Column("category", Text, nullable=False),
    Column("direct_kind", Text),
    Column("unit_id", Uuid),
    Column("device_id", Uuid),
    Column("subtype", Text),
    Column("evidence_required", Boolean, nullable=False, server_default="false"),
    moment("created_at"),
    belongs_to("organisation", "organisation_id"),
    ForeignKeyConstraint(
        ["tenant_id", "organisation_id", "unit_id"],
        ["emission_unit.tenant_id", "emission_unit.organisation_id", "emission_unit.id"],
    ),
    ForeignKeyConstraint(
        ["tenant_id", "organisation_id", "unit_id", "device_id"],
        [
            "emission_device.tenant_id",
            "emission_device.organisation_id",
            "emission_device.unit_id",
            "emission_device.id",
        ],
    ),
)

emission_stream = tenant_table(
    "emission_stream",
    Column("id", Uuid),
    Column("source_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    text_or_empty("name_zh"),
    text_or_empty("name_en"),
    Column("material", Text),
    Column("flow", Text, nullable=False),
    Column("programme", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("gas", Text, nullable=False),
    Column("factor_set", Text),
    Column("region", Text, ForeignKey("factor_region.code")),
    Column("factor_year", Integer),
    text_or_empty("technology"),
    Column("own_factor", Numeric),
    text_or_empty("own_factor_source"),
    Column("cadence", Text, nullable=False, server_default="MONTHLY"),
    Column("evidence_required", Boolean, nullable=False, server_default="false"),
    moment("created_at"),
    belongs_to("emission_source", "source_id"),
)

stream_coefficient = tenant_table(
    "stream_coefficient",
    Column("id", Uuid),
    Column("stream_id", Uuid, nullable=False),
    Column("method", Text, nullable=False),
    Column("first_month", Date, nullable=False),
    Column("last_month", Date, nullable=False),
    Column("co2e_per_unit", Numeric(38, 18), nullable=False),
    Column("unit", Text, nullable=False),
    Column("gases", JSONB, nullable=False),
    Column("gwp_set", Text, nullable=False),
    Column("steps", JSONB, nullable=False),
    Column("kind", Text, nullable=False),
    Column("basis_id", Uuid),
    moment("recorded_at"),
    Column("superseded_at", DateTime(timezone=True)),
    Column("superseded_because", Text),
    belongs_to("emission_stream", "stream_id"),
    belongs_to("stream_basis", "basis_id"),
)

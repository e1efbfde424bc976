"""What is produced, what is aimed at, and what departs from it."""

from __future__ import annotations

from sqlalchemy import Column, Date, DateTime, ForeignKeyConstraint, Integer, Numeric, Text, Uuid

from backend.accounting.tables.methods import superseded_columns
from backend.kit.tables import belongs_to, moment, tenant_table, text_or_empty

product_output = tenant_table(
    "product_output",
    Column("id", Uuid),
    Column("line_id", Uuid, nullable=False),
    Column("organisation_id", Uuid, nullable=False),
    Column("unit_id", Uuid),
    Column("device_id", Uuid),
    Column("product", Text, nullable=False),
    Column("month", Date, nullable=False),
    Column("quantity", Numeric(38, 12), nullable=False),
    Column("unit", Text, nullable=False),
    text_or_empty("evidence"),
    text_or_empty("note"),
    *superseded_columns(),
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

emission_target = tenant_table(
    "emission_target",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("year", Integer, nullable=False),
    Column("category", Text),
    Column("product", Text),
    Column("value", Numeric, nullable=False),
    Column("unit", Text, nullable=False),
    Column("threshold", Numeric, nullable=False),
    text_or_empty("note"),
    *superseded_columns(),
    belongs_to("organisation", "organisation_id"),
)

deviation_finding = tenant_table(
    "deviation_finding",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("year", Integer, nullable=False),
    Column("category", Text),
    Column("product", Text),
    Column("target_id", Uuid),
    Column("compared", Numeric, nullable=False),
    Column("actual", Numeric, nullable=False),
    Column("unit", Text, nullable=False),
    Column("threshold", Numeric, nullable=False),
    Column("state", Text, nullable=False, server_default="OPEN"),
    Column("cause", Text),
    text_or_empty("analysis"),
    Column("found_by", Uuid, nullable=False),
    moment("found_at"),
    Column("closed_by", Uuid),
    Column("closed_at", DateTime(timezone=True)),
    belongs_to("organisation", "organisation_id"),
    belongs_to("emission_target", "target_id"),
)

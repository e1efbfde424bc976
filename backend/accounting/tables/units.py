"""Emission units, devices, and packs of a tenant's own."""

from __future__ import annotations

from sqlalchemy import Column, Date, ForeignKeyConstraint, Numeric, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from backend.kit.tables import belongs_to, moment, tenant_table, text_or_empty

emission_unit = tenant_table(
    "emission_unit",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("parent_id", Uuid),
    Column("code", Text, nullable=False),
    Column("name_zh", Text, nullable=False),
    text_or_empty("name_en"),
    text_or_empty("process"),
    Column("kind", Text, nullable=False),
    moment("created_at"),
    belongs_to("organisation", "organisation_id"),
    ForeignKeyConstraint(
        ["tenant_id", "organisation_id", "parent_id"],
        ["emission_unit.tenant_id", "emission_unit.organisation_id", "emission_unit.id"],
    ),
)

emission_device = tenant_table(
    "emission_device",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("unit_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("name_zh", Text, nullable=False),
    text_or_empty("name_en"),
    text_or_empty("device_type"),
    text_or_empty("model"),
    Column("capacity", Numeric),
    text_or_empty("capacity_unit"),
    text_or_empty("place"),
    Column("commissioned_on", Date),
    Column("decommissioned_on", Date),
    moment("created_at"),
    ForeignKeyConstraint(
        ["tenant_id", "organisation_id", "unit_id"],
        ["emission_unit.tenant_id", "emission_unit.organisation_id", "emission_unit.id"],
    ),
)

source_pack = tenant_table(
    "source_pack",
    Column("id", Uuid),
    Column("code", Text, nullable=False),
    Column("name_zh", Text, nullable=False),
    Column("content", JSONB, nullable=False),
    moment("created_at"),
    ForeignKeyConstraint(["tenant_id"], ["tenant.id"]),
)

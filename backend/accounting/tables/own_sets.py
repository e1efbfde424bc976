"""Factor sets of the tenant's own, their versions and values, and the adoption of sets by organisations."""

from __future__ import annotations

from sqlalchemy import Column, Date, DateTime, ForeignKey, ForeignKeyConstraint, Integer, Numeric, Text, Uuid

from backend.kit.tables import belongs_to, moment, tenant_table, text_or_empty

tenant_factor_set = tenant_table(
    "tenant_factor_set",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("name_zh", Text, nullable=False),
    text_or_empty("name_en"),
    Column("purpose", Text, nullable=False),
    Column("created_by", Uuid, nullable=False),
    moment("created_at"),
    belongs_to("organisation", "organisation_id"),
)

tenant_factor_version = tenant_table(
    "tenant_factor_version",
    Column("set_id", Uuid),
    Column("version", Integer),
    Column("state", Text, nullable=False, server_default="DRAFT"),
    text_or_empty("reason"),
    Column("drafted_by", Uuid, nullable=False),
    moment("drafted_at"),
    Column("proposed_by", Uuid),
    Column("proposed_at", DateTime(timezone=True)),
    Column("approved_by", Uuid),
    Column("approved_at", DateTime(timezone=True)),
    Column("ended_by", Uuid),
    Column("ended_at", DateTime(timezone=True)),
    text_or_empty("ended_because"),
    belongs_to("tenant_factor_set", "set_id"),
    keys=("set_id", "version"),
)


def _of_the_set(column: str) -> ForeignKeyConstraint:
    """A version of the same set."""
    names = ("tenant_id", "set_id", "version")
    return ForeignKeyConstraint(["tenant_id", "set_id", column], [f"tenant_factor_version.{n}" for n in names])


tenant_factor = tenant_table(
    "tenant_factor",
    Column("id", Uuid),
    Column("set_id", Uuid, nullable=False),
    Column("from_version", Integer, nullable=False),
    Column("until_version", Integer),
    Column("code", Text, nullable=False),
    Column("name_zh", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("parameter", Text, nullable=False),
    Column("value", Numeric, nullable=False),
    Column("unit", Text, nullable=False),
    Column("entered", Text, nullable=False),
    Column("region", Text, ForeignKey("factor_region.code"), nullable=False),
    Column("year", Integer),
    text_or_empty("technology"),
    Column("first_year", Integer),
    Column("last_year", Integer),
    Column("provenance", Text, nullable=False),
    text_or_empty("basis"),
    Column("source", Text, nullable=False),
    Column("recorded_by", Uuid, nullable=False),
    moment("recorded_at"),
    _of_the_set("from_version"),
    _of_the_set("until_version"),
)

factor_adoption = tenant_table(
    "factor_adoption",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("factor_set", Text),
    Column("from_month", Date, nullable=False),
    Column("to_month", Date),
    Column("reason", Text, nullable=False),
    Column("setting_id", Uuid),
    Column("changed_months", Integer, nullable=False),
    Column("before_t", Numeric(38, 9), nullable=False),
    Column("after_t", Numeric(38, 9), nullable=False),
    Column("adopted_by", Uuid, nullable=False),
    moment("adopted_at"),
    belongs_to("organisation", "organisation_id"),
    belongs_to("boundary_setting", "setting_id"),
)

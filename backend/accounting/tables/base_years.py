"""Base years: the policy, the value with its history, and what it is made of."""

from __future__ import annotations

from sqlalchemy import ARRAY, Boolean, Column, Date, DateTime, ForeignKeyConstraint, Integer, Numeric, Text, Uuid

from backend.accounting.tables.methods import superseded_columns
from backend.kit.tables import belongs_to, moment, tenant_table, text_or_empty


def _of_the_value() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id", "base_year_id", "version"],
        ["base_year_value.tenant_id", "base_year_value.base_year_id", "base_year_value.version"],
    )


base_year = tenant_table(
    "base_year",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("year", Integer, nullable=False),
    Column("approach", Text, nullable=False),
    Column("categories", ARRAY(Text), nullable=False),
    Column("threshold", Numeric, nullable=False),
    Column("triggers", ARRAY(Text), nullable=False),
    Column("reason", Text, nullable=False),
    *superseded_columns(),
    belongs_to("organisation", "organisation_id"),
)

base_year_value = tenant_table(
    "base_year_value",
    Column("base_year_id", Uuid),
    Column("version", Integer),
    Column("co2e_t", Numeric, nullable=False),
    Column("recalculation_id", Uuid),
    Column("made_by", Uuid, nullable=False),
    moment("made_at"),
    belongs_to("base_year", "base_year_id"),
    ForeignKeyConstraint(
        ["tenant_id", "recalculation_id"],
        ["base_year_recalculation.tenant_id", "base_year_recalculation.id"],
        use_alter=True,
    ),
    keys=("base_year_id", "version"),
)

base_year_line = tenant_table(
    "base_year_line",
    Column("base_year_id", Uuid),
    Column("version", Integer),
    Column("n", Integer),
    Column("organisation_id", Uuid, nullable=False),
    Column("source_id", Uuid, nullable=False),
    Column("stream_id", Uuid),
    Column("declared_line_id", Uuid),
    Column("first_month", Date, nullable=False),
    Column("quantity", Numeric(38, 12)),
    Column("coefficient_id", Uuid),
    Column("co2e_t", Numeric(38, 9), nullable=False),
    Column("part", Numeric, nullable=False),
    _of_the_value(),
    belongs_to("emission_source", "source_id"),
    keys=("base_year_id", "version", "n"),
)

base_year_recalculation = tenant_table(
    "base_year_recalculation",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("base_year_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("about_id", Uuid, nullable=False),
    Column("effect_t", Numeric, nullable=False),
    Column("base_t", Numeric, nullable=False),
    Column("above_threshold", Boolean, nullable=False),
    Column("state", Text, nullable=False, server_default="PROPOSED"),
    text_or_empty("reason"),
    Column("proposed_by", Uuid, nullable=False),
    moment("proposed_at"),
    Column("decided_by", Uuid),
    Column("decided_at", DateTime(timezone=True)),
    belongs_to("organisation", "organisation_id"),
    belongs_to("organisation", "about_id"),
    _of_the_value(),
)

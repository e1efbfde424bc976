"""Projects, the steps they went, their sinks and measurements, and what was claimed of them."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, ForeignKeyConstraint, Integer, Numeric, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from backend.kit.tables import belongs_to, moment, tenant_table, text_or_empty


def _recorded() -> tuple[Any, ...]:
    return (
        Column("recorded_by", Uuid, nullable=False),
        moment("recorded_at"),
        Column("superseded_at", DateTime(timezone=True)),
        Column("superseded_because", Text),
        belongs_to("carbon_project", "project_id"),
    )


carbon_project: Final = tenant_table(
    "carbon_project",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("regime", Text, nullable=False),
    Column("methodology", Text, nullable=False),
    text_or_empty("region"),
    Column("begun_on", Date, nullable=False),
    Column("crediting_from", Date, nullable=False),
    Column("crediting_to", Date, nullable=False),
    Column("in_allowance_scheme", Boolean, nullable=False, server_default="false"),
    Column("in_other_mechanism", Boolean, nullable=False, server_default="false"),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    text_or_empty("validator"),
    Column("created_by", Uuid, nullable=False),
    moment("created_at"),
    belongs_to("organisation", "organisation_id"),
)

project_event: Final = tenant_table(
    "project_event",
    Column("id", Uuid),
    Column("project_id", Uuid, nullable=False),
    Column("claim_number", Integer, nullable=False, server_default="0"),
    Column("number", Integer, nullable=False),
    Column("step", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("happened_on", Date, nullable=False),
    Column("documents", JSONB, nullable=False, server_default="{}"),
    text_or_empty("note"),
    Column("recorded_by", Uuid, nullable=False),
    moment("recorded_at"),
    belongs_to("carbon_project", "project_id"),
)

sink_stand: Final = tenant_table(
    "sink_stand",
    Column("id", Uuid),
    Column("project_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("species", Text, nullable=False),
    Column("area_mu", Numeric(18, 6), nullable=False),
    Column("effective_area_mu", Numeric(18, 6), nullable=False),
    Column("planted_on", Date, nullable=False),
    text_or_empty("planting_plan"),
    Column("expected_t_per_mu_year", Numeric(18, 9), nullable=False),
    *_recorded(),
)

monitoring_round: Final = tenant_table(
    "monitoring_round",
    Column("id", Uuid),
    Column("project_id", Uuid, nullable=False),
    Column("measured_on", Date, nullable=False),
    Column("stock_t", Numeric(27, 9), nullable=False),
    Column("uncertainty", Numeric(9, 6), nullable=False),
    Column("evidence", Text, nullable=False),
    *_recorded(),
)

project_claim: Final = tenant_table(
    "project_claim",
    Column("id", Uuid),
    Column("project_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("period_from", Date, nullable=False),
    Column("period_to", Date, nullable=False),
    Column("quantity_t", BigInteger, nullable=False),
    Column("verified_t", BigInteger),
    Column("validator", Text, nullable=False),
    text_or_empty("verifier"),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("lot_id", Uuid),
    Column("created_by", Uuid, nullable=False),
    moment("created_at"),
    ForeignKeyConstraint(
        ["tenant_id", "project_id", "validator"],
        ["carbon_project.tenant_id", "carbon_project.id", "carbon_project.validator"],
    ),
    belongs_to("asset_lot", "lot_id"),
)

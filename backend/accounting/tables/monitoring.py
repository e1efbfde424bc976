"""Monitoring plans, what they measure with, and what was read."""

from __future__ import annotations

from sqlalchemy import Column, Date, DateTime, ForeignKeyConstraint, Integer, Numeric, SmallInteger, Text, Uuid

from backend.kit.tables import belongs_to, moment, tenant_table, text_or_empty


def _of_the_site(table: str, column: str) -> ForeignKeyConstraint:
    """A reference that leaves neither the tenant nor the organisation."""
    return ForeignKeyConstraint(
        ["tenant_id", "organisation_id", column], [f"{table}.tenant_id", f"{table}.organisation_id", f"{table}.id"]
    )


instrument = tenant_table(
    "instrument",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("name_zh", Text, nullable=False),
    text_or_empty("name_en"),
    Column("instrument_type", Text, nullable=False),
    text_or_empty("model"),
    text_or_empty("serial"),
    text_or_empty("point"),
    Column("required_error", Numeric, nullable=False),
    moment("created_at"),
    belongs_to("organisation", "organisation_id"),
)

calibration = tenant_table(
    "calibration",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("instrument_id", Uuid, nullable=False),
    Column("done_on", Date, nullable=False),
    Column("valid_until", Date, nullable=False),
    Column("actual_error", Numeric, nullable=False),
    Column("certificate", Text, nullable=False),
    Column("recorded_by", Uuid, nullable=False),
    moment("recorded_at"),
    _of_the_site("instrument", "instrument_id"),
)

monitoring_plan = tenant_table(
    "monitoring_plan",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False, server_default="DRAFT"),
    text_or_empty("address"),
    text_or_empty("organisation_code"),
    text_or_empty("contact"),
    text_or_empty("organisation_boundary"),
    text_or_empty("accounting_boundary"),
    text_or_empty("other_matters"),
    Column("starts_on", Date, nullable=False),
    Column("ends_on", Date),
    Column("created_by", Uuid, nullable=False),
    moment("created_at"),
    Column("submitted_by", Uuid),
    Column("submitted_at", DateTime(timezone=True)),
    Column("approved_by", Uuid),
    Column("approved_at", DateTime(timezone=True)),
    belongs_to("organisation", "organisation_id"),
)

plan_parameter = tenant_table(
    "plan_parameter",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("plan_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("name_zh", Text, nullable=False),
    text_or_empty("name_en"),
    Column("table_row", SmallInteger),
    Column("kind", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("stream_id", Uuid),
    Column("instrument_id", Uuid),
    text_or_empty("data_source"),
    text_or_empty("method"),
    text_or_empty("standard"),
    text_or_empty("requirement"),
    text_or_empty("proof"),
    Column("frequency", Text, nullable=False),
    Column("due_days", SmallInteger, nullable=False),
    Column("lowest", Numeric),
    Column("highest", Numeric),
    Column("partner_code", Text),
    Column("tolerance", Numeric),
    _of_the_site("monitoring_plan", "plan_id"),
    _of_the_site("instrument", "instrument_id"),
    belongs_to("emission_stream", "stream_id"),
    ForeignKeyConstraint(
        ["tenant_id", "plan_id", "partner_code"],
        ["plan_parameter.tenant_id", "plan_parameter.plan_id", "plan_parameter.code"],
        deferrable=True,
        initially="DEFERRED",
    ),
)

parameter_reading = tenant_table(
    "parameter_reading",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("parameter_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("day", Date, nullable=False),
    text_or_empty("batch"),
    Column("value", Numeric, nullable=False),
    Column("weight", Numeric),
    text_or_empty("evidence"),
    text_or_empty("note"),
    Column("recorded_by", Uuid, nullable=False),
    moment("recorded_at"),
    Column("superseded_at", DateTime(timezone=True)),
    Column("superseded_because", Text),
    _of_the_site("plan_parameter", "parameter_id"),
)

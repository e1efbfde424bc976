"""Tables of the accounting slice, as its repository names them. The migrations hold the constraints and policies."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Integer,
    Numeric,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from backend.kit.tables import METADATA, belongs_to, tenant_table


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _at(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _record_columns() -> tuple[Column[Any], ...]:
    """What every kind of record has: its line, its batch, who recorded it and when, and how it was superseded."""
    return (
        Column("line_id", Uuid, nullable=False),
        Column("batch_id", Uuid, nullable=False),
        _text("evidence"),
        _text("note"),
        _at("recorded_at"),
        Column("recorded_by", Uuid, nullable=False),
        Column("superseded_at", DateTime(timezone=True)),
        Column("superseded_because", Text),
    )


factor_set = Table(
    "factor_set",
    METADATA,
    Column("code", Text, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("by_default", Boolean, nullable=False),
    Column("name_zh", Text, nullable=False),
    Column("name_en", Text, nullable=False),
)

factor_region = Table(
    "factor_region",
    METADATA,
    Column("code", Text, primary_key=True),
    Column("name_zh", Text, nullable=False),
    Column("name_en", Text, nullable=False),
)

factor = Table(
    "factor",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("set_code", Text, ForeignKey("factor_set.code"), nullable=False),
    Column("code", Text, nullable=False),
    Column("name_zh", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("parameter", Text, nullable=False),
    Column("value", Numeric, nullable=False),
    Column("unit", Text, nullable=False),
    Column("region", Text, ForeignKey("factor_region.code"), nullable=False),
    Column("year", Integer),
    Column("first_year", Integer),
    Column("last_year", Integer),
    Column("provenance", Text, nullable=False),
    Column("basis", Text, nullable=False),
    Column("source", Text, nullable=False),
    _at("loaded_at"),
    Column("superseded_at", DateTime(timezone=True)),
)

emission_source = tenant_table(
    "emission_source",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("name_zh", Text, nullable=False),
    _text("name_en"),
    Column("category", Text, nullable=False),
    Column("direct_kind", Text),
    _at("created_at"),
    belongs_to("organisation", "organisation_id"),
)

emission_stream = tenant_table(
    "emission_stream",
    Column("id", Uuid),
    Column("source_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    _text("name_zh"),
    _text("name_en"),
    Column("material", Text),
    Column("flow", Text, nullable=False),
    Column("programme", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("gas", Text, nullable=False),
    Column("factor_set", Text, ForeignKey("factor_set.code")),
    Column("region", Text, ForeignKey("factor_region.code")),
    Column("factor_year", Integer),
    Column("own_factor", Numeric),
    _text("own_factor_source"),
    _at("created_at"),
    belongs_to("emission_source", "source_id"),
)

stream_coefficient = tenant_table(
    "stream_coefficient",
    Column("id", Uuid),
    Column("stream_id", Uuid, nullable=False),
    Column("year", Integer, nullable=False),
    Column("value", Numeric(38, 18), nullable=False),
    Column("unit", Text, nullable=False),
    Column("steps", JSONB, nullable=False),
    _at("recorded_at"),
    belongs_to("emission_stream", "stream_id"),
)

activity_record = tenant_table(
    "activity_record",
    Column("id", Uuid),
    Column("stream_id", Uuid, nullable=False),
    Column("month", Date, nullable=False),
    Column("quantity", Numeric(38, 12), nullable=False),
    Column("entered_quantity", Numeric, nullable=False),
    Column("entered_unit", Text, nullable=False),
    *_record_columns(),
    belongs_to("emission_stream", "stream_id"),
)

declared_result = tenant_table(
    "declared_result",
    Column("id", Uuid),
    Column("source_id", Uuid, nullable=False),
    Column("first_month", Date, nullable=False),
    Column("months", SmallInteger, nullable=False),
    Column("gas", Text, nullable=False),
    Column("mass_t", Numeric(38, 12), nullable=False),
    Column("method", Text, nullable=False),
    Column("gwp_set", Text, nullable=False),
    Column("gwp", Numeric, nullable=False),
    Column("gwp_factor_id", Uuid, ForeignKey("factor.id")),
    Column("co2e_t", Numeric(38, 9), nullable=False),
    *_record_columns(),
    belongs_to("emission_source", "source_id"),
)

stream_month = tenant_table(
    "stream_month",
    Column("stream_id", Uuid),
    Column("month", Date),
    Column("coefficient_id", Uuid, nullable=False),
    Column("quantity", Numeric(38, 12), nullable=False, server_default="0"),
    Column("co2e_t", Numeric(38, 9), nullable=False, server_default="0"),
    Column("records", Integer, nullable=False, server_default="0"),
    _at("last_recorded_at"),
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
    _at("last_recorded_at"),
    belongs_to("emission_source", "source_id"),
    keys=("source_id", "first_month", "months", "gas", "origin"),
)

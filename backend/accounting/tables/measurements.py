"""What activity is made of: stock ledgers, meters, batches with quality, stack monitors; and how good it is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Integer,
    Numeric,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from backend.kit.tables import belongs_to, moment, tenant_table, text_or_empty


def _kept(name: str, *parts: Any, owner: str = "stream") -> Table:
    """Records of a stream (or a source) that are superseded with a reason, never edited."""
    return tenant_table(
        name,
        Column("id", Uuid),
        Column(f"{owner}_id", Uuid, nullable=False),
        *parts,
        text_or_empty("evidence"),
        text_or_empty("note"),
        Column("recorded_by", Uuid, nullable=False),
        moment("recorded_at"),
        Column("superseded_at", DateTime(timezone=True)),
        Column("superseded_because", Text),
        belongs_to(f"emission_{owner}", f"{owner}_id"),
    )


def _quantity(name: str) -> Column[Any]:
    return Column(name, Numeric(38, 12), nullable=False)


def _part(name: str) -> Column[Any]:
    return Column(name, Numeric(38, 12), nullable=False, server_default="0")


def _of_the_stream(table: str, column: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id", "stream_id", column], [f"{table}.tenant_id", f"{table}.stream_id", f"{table}.id"]
    )


def _instrument() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id", "organisation_id", "instrument_id"],
        ["instrument.tenant_id", "instrument.organisation_id", "instrument.id"],
    )


def _cause() -> tuple[Any, ...]:
    """The activity record that follows from it: the first line of this batch."""
    return (Column("batch_id", Uuid, nullable=False), belongs_to("activity_batch", "batch_id"))


stock_row = _kept(
    "stock_row",
    Column("month", Date, nullable=False),
    Column("unit", Text, nullable=False),
    _part("opening"),
    _part("purchased"),
    _part("produced"),
    _part("closing"),
    _part("sold"),
    _part("other_use"),
    _part("losses"),
    _quantity("consumption"),
    text_or_empty("explanation"),
    _quantity("quantity"),
    *_cause(),
)

meter = _kept(
    "meter",
    Column("organisation_id", Uuid, nullable=False),
    Column("instrument_id", Uuid, nullable=False),
    Column("unit", Text, nullable=False),
    _quantity("multiplier"),
    Column("direction", Text, nullable=False),
    Column("digits", SmallInteger, nullable=False),
    Column("reading_rule", Text, nullable=False),
    _instrument(),
)

meter_reading = _kept(
    "meter_reading",
    Column("meter_id", Uuid, nullable=False),
    Column("day", Date, nullable=False),
    Column("kind", Text, nullable=False),
    _quantity("value"),
    Column("rolled_over", Boolean, nullable=False, server_default="false"),
    _of_the_stream("meter", "meter_id"),
)

meter_month = _kept(
    "meter_month",
    Column("month", Date, nullable=False),
    _quantity("measured"),
    _quantity("quantity"),
    Column("parts", JSONB, nullable=False),
    text_or_empty("explanation"),
    *_cause(),
)

material_batch = _kept(
    "material_batch",
    Column("day", Date, nullable=False),
    Column("code", Text, nullable=False),
    Column("phase", Text, nullable=False),
    text_or_empty("mix"),
    Column("unit", Text, nullable=False),
    _quantity("quantity"),
    text_or_empty("laboratory"),
    text_or_empty("report"),
)

quality_result = tenant_table(
    "quality_result",
    Column("batch_id", Uuid),
    Column("parameter", Text),
    Column("basis", Text, nullable=False),
    Column("value", Numeric(38, 18), nullable=False),
    Column("unit", Text, nullable=False),
    belongs_to("material_batch", "batch_id"),
    keys=("batch_id", "parameter"),
)

stack_monitor = _kept(
    "stack_monitor",
    Column("organisation_id", Uuid, nullable=False),
    Column("instrument_id", Uuid),
    Column("code", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("concentration_unit", Text, nullable=False),
    Column("concentration_wet", Boolean, nullable=False),
    Column("flow_wet", Boolean, nullable=False),
    Column("flow_actual", Boolean, nullable=False),
    Column("gap_hours", SmallInteger, nullable=False),
    Column("default_concentration", Numeric(38, 12)),
    Column("default_flow", Numeric(38, 12)),
    _instrument(),
)

stack_month = _kept(
    "stack_month",
    Column("monitor_id", Uuid, nullable=False),
    Column("month", Date, nullable=False),
    Column("positions", ARRAY(SmallInteger), nullable=False),
    Column("concentrations", ARRAY(Numeric), nullable=False),
    Column("flows", ARRAY(Numeric), nullable=False),
    Column("temperatures", ARRAY(Numeric), nullable=False),
    Column("pressures", ARRAY(Numeric), nullable=False),
    Column("moistures", ARRAY(Numeric), nullable=False),
    Column("oxygen", ARRAY(Numeric), nullable=False),
    Column("hours", ARRAY(Numeric), nullable=False),
    Column("statuses", ARRAY(Text), nullable=False),
    Column("expected", SmallInteger, nullable=False),
    Column("valid", SmallInteger, nullable=False),
    Column("filled", ARRAY(SmallInteger), nullable=False),
    Column("concentration", Numeric(38, 18), nullable=False),
    Column("mass_t", Numeric(38, 9), nullable=False),
    _quantity("quantity"),
    *_cause(),
    _of_the_stream("stack_monitor", "monitor_id"),
)

quality_score = _kept(
    "quality_score",
    Column("year", Integer, nullable=False),
    Column("representative", SmallInteger, nullable=False),
    Column("fair", SmallInteger, nullable=False),
    Column("complete", SmallInteger, nullable=False),
    Column("accurate", SmallInteger, nullable=False),
    Column("applicable", SmallInteger, nullable=False),
)

stream_uncertainty = _kept(
    "stream_uncertainty",
    Column("year", Integer, nullable=False),
    Column("subject", Text, nullable=False),
    Column("half_width", Numeric(20, 12), nullable=False),
    text_or_empty("correlation"),
)

allocation = _kept(
    "allocation",
    Column("year", Integer, nullable=False),
    Column("basis", Text, nullable=False),
    Column("statement", Text, nullable=False),
    owner="source",
)

allocation_product = tenant_table(
    "allocation_product",
    Column("allocation_id", Uuid),
    Column("n", SmallInteger),
    Column("name", Text, nullable=False),
    _quantity("quantity_t"),
    Column("heat_gj_per_t", Numeric(38, 12)),
    Column("price_per_t", Numeric(38, 12)),
    belongs_to("allocation", "allocation_id"),
    keys=("allocation_id", "n"),
)

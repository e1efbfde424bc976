"""The factor library: global, the same for every tenant."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, DateTime, ForeignKey, Integer, Numeric, Table, Text, Uuid

from backend.kit.tables import METADATA, moment, text_or_empty

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
    Column("within", Text, ForeignKey("factor_region.code")),
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
    moment("loaded_at"),
    Column("superseded_at", DateTime(timezone=True)),
    text_or_empty("technology"),
)

"""Inventories."""

from __future__ import annotations

from sqlalchemy import Column, Date, Integer, Numeric, SmallInteger, Text, Uuid

from backend.kit.tables import belongs_to, moment, tenant_table, text_or_empty

inventory = tenant_table(
    "inventory",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("first_month", Date, nullable=False),
    Column("months", SmallInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False, server_default="OPEN"),
    Column("round", Integer, nullable=False, server_default="0"),
    Column("sha256", Text),
    text_or_empty("reason"),
    Column("cause", Text),
    Column("submitted_by", Uuid),
    Column("reviewed_by", Uuid),
    Column("approved_by", Uuid),
    Column("verified_by", Uuid),
    moment("created_at"),
    belongs_to("organisation", "organisation_id"),
)

inventory_event = tenant_table(
    "inventory_event",
    Column("inventory_id", Uuid),
    Column("n", Integer),
    Column("state", Text, nullable=False),
    text_or_empty("note"),
    Column("sha256", Text),
    Column("member_id", Uuid, nullable=False),
    moment("at"),
    belongs_to("inventory", "inventory_id"),
    keys=("inventory_id", "n"),
)

inventory_line = tenant_table(
    "inventory_line",
    Column("inventory_id", Uuid),
    Column("round", Integer),
    Column("n", Integer),
    Column("source_id", Uuid, nullable=False),
    Column("stream_id", Uuid),
    Column("declared_result_id", Uuid),
    Column("coefficient_id", Uuid),
    Column("category", Text, nullable=False),
    Column("direct_kind", Text),
    Column("first_month", Date, nullable=False),
    Column("months", SmallInteger, nullable=False),
    Column("quantity", Numeric(38, 12)),
    Column("co2e_t", Numeric(38, 9), nullable=False),
    Column("records", Integer, nullable=False),
    belongs_to("inventory", "inventory_id"),
    keys=("inventory_id", "round", "n"),
)

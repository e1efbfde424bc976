"""What was allocated for a year, and what was carried over into the next."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, Text, Uuid

from backend.kit.tables import belongs_to, moment, tenant_table

allowance_allocation: Final = tenant_table(
    "allowance_allocation",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("market", Text, nullable=False),
    Column("year", Integer, nullable=False),
    Column("stage", Text, nullable=False),
    Column("quantity_t", BigInteger, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("lot_id", Uuid),
    Column("transfer_id", Uuid),
    Column("recorded_by", Uuid, nullable=False),
    moment("recorded_at"),
    belongs_to("organisation", "organisation_id"),
    belongs_to("asset_lot", "lot_id"),
    belongs_to("asset_transfer", "transfer_id"),
)

carry_over: Final = tenant_table(
    "carry_over",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("market", Text, nullable=False),
    Column("year", Integer, nullable=False),
    Column("sold_t", BigInteger, nullable=False),
    Column("bought_t", BigInteger, nullable=False),
    Column("held_t", BigInteger, nullable=False),
    Column("most_t", BigInteger, nullable=False),
    Column("earlier_t", BigInteger, nullable=False),
    Column("quantity_t", BigInteger, nullable=False),
    Column("rule", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("transfer_id", Uuid, nullable=False),
    Column("lot_id", Uuid, nullable=False),
    Column("recorded_by", Uuid, nullable=False),
    moment("recorded_at"),
    belongs_to("organisation", "organisation_id"),
    belongs_to("asset_transfer", "transfer_id"),
    belongs_to("asset_lot", "lot_id"),
)

"""Trades and prices. Money is whole fen (0.01 CNY)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Date, DateTime, ForeignKeyConstraint, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from backend.kit.tables import belongs_to, moment, tenant_table, text_or_empty

asset_trade: Final = tenant_table(
    "asset_trade",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("side", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("market", Text, nullable=False),
    Column("scheme", Text, nullable=False),
    Column("account_id", Uuid, nullable=False),
    Column("quantity_t", BigInteger, nullable=False),
    Column("price_fen", BigInteger, nullable=False),
    Column("fee_fen", BigInteger, nullable=False),
    text_or_empty("counterparty"),
    Column("counterparty_account_id", Uuid),
    Column("traded_on", Date, nullable=False),
    Column("reference", Text, nullable=False),
    Column("remarks", JSONB, nullable=False, server_default="[]"),
    Column("state", Text, nullable=False, server_default="AGREED"),
    Column("settled_on", Date),
    Column("lot_id", Uuid),
    Column("transfer_id", Uuid),
    Column("reason", Text),
    Column("recorded_by", Uuid, nullable=False),
    moment("recorded_at"),
    ForeignKeyConstraint(
        ["tenant_id", "organisation_id", "account_id"],
        ["asset_account.tenant_id", "asset_account.organisation_id", "asset_account.id"],
    ),
    belongs_to("asset_account", "counterparty_account_id"),
    belongs_to("asset_lot", "lot_id"),
    belongs_to("asset_transfer", "transfer_id"),
)

market_price: Final = tenant_table(
    "market_price",
    Column("id", Uuid),
    Column("scheme", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("close_fen", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("recorded_by", Uuid, nullable=False),
    moment("recorded_at"),
    Column("superseded_at", DateTime(timezone=True)),
    Column("superseded_because", Text),
    ForeignKeyConstraint(["tenant_id"], ["tenant.id"]),
)

"""Checkpoints of balances: how they stood at the end of days, as known at moments."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Date, DateTime, ForeignKeyConstraint, Integer, Uuid

from backend.kit.tables import moment, tenant_table

asset_checkpoint: Final = tenant_table(
    "asset_checkpoint",
    Column("number", Integer),
    Column("last_seal", BigInteger, nullable=False),
    Column("known_at", DateTime(timezone=True), nullable=False),
    Column("from_id", Uuid, nullable=False),
    moment("made_at"),
    ForeignKeyConstraint(["tenant_id", "last_seal"], ["asset_seal.tenant_id", "asset_seal.number"]),
    keys=("number",),
)

asset_checkpoint_balance: Final = tenant_table(
    "asset_checkpoint_balance",
    Column("account_id", Uuid),
    Column("lot_id", Uuid),
    Column("day", Date),
    Column("number", Integer),
    Column("quantity_t", BigInteger, nullable=False),
    ForeignKeyConstraint(["tenant_id", "number"], ["asset_checkpoint.tenant_id", "asset_checkpoint.number"]),
    ForeignKeyConstraint(
        ["tenant_id", "account_id", "lot_id"],
        ["asset_balance.tenant_id", "asset_balance.account_id", "asset_balance.lot_id"],
    ),
    keys=("account_id", "lot_id", "day", "number"),
)

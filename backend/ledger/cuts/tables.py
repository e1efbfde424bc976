"""Which lots a split or merge turned into which."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKeyConstraint, Uuid

from backend.kit.tables import belongs_to, tenant_table

asset_lot_cut: Final = tenant_table(
    "asset_lot_cut",
    Column("transfer_id", Uuid, nullable=False),
    Column("parent_id", Uuid),
    Column("child_id", Uuid),
    belongs_to("asset_transfer", "transfer_id"),
    belongs_to("asset_lot", "parent_id"),
    ForeignKeyConstraint(
        ["tenant_id", "child_id"], ["asset_lot.tenant_id", "asset_lot.id"], deferrable=True, initially="DEFERRED"
    ),
    keys=("child_id", "parent_id"),
)

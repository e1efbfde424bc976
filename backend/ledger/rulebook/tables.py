"""What the rules had to say about transfers that they did not refuse."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ARRAY, Column, Integer, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from backend.kit.tables import belongs_to, moment, tenant_table

transfer_remark: Final = tenant_table(
    "transfer_remark",
    Column("transfer_id", Uuid),
    Column("number", Integer),
    Column("code", Text, nullable=False),
    Column("path", ARRAY(Text), nullable=False),
    Column("params", JSONB, nullable=False),
    moment("recorded_at"),
    belongs_to("asset_transfer", "transfer_id"),
    keys=("transfer_id", "number"),
)

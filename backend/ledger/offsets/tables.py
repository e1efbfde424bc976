"""Offset surrenders and the steps they went through."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, DateTime, ForeignKeyConstraint, Integer, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from backend.kit.tables import belongs_to, moment, tenant_table, text_or_empty

offset_surrender: Final = tenant_table(
    "offset_surrender",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("beneficiary_id", Uuid, nullable=False),
    Column("for_year", Integer, nullable=False),
    Column("quantity_t", BigInteger, nullable=False),
    Column("reservation_id", Uuid, nullable=False),
    Column("deadline", DateTime(timezone=True)),
    Column("recorded_by", Uuid, nullable=False),
    moment("recorded_at"),
    belongs_to("organisation", "organisation_id"),
    belongs_to("organisation", "beneficiary_id"),
    belongs_to("asset_reservation", "reservation_id"),
)

offset_surrender_step: Final = tenant_table(
    "offset_surrender_step",
    Column("surrender_id", Uuid),
    Column("number", Integer),
    Column("step", Text, nullable=False),
    Column("cause", Text),
    text_or_empty("reference"),
    text_or_empty("reason"),
    Column("refusal_code", Text),
    Column("refusal_params", JSONB),
    Column("transfer_id", Uuid),
    Column("taken_by", Uuid),
    moment("taken_at"),
    belongs_to("offset_surrender", "surrender_id"),
    ForeignKeyConstraint(
        ["tenant_id", "transfer_id"],
        ["asset_transfer.tenant_id", "asset_transfer.id"],
        deferrable=True,
        initially="DEFERRED",
    ),
    keys=("surrender_id", "number"),
)

"""Tables of reservations. The migration holds their triggers and functions."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, DateTime, ForeignKeyConstraint, Integer, Text, Uuid

from backend.kit.tables import belongs_to, moment, tenant_table, text_or_empty

asset_reservation: Final = tenant_table(
    "asset_reservation",
    Column("id", Uuid),
    Column("aim", Text, nullable=False),
    Column("kind", Text),
    Column("organisation_id", Uuid, nullable=False),
    Column("legs", Integer, nullable=False),
    Column("beneficiary_id", Uuid),
    Column("for_year", Integer),
    text_or_empty("purpose"),
    text_or_empty("evidence"),
    Column("expires_at", DateTime(timezone=True)),
    moment("recorded_at"),
    belongs_to("organisation", "organisation_id"),
    belongs_to("organisation", "beneficiary_id"),
)

asset_reservation_leg: Final = tenant_table(
    "asset_reservation_leg",
    Column("reservation_id", Uuid),
    Column("leg", Integer),
    Column("lot_id", Uuid, nullable=False),
    Column("account_id", Uuid, nullable=False),
    Column("to_account_id", Uuid),
    Column("quantity_t", BigInteger, nullable=False),
    belongs_to("asset_reservation", "reservation_id"),
    belongs_to("asset_account", "to_account_id"),
    ForeignKeyConstraint(
        ["tenant_id", "account_id", "lot_id"],
        ["asset_balance.tenant_id", "asset_balance.account_id", "asset_balance.lot_id"],
    ),
    keys=("reservation_id", "leg"),
)

asset_reservation_end: Final = tenant_table(
    "asset_reservation_end",
    Column("reservation_id", Uuid),
    Column("outcome", Text, nullable=False),
    Column("transfer_id", Uuid),
    text_or_empty("reason"),
    moment("ended_at"),
    belongs_to("asset_reservation", "reservation_id"),
    ForeignKeyConstraint(
        ["tenant_id", "transfer_id"],
        ["asset_transfer.tenant_id", "asset_transfer.id"],
        deferrable=True,
        initially="DEFERRED",
    ),
    keys=("reservation_id",),
)

asset_reservation_part: Final = tenant_table(
    "asset_reservation_part",
    Column("transfer_id", Uuid),
    Column("leg", Integer),
    Column("reservation_id", Uuid, nullable=False),
    Column("quantity_t", BigInteger, nullable=False),
    moment("posted_at"),
    ForeignKeyConstraint(
        ["tenant_id", "reservation_id", "leg"],
        ["asset_reservation_leg.tenant_id", "asset_reservation_leg.reservation_id", "asset_reservation_leg.leg"],
    ),
    ForeignKeyConstraint(
        ["tenant_id", "transfer_id"],
        ["asset_transfer.tenant_id", "asset_transfer.id"],
        deferrable=True,
        initially="DEFERRED",
    ),
    keys=("transfer_id", "leg"),
)

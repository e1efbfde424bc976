"""Tables of the ledger slice, as its repository names them. The migration holds constraints, triggers and functions."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    Numeric,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY

from backend.kit.tables import belongs_to, tenant_table


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _recorded(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


asset_account: Final = tenant_table(
    "asset_account",
    Column("id", Uuid),
    Column("organisation_id", Uuid),
    Column("code", Text, nullable=False),
    _text("name"),
    Column("kind", Text, nullable=False),
    Column("issuing", Boolean, Computed("kind = 'ISSUER'", persisted=True), nullable=False),
    _recorded("opened_at"),
    ForeignKeyConstraint(["tenant_id"], ["tenant.id"]),
    belongs_to("organisation", "organisation_id"),
)

asset_lot: Final = tenant_table(
    "asset_lot",
    Column("id", Uuid),
    Column("asset_class", Text, nullable=False),
    Column("scheme", Text, nullable=False),
    Column("issue_reference", Text, nullable=False),
    Column("vintage", Integer),
    _text("project"),
    Column("quantity_t", BigInteger, nullable=False),
    Column("origin", Text, nullable=False),
    Column("issued_to", Uuid, nullable=False),
    Column("issued_on", Date, nullable=False),
    Column("serial_prefix", Text),
    Column("serial_first", BigInteger),
    Column("serial_last", BigInteger),
    Column("issued_by", Uuid, nullable=False),
    Column("withdrawn_by", Uuid),
    ForeignKeyConstraint(["tenant_id"], ["tenant.id"]),
    belongs_to("organisation", "issued_to"),
)

asset_transfer: Final = tenant_table(
    "asset_transfer",
    Column("id", Uuid),
    Column("kind", Text, nullable=False),
    Column("legs", Integer, nullable=False),
    Column("effective_on", Date, nullable=False),
    Column("beneficiary_id", Uuid),
    Column("for_year", Integer),
    _text("purpose"),
    _text("evidence"),
    Column("reverses_id", Uuid),
    _recorded("recorded_at"),
    # Who moved the units, by which operation, as audit events tell it of what does not tell it by itself.
    Column("member_id", Uuid),
    Column("operation", Text),
    Column("organisation_id", Uuid),
    Column("correlation_id", Text),
)

asset_leg: Final = tenant_table(
    "asset_leg",
    Column("transfer_id", Uuid),
    Column("leg", Integer),
    Column("lot_id", Uuid, nullable=False),
    Column("from_account_id", Uuid, nullable=False),
    Column("to_account_id", Uuid, nullable=False),
    Column("quantity_t", BigInteger, nullable=False),
    keys=("transfer_id", "leg"),
)

asset_balance: Final = tenant_table(
    "asset_balance",
    Column("account_id", Uuid),
    Column("lot_id", Uuid),
    Column("issuing", Boolean, nullable=False),
    Column("quantity_t", BigInteger, nullable=False, server_default="0"),
    Column("reserved_t", BigInteger, nullable=False, server_default="0"),
    Column("version", Uuid, nullable=False, server_default=str(UUID(int=0))),
    ForeignKeyConstraint(
        ["tenant_id", "account_id", "issuing"], ["asset_account.tenant_id", "asset_account.id", "asset_account.issuing"]
    ),
    belongs_to("asset_lot", "lot_id"),
    keys=("account_id", "lot_id"),
)

asset_seal: Final = tenant_table(
    "asset_seal",
    Column("number", BigInteger),
    Column("sealed_at", DateTime(timezone=True), nullable=False),
    Column("transfer_ids", ARRAY(Uuid), nullable=False),
    Column("leaves", LargeBinary, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    keys=("number",),
)

asset_closing: Final = tenant_table(
    "asset_closing",
    Column("through", Date),
    Column("reason", Text, nullable=False),
    _recorded("closed_at"),
    keys=("through",),
)

asset_anchor: Final = tenant_table(
    "asset_anchor",
    Column("day", Date),
    Column("first_seal", BigInteger, nullable=False),
    Column("last_seal", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    _recorded("made_at"),
    ForeignKeyConstraint(["tenant_id", "first_seal"], ["asset_seal.tenant_id", "asset_seal.number"]),
    ForeignKeyConstraint(["tenant_id", "last_seal"], ["asset_seal.tenant_id", "asset_seal.number"]),
    keys=("day",),
)

obligation: Final = tenant_table(
    "obligation",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("from_year", Integer, nullable=False),
    Column("to_year", Integer, nullable=False),
    Column("tonnes", Numeric(27, 9), nullable=False),
    _text("source"),
    _text("market"),
    _recorded("recorded_at"),
    Column("superseded_at", DateTime(timezone=True)),
    Column("superseded_by_id", Uuid),
    belongs_to("organisation", "organisation_id"),
    ForeignKeyConstraint(
        ["tenant_id", "superseded_by_id"],
        ["obligation.tenant_id", "obligation.id"],
        deferrable=True,
        initially="DEFERRED",
    ),
)

"""Accounts at registries, exchanges and banks, and the states of the ledger's accounts."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Date, DateTime, ForeignKeyConstraint, Integer, Text, Uuid

from backend.kit.tables import belongs_to, moment, tenant_table


def _own_account() -> ForeignKeyConstraint:
    """The account of the same organisation."""
    return ForeignKeyConstraint(
        ["tenant_id", "organisation_id", "account_id"],
        ["asset_account.tenant_id", "asset_account.organisation_id", "asset_account.id"],
    )


registered_account: Final = tenant_table(
    "registered_account",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("market", Text, nullable=False),
    Column("institution", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("owner_name", Text, nullable=False),
    Column("credit_code", Text, nullable=False),
    Column("account_id", Uuid),
    Column("opened_on", Date, nullable=False),
    Column("recorded_by", Uuid, nullable=False),
    moment("recorded_at"),
    Column("superseded_at", DateTime(timezone=True)),
    Column("superseded_because", Text),
    belongs_to("organisation", "organisation_id"),
    _own_account(),
)

account_state: Final = tenant_table(
    "account_state",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("account_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("set_by", Uuid, nullable=False),
    moment("set_at"),
    _own_account(),
)

"""A checkpoint finds the account of each leg by its key, and not among all accounts of the tenant."""

from __future__ import annotations

from migrations.support import amend

revision = "0029"
down_revision = "0028"

_WAS = "JOIN asset_account a ON a.tenant_id = tenant AND a.id = e.account_id AND a.organisation_id IS NOT NULL"
_BY_KEY = """CROSS JOIN LATERAL (
              SELECT FROM asset_account a
              WHERE a.tenant_id = tenant AND a.id = e.account_id AND a.organisation_id IS NOT NULL OFFSET 0) a"""


def upgrade() -> None:
    amend("ledger_checkpoint", (_WAS, _BY_KEY))

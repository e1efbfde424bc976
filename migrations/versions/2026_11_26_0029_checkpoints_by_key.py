"""A checkpoint finds the account of each leg by its key, and not among all accounts of the tenant."""

from __future__ import annotations

from migrations.support import run

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    run(
        """
        DO $patch$
        DECLARE
          body text := pg_get_functiondef('ledger_checkpoint'::regproc);
          was text := 'JOIN asset_account a ON a.tenant_id = tenant AND a.id = e.account_id AND a.organisation_id IS NOT NULL';
          becomes text := 'CROSS JOIN LATERAL (
              SELECT FROM asset_account a
              WHERE a.tenant_id = tenant AND a.id = e.account_id AND a.organisation_id IS NOT NULL OFFSET 0) a';
        BEGIN
          IF strpos(body, was) = 0 THEN
            RAISE EXCEPTION 'ledger_checkpoint does not say %', was;
          END IF;
          EXECUTE replace(body, was, becomes);
        END $patch$
        """,
    )

"""The trigger on legs finds each balance by its key, whatever the planner thinks of a tenant's other balances.

Row-level security makes the tenant a constant, so that looking through all of a tenant's balances for each leg seemed
no dearer than its key while there were few.
"""

from __future__ import annotations

from migrations.support import run

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    run(
        # Balances are locked before their legs are written, so none moves between the look and the update.
        """
        DO $patch$
        DECLARE
          body text := pg_get_functiondef('asset_legs_post'::regproc);
          was text := 'FROM change c WHERE b.tenant_id = c.tenant_id AND b.account_id = c.account_id AND b.lot_id = c.lot_id';
          becomes text := 'FROM (
              SELECT c.*, k.at FROM change c
              CROSS JOIN LATERAL (SELECT y.ctid AS at FROM asset_balance y
                                  WHERE y.tenant_id = c.tenant_id AND y.account_id = c.account_id
                                    AND y.lot_id = c.lot_id OFFSET 0) k) c
            WHERE b.ctid = c.at';
        BEGIN
          IF strpos(body, was) = 0 THEN
            RAISE EXCEPTION 'asset_legs_post does not say %', was;
          END IF;
          EXECUTE replace(body, was, becomes);
        END $patch$
        """,
    )

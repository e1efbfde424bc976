"""A lot that was split or merged keeps its reference: who still uses it means its parts.

Only the reversal of its issue frees a reference. An issue is refused by `ledger_issue`, row by row; and whoever inserts
a lot while another is being cut is turned back by the trigger, to ask again.
"""

from __future__ import annotations

from migrations.support import amend, run

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    run(
        "CREATE INDEX asset_lot_withdrawn ON asset_lot (tenant_id, scheme, issue_reference) "
        "WHERE withdrawn_by IS NOT NULL",
        "CREATE INDEX asset_lot_cut_of_parent ON asset_lot_cut (tenant_id, parent_id)",
        """
        CREATE VIEW asset_reference_kept WITH (security_invoker = true) AS
        SELECT o.tenant_id, o.scheme, o.issue_reference FROM asset_lot o
        WHERE o.withdrawn_by IS NOT NULL
          AND EXISTS (SELECT FROM asset_lot_cut c WHERE c.tenant_id = o.tenant_id AND c.parent_id = o.id)
        """,
        """
        CREATE FUNCTION asset_lot_reference_stays() RETURNS trigger LANGUAGE plpgsql
        SET search_path = public, pg_temp AS $$
        BEGIN
          -- What comes of a cut may have the name that an earlier cut gave.
          IF EXISTS (
            SELECT FROM new_lots n
            JOIN asset_reference_kept k ON k.tenant_id = n.tenant_id AND k.scheme = n.scheme
              AND k.issue_reference = n.issue_reference
            WHERE NOT EXISTS (SELECT FROM asset_lot_cut c WHERE c.tenant_id = n.tenant_id AND c.child_id = n.id)) THEN
            RAISE EXCEPTION 'the reference of a lot that was cut stays its own' USING ERRCODE = '40001';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER asset_lot_reference_stays AFTER INSERT ON asset_lot REFERENCING NEW TABLE AS new_lots "
        "FOR EACH STATEMENT EXECUTE FUNCTION asset_lot_reference_stays()",
    )
    amend(
        "ledger_issue",
        (
            """issued_on, prefix, first, last, transfer, n)
            ORDER BY""",
            """issued_on, prefix, first, last, transfer, n)
            WHERE NOT EXISTS (SELECT FROM asset_reference_kept k WHERE k.tenant_id = tenant AND k.scheme = x.scheme
                              AND k.issue_reference = x.reference)
            ORDER BY""",
        ),
        (
            "CASE WHEN same.id IS NULL THEN 'SERIAL_OVERLAP' ELSE 'LOT_ALREADY_ISSUED' END,",
            """CASE WHEN same.id IS NULL AND NOT EXISTS (
                   SELECT FROM asset_reference_kept k WHERE k.tenant_id = tenant AND k.scheme = x.scheme
                     AND k.issue_reference = x.reference) THEN 'SERIAL_OVERLAP' ELSE 'LOT_ALREADY_ISSUED' END,""",
        ),
    )

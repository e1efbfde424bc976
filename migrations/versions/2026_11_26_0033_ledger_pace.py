"""Postings with less to reckon in the database, and less to ask of each balance that moves.

The caller of `ledger_commit` knows which balances its postings touch and by how much: so each is locked, judged and told
by its key alone.
"""

from __future__ import annotations

from migrations.support import amend, run, span

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    run(
        # Asked once for a statement and not for each row of it: a balance follows its legs, and nothing else sets it.
        "DROP TRIGGER asset_balance_follows ON asset_balance",
        "CREATE TRIGGER asset_balance_follows BEFORE UPDATE ON asset_balance FOR EACH STATEMENT "
        "WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_change()",
        # Hashes do not get smaller by compression.
        "ALTER TABLE asset_seal ALTER COLUMN leaves SET STORAGE EXTERNAL, ALTER COLUMN transfer_ids SET STORAGE EXTERNAL",
    )
    # `b_*`: each balance that the postings touch, in the order in which all lock them, and what all of them take from it;
    # `q_*`: for each posting in turn, balance by balance, which of those, and by how much this posting and those before
    # it have changed it. What the caller reckoned decides only what is answered: the trigger on legs reckons for itself.
    amend(
        "ledger_commit",
        (
            "l_quantity bigint[], OUT",
            "l_quantity bigint[], b_account uuid[], b_lot uuid[], b_debit bigint[], q_balance integer[], "
            "q_change bigint[], OUT",
        ),
        ("covered boolean; wanted bigint; met bigint;", "covered boolean; met bigint;"),
        ("unnest(l_from || l_to, l_lot || l_lot) AS k (account, lot)", "unnest(b_account, b_lot) AS k (account, lot)"),
        (
            span("ledger_commit", "SELECT bool_and(", "IF met IS"),
            """SELECT bool_and(b.issuing OR b.quantity_t - b.reserved_t >= k.debit), count(*),
                 array_agg(b.quantity_t ORDER BY k.n)
          INTO covered, met, quantities
          FROM unnest(b_account, b_lot, b_debit) WITH ORDINALITY AS k (account, lot, debit, n)
          CROSS JOIN LATERAL (
            SELECT issuing, quantity_t, reserved_t FROM asset_balance b
            WHERE b.tenant_id = for_tenant AND b.account_id = k.account AND b.lot_id = k.lot FOR UPDATE) b;
          """,
        ),
        ("IF met IS DISTINCT FROM wanted THEN", "IF met IS DISTINCT FROM cardinality(b_account) THEN"),
        (
            "WITH t AS (",
            """quantities := ARRAY(SELECT quantities[balance] + change FROM unnest(q_balance, q_change)
                              WITH ORDINALITY AS q (balance, change, n) ORDER BY n);
          WITH t AS (""",
        ),
        drop=True,
    )
    run(
        "REVOKE ALL ON FUNCTION ledger_commit FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_commit TO tanheng_app, tanheng_worker",
    )

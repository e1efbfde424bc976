"""Postings go to the database as rows, and the trigger on legs begins with what it is there for.

The caller of `ledger_commit` wrote thirty-one columns for each call, whatever its size: a good part of what a call costs
the process. Rows of five kinds are written in two thirds of the time, and read in less than that.
"""

from __future__ import annotations

from migrations.support import amend, run, span

revision = "0039"
down_revision = "0038"

_TYPES = (
    # A transfer to post, who asks for it under which key, and how many balances it touches.
    "CREATE TYPE ledger_posting AS (member uuid, operation text, correlation text, key text, digest bytea, id uuid, "
    "kind text, legs integer, effective_on date, beneficiary uuid, year integer, purpose text, evidence text, "
    "organisation uuid, balances integer)",
    # `posting`: its number, from 1.
    "CREATE TYPE ledger_posting_leg AS (posting integer, transfer uuid, leg integer, lot uuid, source uuid, "
    "destination uuid, quantity bigint)",
    # An organisation that a posting takes from, and a node on which its caller has the right to.
    "CREATE TYPE ledger_posting_reach AS (posting integer, organisation uuid, node uuid)",
    # A balance that postings touch, in the order in which all lock them, and what all of them take from it.
    "CREATE TYPE ledger_posting_balance AS (account uuid, lot uuid, debit bigint)",
    # For each posting in turn, balance by balance: which of those, and by how much this posting and those before it
    # have changed it. What the caller reckoned decides only what is answered: the trigger on legs reckons for itself.
    "CREATE TYPE ledger_posting_change AS (balance integer, change bigint)",
)


def upgrade() -> None:
    run(*_TYPES)
    _commit()
    _legs()


def _commit() -> None:
    amend(
        "ledger_commit",
        (
            span("ledger_commit", "c_posting integer[]", ", OUT again"),
            "reach ledger_posting_reach[], postings ledger_posting[], legs ledger_posting_leg[], "
            "balances ledger_posting_balance[], changes ledger_posting_change[]",
        ),
        (
            "SELECT coalesce(array_agg(x.n::integer), '{}'),",
            "SELECT coalesce(array_agg(x.ordinality::integer), '{}'),",
        ),
        (
            "FROM unnest(t_member, t_key) WITH ORDINALITY AS x (member, key, n)",
            "FROM unnest(postings) WITH ORDINALITY AS x",
        ),
        (
            """SELECT array_agg(DISTINCT x.n) INTO more FROM unnest(l_posting || l_posting, l_from || l_to) AS x (n, account)
            WHERE x.account IN (SELECT s.account FROM ledger_shut_accounts(l_from || l_to) AS s (account));""",
            """SELECT array_agg(DISTINCT x.posting) INTO more FROM unnest(legs) AS x
            WHERE EXISTS (SELECT FROM ledger_shut_accounts(ARRAY[x.source, x.destination]));""",
        ),
        ("IF cardinality(c_posting) > 0 THEN", "IF cardinality(reach) > 0 THEN"),
        (
            "SELECT c.posting FROM unnest(c_posting, c_organisation, c_node) AS c (posting, organisation, node)",
            "SELECT c.posting FROM unnest(reach) AS c",
        ),
        ("FROM unnest(b_account, b_lot) AS k (account, lot)\n", "FROM unnest(balances) AS k\n"),
        (
            """SELECT look.held[balance] + change FROM unnest(q_balance, q_change)
                     WITH ORDINALITY AS q (balance, change, n) ORDER BY n)""",
            """SELECT look.held[q.balance] + q.change FROM unnest(changes) WITH ORDINALITY AS q ORDER BY q.ordinality)""",
        ),
        ("array_agg(b.quantity_t ORDER BY k.n) AS held", "array_agg(b.quantity_t ORDER BY k.ordinality) AS held"),
        (
            "FROM unnest(b_account, b_lot, b_debit) WITH ORDINALITY AS k (account, lot, debit, n)",
            "FROM unnest(balances) WITH ORDINALITY AS k",
        ),
        ("IS DISTINCT FROM cardinality(b_account)", "IS DISTINCT FROM cardinality(balances)"),
        ("FOR turn IN 1 .. cardinality(t_id) LOOP", "FOR turn IN 1 .. cardinality(postings) LOOP"),
        (
            """SELECT FROM (SELECT account, lot, sum(asked) AS asked
                             FROM unnest(l_posting, l_from, l_lot, l_quantity) AS x (n, account, lot, asked)
                             WHERE n = turn GROUP BY 1, 2) k""",
            """SELECT FROM (SELECT x.source AS account, x.lot, sum(x.quantity) AS asked
                             FROM unnest(legs) AS x WHERE x.posting = turn GROUP BY 1, 2) k""",
        ),
        (
            """SELECT sum(CASE WHEN source = k.account THEN -moved ELSE moved END)
                  FROM unnest(l_posting, l_from, l_to, l_lot, l_quantity) AS x (n, source, destination, lot, moved)
                  WHERE n < turn AND n <> ALL (again) AND x.lot = k.lot AND k.account IN (source, destination)), 0)""",
            """SELECT sum(CASE WHEN x.source = k.account THEN -x.quantity ELSE x.quantity END)
                  FROM unnest(legs) AS x
                  WHERE x.posting < turn AND x.posting <> ALL (again) AND x.lot = k.lot
                    AND k.account IN (x.source, x.destination)), 0)""",
        ),
        ("generate_series(1, cardinality(t_id)) AS n);", "generate_series(1, cardinality(postings)) AS n);"),
        (
            span("ledger_commit", "SELECT x.*, sum(balances)", "), posted AS ("),
            """SELECT x.*, sum(x.balances) OVER (ORDER BY x.ordinality) AS through
            FROM unnest(postings) WITH ORDINALITY AS x
          """,
        ),
        ("quantities[through - balances + 1 : through]", "quantities[through - t.balances + 1 : through]"),
        ("SELECT for_tenant, id, kind, legs, effective_on, beneficiary", "SELECT for_tenant, id, kind, t.legs, effective_on, beneficiary"),
        (
            """SELECT for_tenant, t_id[n], leg, lot, source, destination, quantity
          FROM unnest(l_posting, l_leg, l_lot, l_from, l_to, l_quantity)
            AS x (n, leg, lot, source, destination, quantity);""",
            """SELECT for_tenant, x.transfer, x.leg, x.lot, x.source, x.destination, x.quantity FROM unnest(legs) AS x;""",
        ),
        drop=True,
    )
    run(
        "REVOKE ALL ON FUNCTION ledger_commit FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_commit TO tanheng_app, tanheng_worker",
    )


def _legs() -> None:
    amend(
        "asset_legs_post",
        # Legs of another tenant are none of this one's: `of_tenant` refuses them.
        ("tenant uuid; posted bigint;", "tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid; posted bigint;"),
        (
            """SELECT tenant_id INTO tenant FROM new_legs LIMIT 1;
          IF NOT FOUND THEN
            RETURN NULL;
          END IF;
          """,
            "",
        ),
        (
            "IF lawful IS DISTINCT FROM posted THEN",
            """IF posted = 0 THEN
            RETURN NULL;
          END IF;
          IF lawful IS DISTINCT FROM posted THEN""",
        ),
    )
    # It tells of a moment by the clock, which is the same in every zone, but not to the planner; so it was never inlined.
    run("ALTER FUNCTION ledger_id_floor(timestamptz) STABLE")

"""The quick ways no longer lock balances to look at them and then move them: the trigger on legs moves them, and tells.

What a posting is (its lots, its accounts, its line in the chain) is judged before the first balance is met, so others
wait for a balance only from there to the commit: half as long as before. And each balance is met once and not three
times. Where that is not enough (a balance that is not there, or does not cover what is taken from it), nothing of the
call has happened, and it asks again, looking closely.
"""

from __future__ import annotations

from alembic import op

from migrations.support import amend, run, span

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    _moved_by_key()
    _commit()
    _list()
    _settings()


def _moved_by_key() -> None:
    run(
        # One UPDATE moves them all, so it is the planner who says in which order they are locked. It may look each up, in
        # the order it is given them, or go through a tenant's; and that only by the key, which is the same order, since
        # no other index begins with the tenant. It looks each up as long as it thinks a tenant has more than one: so all
        # rows are said to be of one.
        "DROP INDEX asset_balance_of_lot",
        "CREATE INDEX asset_balance_of_lot ON asset_balance (lot_id, account_id)",
        "ALTER TABLE asset_balance ALTER tenant_id SET (n_distinct = 1)",
    )
    if op.get_bind().exec_driver_sql("SELECT reltuples > 0 FROM pg_class WHERE relname = 'asset_balance'").scalar_one():
        # What was said counts from here on. Not of an empty table, whose statistics have it go through.
        run("ANALYZE asset_balance")
    amend(
        "asset_legs_post",
        ("broken text; in_time boolean;", "broken text; in_time boolean; left_behind text;"),
        (
            span("asset_legs_post", "            -- No limit, in truth", "          ), followed AS ("),
            """            -- No limit, in truth, and no leg of another tenant: but so the planner expects few rows, and looks each up by
            -- its key, now and later. They come in the one order.
            SELECT account_id, lot_id, sum(amount_t) AS amount_t,
                   coalesce(sum(amount_t) FILTER (WHERE amount_t > 0), 0) AS brought_t,
                   (array_agg(transfer_id ORDER BY transfer_id DESC))[1] AS last FROM (
              SELECT from_account_id AS account_id, lot_id, -quantity_t AS amount_t, transfer_id
              FROM new_legs WHERE tenant_id = tenant
              UNION ALL
              SELECT to_account_id, lot_id, quantity_t, transfer_id FROM new_legs WHERE tenant_id = tenant) e
            GROUP BY 1, 2 ORDER BY 1, 2 LIMIT unlimited
""",
        ),
        (
            span("asset_legs_post", "            UPDATE asset_balance b", "          )\n          SELECT sum("),
            """            -- What others committed meanwhile is added to.
            UPDATE asset_balance b SET quantity_t = b.quantity_t + c.amount_t, version = c.last
            FROM change c
            -- Not `= c.lot_id`: as it stands no merge can be thought of, and nobody goes through the index by lot for one.
            WHERE b.tenant_id = tenant AND b.account_id = c.account_id AND b.lot_id = ANY (ARRAY[c.lot_id])
            RETURNING b.account_id, b.lot_id, b.quantity_t,
                      b.issuing OR b.quantity_t - b.reserved_t >= c.brought_t AS covers
""",
        ),
        (
            "(SELECT count(*) FROM followed)\n",
            """(SELECT count(*) FROM followed),
                 -- For who posts: what is left in each, if each covered what is taken without what is brought.
                 (SELECT CASE WHEN bool_and(covers) THEN array_agg(quantity_t ORDER BY account_id, lot_id)::text ELSE '' END
                  FROM followed)
""",
        ),
        ("posted, wanted, moved\n", "posted, wanted, moved, left_behind\n"),
        (
            "ERRCODE = 'TH005', CONSTRAINT = 'asset_leg_meets_balance'",
            "ERRCODE = 'TH006', CONSTRAINT = 'asset_leg_meets_balance'",
        ),
        (
            "          IF looks_back THEN\n",
            """          -- Who asked what is left asks again closely: before the tenant's turn is waited for, for nothing.
          IF left_behind = '' AND current_setting('app.balances_left', true) = 'asked' THEN
            PERFORM ledger_look_closely();
          END IF;
          turn := set_config('app.balances_left', left_behind, true);
          IF looks_back THEN
""",
        ),
        # The policies say the tenant. Said twice, it is compared for each row.
        ("WHERE o.tenant_id = tenant AND o.id", "WHERE o.id"),
        ("WHERE f.tenant_id = tenant AND f.id", "WHERE f.id"),
        ("WHERE g.tenant_id = tenant AND g.id", "WHERE g.id"),
        ("WHERE t.tenant_id = tenant AND t.id = l.transfer_id OFFSET 0", "WHERE t.id = l.transfer_id OFFSET 0"),
    )


def _commit() -> None:
    """Written whole: of what it said little is left."""
    run(
        """
        CREATE FUNCTION ledger_look_closely() RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN
          RAISE EXCEPTION 'postings that have to be looked at closely' USING ERRCODE = 'TH007';
        END $$
        """,
        "DROP FUNCTION ledger_commit",
        "DROP TYPE ledger_posting_change",
        # Of each balance a posting touches: its place among those of the call, and by how much the postings that follow
        # in the call change it. So what is left after all tells what is left after this one.
        "ALTER TYPE ledger_posting ADD ATTRIBUTE places integer[]",
        "ALTER TYPE ledger_posting ADD ATTRIBUTE later bigint[]",
        "ALTER TYPE ledger_posting DROP ATTRIBUTE balances",
        _COMMIT,
        _IN_THE_WAY,
        "REVOKE ALL ON FUNCTION ledger_commit, ledger_in_the_way, ledger_look_closely FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_commit TO tanheng_app, tanheng_worker",
    )


# `again`: the numbers of the postings in whose way something is, when there are any; then nothing was done. Else
# `quantities`: what is left in each balance they touch, in the order of account and lot, which is that of all who lock
# them. Who asks `closely` names these `balances`, and what is taken from each.
_COMMIT = """
CREATE FUNCTION ledger_commit(
  for_tenant uuid, closely boolean, reach ledger_posting_reach[], postings ledger_posting[], legs ledger_posting_leg[],
  balances ledger_posting_balance[], OUT again integer[], OUT recorded_at timestamptz, OUT quantities bigint[])
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off
SET random_page_cost = 0 AS $$
#variable_conflict use_column
DECLARE done text;
BEGIN
  done := set_config('app.tenant_id', for_tenant::text, true);
  done := set_config('app.balances_left', 'asked', true);
  recorded_at := now();
  again := '{}';
  IF cardinality(reach) > 0 THEN
    SELECT coalesce(array_agg(DISTINCT c.posting), '{}') INTO again FROM (
      SELECT c.posting FROM unnest(reach) AS c
      LEFT JOIN organisation_reach r ON r.tenant_id = for_tenant AND r.descendant_id = c.organisation
        AND r.ancestor_id = c.node
      GROUP BY c.posting, c.organisation HAVING count(r.descendant_id) = 0) c;
  END IF;
  IF closely AND cardinality(again) = 0 THEN
    again := ledger_in_the_way(for_tenant, postings, legs, balances);
  END IF;
  IF cardinality(again) > 0 THEN
    RETURN;
  END IF;
  WITH posted AS (
    INSERT INTO asset_transfer (tenant_id, id, kind, legs, effective_on, beneficiary_id, for_year, purpose, evidence,
                                member_id, operation, organisation_id, correlation_id)
    SELECT for_tenant, id, kind, x.legs, effective_on, beneficiary, year, purpose, evidence,
           member, operation, organisation, correlation
    FROM unnest(postings) AS x
    WHERE CASE
      -- A key that somebody else uses is not waited for: that would be with balances that others want.
      WHEN x.key IS NULL OR pg_try_advisory_xact_lock(hashtextextended('key ' || x.member || ' ' || x.key, 0))
      THEN EXISTS (SELECT FROM tenant t WHERE t.id = for_tenant AND t.status = 'ACTIVE')
        -- Each posting has the legs it says: what has none would meet no trigger.
        AND (SELECT sum(p.legs) FROM unnest(postings) AS p) = cardinality(ledger_commit.legs)
    END OR ledger_look_closely()
  )
  INSERT INTO asset_leg (tenant_id, transfer_id, leg, lot_id, from_account_id, to_account_id, quantity_t)
  SELECT for_tenant, x.transfer, x.leg, x.lot, x.source, x.destination, x.quantity FROM unnest(legs) AS x;
  quantities := current_setting('app.balances_left');
  -- A key that was used before breaks the statement: then nothing of it has happened.
  INSERT INTO idempotency_key (tenant_id, member_id, key, operation, body_sha256, answer)
  SELECT for_tenant, member, key, operation, digest,
         jsonb_build_object('transfers', encode(uuid_send(id), 'base64'),
                            'quantities', to_jsonb(ARRAY(SELECT quantities[c.place] - c.later
                                                         FROM unnest(x.places, x.later) AS c (place, later))))
  FROM unnest(postings) AS x WHERE key IS NOT NULL;
END $$
"""

# Of those that stand it holds the keys and has locked the balances, making those that were not there.
_IN_THE_WAY = """
CREATE FUNCTION ledger_in_the_way(
  for_tenant uuid, postings ledger_posting[], legs ledger_posting_leg[], balances ledger_posting_balance[])
RETURNS integer[] LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE done text; again integer[]; shut integer[]; covered boolean;
BEGIN
  done := tenant_must_be_writable();
  SELECT coalesce(array_agg(x.ordinality::integer), '{}') INTO again
  FROM unnest(postings) WITH ORDINALITY AS x
  WHERE x.key IS NOT NULL AND (
    NOT pg_try_advisory_xact_lock(hashtextextended('key ' || x.member || ' ' || x.key, 0))
    OR EXISTS (SELECT FROM idempotency_key k
               WHERE k.tenant_id = for_tenant AND k.member_id = x.member AND k.key = x.key OFFSET 0));
  SELECT coalesce(array_agg(DISTINCT x.posting), '{}') INTO shut FROM unnest(legs) AS x
  WHERE EXISTS (SELECT FROM ledger_shut_accounts(ARRAY[x.source, x.destination]));
  again := again || shut;
  IF cardinality(again) > 0 THEN
    RETURN again;
  END IF;
  -- As in `ledger_post`: made before any is locked.
  INSERT INTO asset_balance (tenant_id, account_id, lot_id, issuing)
  SELECT DISTINCT for_tenant, k.account, k.lot, a.issuing
  FROM unnest(balances) AS k
  CROSS JOIN LATERAL (SELECT issuing FROM asset_account a
                      WHERE a.tenant_id = for_tenant AND a.id = k.account OFFSET 0) a
  ORDER BY 2, 3
  ON CONFLICT DO NOTHING;
  SELECT bool_and(b.issuing OR b.quantity_t - b.reserved_t >= k.debit) INTO covered
  FROM unnest(balances) AS k
  CROSS JOIN LATERAL (
    SELECT * FROM asset_balance b
    WHERE b.tenant_id = for_tenant AND b.account_id = k.account AND b.lot_id = k.lot FOR UPDATE) b;
  IF covered THEN
    RETURN again;
  END IF;
  -- Each in its turn, against what those before it leave: so one that is too large costs its neighbours nothing.
  FOR turn IN 1 .. cardinality(postings) LOOP
    IF EXISTS (
      SELECT FROM (SELECT x.source AS account, x.lot, sum(x.quantity) AS asked
                   FROM unnest(legs) AS x WHERE x.posting = turn GROUP BY 1, 2) k
      CROSS JOIN LATERAL (
        SELECT * FROM asset_balance b
        WHERE b.tenant_id = for_tenant AND b.account_id = k.account AND b.lot_id = k.lot OFFSET 0) b
      WHERE NOT b.issuing AND b.quantity_t - b.reserved_t + coalesce((
        SELECT sum(CASE WHEN x.source = k.account THEN -x.quantity ELSE x.quantity END)
        FROM unnest(legs) AS x
        WHERE x.posting < turn AND x.posting <> ALL (again) AND x.lot = k.lot
          AND k.account IN (x.source, x.destination)), 0)
        < k.asked) THEN
      again := again || turn;
    END IF;
  END LOOP;
  -- None by itself, but all of them together: each is judged alone.
  RETURN CASE WHEN cardinality(again) > 0 THEN again
              ELSE ARRAY(SELECT n FROM generate_series(1, cardinality(postings)) AS n) END;
END $$
"""


def _list() -> None:
    amend(
        "ledger_commit_list",
        (
            "done text; covered boolean; said bigint; wanted bigint; met bigint; after bigint[];",
            "done text; after bigint[];",
        ),
        (
            "          done := tenant_must_be_writable();\n",
            "          done := set_config('app.balances_left', 'asked', true);\n          done := tenant_must_be_writable();\n",
        ),
        (
            span("ledger_commit_list", "          -- Transfers meet nobody.", "          INSERT INTO asset_leg"),
            """          IF (SELECT sum(n) FROM unnest(t_legs) AS n) IS DISTINCT FROM cardinality(l_lot)
              OR t_kind @> '{REVERSE}' THEN
            RAISE EXCEPTION 'a list that needs judging one by one' USING ERRCODE = 'TH007';
          END IF;
""",
        ),
        (
            "          UPDATE idempotency_key k",
            """          after := current_setting('app.balances_left');
          UPDATE idempotency_key k""",
        ),
    )


def _settings() -> None:
    """Each setting of a function is set and set back by every call. With look-ups that cost no more than the row they
    find, plans go by key however small a table is when they are made, so most are not needed; and those of who posts
    hold in the trigger.
    """
    run(
        "ALTER FUNCTION asset_legs_post() RESET ALL",
        "ALTER FUNCTION asset_legs_post() SET search_path = public, pg_temp",
    )
    for function in ("ledger_post", "ledger_issue", "ledger_cut", "ledger_commit_list"):
        run(f"ALTER FUNCTION {function} SET random_page_cost = 0", f"ALTER FUNCTION {function} SET enable_bitmapscan = off")
    for setting in ("enable_material", "enable_memoize"):
        run(f"ALTER FUNCTION ledger_commit_list RESET {setting}")

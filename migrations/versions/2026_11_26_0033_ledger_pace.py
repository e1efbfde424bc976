"""Postings with less to reckon in the database, and less to ask of each balance that moves.

The caller of `ledger_commit` knows which balances its postings touch and by how much: so each is locked, judged and told
by its key alone.
"""

from __future__ import annotations

from migrations.support import run

revision = "0033"
down_revision = "0032"

# As in 0023: planned once per connection, and whatever the tables held at that moment, by their keys.
PLANS = """SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
        SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
        SET enable_bitmapscan = off SET enable_material = off SET enable_memoize = off"""


def upgrade() -> None:
    run(
        # Asked once for a statement and not for each row of it: a balance follows its legs, and nothing else sets it.
        "DROP TRIGGER asset_balance_follows ON asset_balance",
        "CREATE TRIGGER asset_balance_follows BEFORE UPDATE ON asset_balance FOR EACH STATEMENT "
        "WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_change()",
        # Hashes do not get smaller by compression.
        "ALTER TABLE asset_seal ALTER COLUMN leaves SET STORAGE EXTERNAL, ALTER COLUMN transfer_ids SET STORAGE EXTERNAL",
        "DROP FUNCTION ledger_commit",
        # The postings of many callers of one tenant, as in 0023. `b_*`: each balance they touch, in the order in which all
        # lock them, and what all of them take from it; `q_*`: for each posting in turn, balance by balance, which of
        # those, and by how much this posting and those before it have changed it.
        f"""
        CREATE FUNCTION ledger_commit(
          for_tenant uuid, opening boolean, c_posting integer[], c_organisation uuid[], c_node uuid[],
          t_member uuid[], t_operation text[], t_correlation text[], t_key text[], t_digest bytea[],
          t_id uuid[], t_kind text[], t_legs integer[], t_effective_on date[], t_beneficiary uuid[], t_year integer[],
          t_purpose text[], t_evidence text[], t_organisation uuid[], t_balances integer[],
          l_posting integer[], l_leg integer[], l_lot uuid[], l_from uuid[], l_to uuid[], l_quantity bigint[],
          b_account uuid[], b_lot uuid[], b_debit bigint[], q_balance integer[], q_change bigint[],
          OUT again integer[], OUT recorded_at timestamptz, OUT quantities bigint[]
        ) LANGUAGE plpgsql SECURITY DEFINER {PLANS} AS $$
        #variable_conflict use_column
        DECLARE done text; some_shut boolean; more integer[]; covered boolean; met bigint;
        BEGIN
          done := set_config('app.tenant_id', for_tenant::text, true);
          done := tenant_must_be_writable();
          recorded_at := now();
          SELECT coalesce(array_agg(x.n::integer), '{{}}'),
                 EXISTS (SELECT FROM account_state a WHERE a.tenant_id = for_tenant AND a.state <> 'OPEN')
          INTO again, some_shut
          FROM unnest(t_member, t_key) WITH ORDINALITY AS x (member, key, n)
          CROSS JOIN LATERAL (
            SELECT FROM idempotency_key k
            WHERE k.tenant_id = for_tenant AND k.member_id = x.member AND k.key = x.key OFFSET 0) k;
          IF some_shut THEN
            SELECT array_agg(DISTINCT x.n) INTO more FROM unnest(l_posting || l_posting, l_from || l_to) AS x (n, account)
            WHERE x.account IN (SELECT s.account FROM ledger_shut_accounts(l_from || l_to) AS s (account));
            again := again || more;
          END IF;
          IF cardinality(c_posting) > 0 THEN
            SELECT array_agg(DISTINCT c.posting) INTO more FROM (
              SELECT c.posting FROM unnest(c_posting, c_organisation, c_node) AS c (posting, organisation, node)
              LEFT JOIN organisation_reach r ON r.tenant_id = for_tenant AND r.descendant_id = c.organisation
                AND r.ancestor_id = c.node
              GROUP BY c.posting, c.organisation HAVING count(r.descendant_id) = 0) c;
            again := again || more;
          END IF;
          IF cardinality(again) > 0 THEN
            RETURN;
          END IF;

          IF opening THEN
            -- As in `ledger_post`: made before any is locked.
            INSERT INTO asset_balance (tenant_id, account_id, lot_id, issuing)
            SELECT for_tenant, k.account, k.lot, a.issuing
            FROM unnest(b_account, b_lot) AS k (account, lot)
            CROSS JOIN LATERAL (SELECT issuing FROM asset_account a
                                WHERE a.tenant_id = for_tenant AND a.id = k.account OFFSET 0) a
            ON CONFLICT DO NOTHING;
          END IF;
          -- Each balance is locked, in the one order, judged and told by one look. What the caller reckoned decides only
          -- what is answered: the trigger on legs reckons for itself, and locks nothing that is not locked here.
          SELECT bool_and(b.issuing OR b.quantity_t - b.reserved_t >= k.debit), count(*),
                 array_agg(b.quantity_t ORDER BY k.n)
          INTO covered, met, quantities
          FROM unnest(b_account, b_lot, b_debit) WITH ORDINALITY AS k (account, lot, debit, n)
          CROSS JOIN LATERAL (
            SELECT issuing, quantity_t, reserved_t FROM asset_balance b
            WHERE b.tenant_id = for_tenant AND b.account_id = k.account AND b.lot_id = k.lot FOR UPDATE) b;
          IF met IS DISTINCT FROM cardinality(b_account) THEN
            RAISE EXCEPTION 'a posting needs balances that are not there yet' USING ERRCODE = 'TH006';
          END IF;
          IF NOT covered THEN
            -- Each in its turn, against what those before it leave: so one that is too large costs its neighbours nothing.
            FOR turn IN 1 .. cardinality(t_id) LOOP
              IF EXISTS (
                SELECT FROM (SELECT account, lot, sum(asked) AS asked
                             FROM unnest(l_posting, l_from, l_lot, l_quantity) AS x (n, account, lot, asked)
                             WHERE n = turn GROUP BY 1, 2) k
                CROSS JOIN LATERAL (
                  SELECT * FROM asset_balance b
                  WHERE b.tenant_id = for_tenant AND b.account_id = k.account AND b.lot_id = k.lot OFFSET 0) b
                WHERE NOT b.issuing AND b.quantity_t - b.reserved_t + coalesce((
                  SELECT sum(CASE WHEN source = k.account THEN -moved ELSE moved END)
                  FROM unnest(l_posting, l_from, l_to, l_lot, l_quantity) AS x (n, source, destination, lot, moved)
                  WHERE n < turn AND n <> ALL (again) AND x.lot = k.lot AND k.account IN (source, destination)), 0)
                  < k.asked) THEN
                again := again || turn;
              END IF;
            END LOOP;
            IF cardinality(again) = 0 THEN
              again := ARRAY(SELECT n FROM generate_series(1, cardinality(t_id)) AS n);
            END IF;
            RETURN;
          END IF;

          quantities := ARRAY(SELECT quantities[balance] + change FROM unnest(q_balance, q_change)
                                WITH ORDINALITY AS q (balance, change, n) ORDER BY n);
          WITH t AS (
            SELECT x.*, sum(balances) OVER (ORDER BY n) AS through
            FROM unnest(t_member, t_operation, t_correlation, t_key, t_digest, t_id, t_kind, t_legs, t_effective_on,
                        t_beneficiary, t_year, t_purpose, t_evidence, t_organisation, t_balances)
              WITH ORDINALITY AS x (member, operation, correlation, key, digest, id, kind, legs, effective_on,
                                    beneficiary, year, purpose, evidence, organisation, balances, n)
          ), posted AS (
            INSERT INTO asset_transfer (tenant_id, id, kind, legs, effective_on, beneficiary_id, for_year, purpose,
                                        evidence)
            SELECT for_tenant, id, kind, legs, effective_on, beneficiary, year, purpose, evidence FROM t
          ), audited AS (
            INSERT INTO audit_event (tenant_id, id, member_id, operation, organisation_id, subject_type, subject_id,
                                     after, correlation_id)
            SELECT for_tenant, id, member, operation, organisation, 'AssetTransfer', id,
                   jsonb_build_object('kind', kind, 'effective_on', effective_on, 'beneficiary_id', beneficiary,
                                      'for_year', year, 'reverses_id', NULL),
                   correlation
            FROM t
          ), remembered AS (
            -- A key that somebody else used meanwhile breaks the statement: then nothing of it has happened.
            INSERT INTO idempotency_key (tenant_id, member_id, key, operation, body_sha256, answer)
            SELECT for_tenant, member, key, operation, digest,
                   jsonb_build_object('transfers', encode(uuid_send(id), 'base64'),
                                      'quantities', to_jsonb(quantities[through - balances + 1 : through]))
            FROM t WHERE key IS NOT NULL
          )
          INSERT INTO asset_leg (tenant_id, transfer_id, leg, lot_id, from_account_id, to_account_id, quantity_t)
          SELECT for_tenant, t_id[n], leg, lot, source, destination, quantity
          FROM unnest(l_posting, l_leg, l_lot, l_from, l_to, l_quantity)
            AS x (n, leg, lot, source, destination, quantity);
        END $$
        """,
        "REVOKE ALL ON FUNCTION ledger_commit FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_commit TO tanheng_app, tanheng_worker",
    )

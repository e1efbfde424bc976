"""The flow of postings with fewer statements and fewer index entries: what a posting costs besides its commit.

One call pays for starting statements, a list pays for rows. So the calls say in few statements what they said in many,
the trigger on legs looks everything up once, and indexes that other keys can stand in for are gone.
"""

from __future__ import annotations

from migrations.support import run

revision = "0023"
down_revision = "0022"

# As in 0016 and 0020: planned once per connection, and whatever the tables held at that moment, by their keys.
PLANS = """SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
        SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
        SET enable_bitmapscan = off SET enable_material = off SET enable_memoize = off"""


def upgrade() -> None:
    _indexes()
    _legs()
    _commit()
    _commit_list()


def _indexes() -> None:
    run(
        # Days of effect come in the order of recording, more or less: a range of pages finds them.
        "DROP INDEX asset_transfer_by_day",
        "CREATE INDEX asset_transfer_by_day ON asset_transfer USING brin (effective_on)",
        # An event that bears its subject's id, as those of transfers do, is found by the primary key.
        "DROP INDEX audit_event_of_subject",
        "CREATE INDEX audit_event_of_subject ON audit_event (tenant_id, subject_id, id) WHERE id <> subject_id",
        # Most tenants have shut no account, which one look tells.
        "CREATE INDEX account_state_shut ON account_state (tenant_id, account_id) WHERE state <> 'OPEN'",
    )


def _legs() -> None:
    run(
        "DROP TRIGGER legs_meet_open_accounts ON asset_leg",
        "DROP FUNCTION legs_meet_open_accounts",
        "DROP FUNCTION asset_seal_on",
        # What no leg of a transfer of these kinds can show by itself: that it is the whole issue of its lot, the contra
        # of a leg of the original, or cuts a lot as was recorded. Raises when one does not, and withdraws the lots that
        # go back to where lots come from.
        f"""
        CREATE FUNCTION asset_legs_look_back(of_tenant uuid, transfers uuid[]) RETURNS void LANGUAGE plpgsql {PLANS} AS $$
        DECLARE back record;
        BEGIN
          IF EXISTS (
            SELECT FROM unnest(transfers) AS x (id)
            CROSS JOIN LATERAL (SELECT * FROM asset_transfer t WHERE t.tenant_id = of_tenant AND t.id = x.id OFFSET 0) t
            CROSS JOIN LATERAL (SELECT * FROM asset_leg l
                                WHERE l.tenant_id = of_tenant AND l.transfer_id = x.id OFFSET 0) l
            CROSS JOIN LATERAL (SELECT * FROM asset_lot o
                                WHERE o.tenant_id = of_tenant AND o.id = l.lot_id OFFSET 0) o
            CROSS JOIN LATERAL (SELECT * FROM asset_account f
                                WHERE f.tenant_id = of_tenant AND f.id = l.from_account_id OFFSET 0) f
            CROSS JOIN LATERAL (SELECT * FROM asset_account g
                                WHERE g.tenant_id = of_tenant AND g.id = l.to_account_id OFFSET 0) g
            WHERE NOT coalesce(CASE
              WHEN t.kind = 'ISSUE' THEN f.issuing AND g.organisation_id = o.issued_to AND l.quantity_t = o.quantity_t
                                         AND o.issued_by = t.id
              WHEN t.kind IN ('SPLIT', 'MERGE') THEN l.quantity_t = o.quantity_t
                AND asset_leg_cuts(of_tenant, t.id, o.id, f.issuing)
                AND (f.issuing AND g.organisation_id IS NOT NULL OR g.issuing AND f.organisation_id IS NOT NULL)
              WHEN t.kind = 'REVERSE' THEN EXISTS (
                SELECT FROM asset_transfer r, asset_leg c
                WHERE r.tenant_id = of_tenant AND r.id = t.reverses_id AND r.kind NOT IN ('REVERSE', 'SPLIT', 'MERGE')
                  AND r.legs = t.legs AND c.tenant_id = of_tenant AND c.transfer_id = t.reverses_id
                  AND c.leg = l.leg AND c.lot_id = l.lot_id AND c.quantity_t = l.quantity_t
                  AND c.from_account_id = l.to_account_id AND c.to_account_id = l.from_account_id)
              ELSE true END, false)) THEN
            RAISE EXCEPTION 'a leg does not fit its transfer, its lot or its accounts'
              USING ERRCODE = 'TH005', CONSTRAINT = 'asset_leg_lawful';
          END IF;
          FOR back IN
            SELECT l.lot_id, l.transfer_id FROM unnest(transfers) AS x (id)
            CROSS JOIN LATERAL (SELECT * FROM asset_leg l
                                WHERE l.tenant_id = of_tenant AND l.transfer_id = x.id OFFSET 0) l
            CROSS JOIN LATERAL (SELECT * FROM asset_account g
                                WHERE g.tenant_id = of_tenant AND g.id = l.to_account_id OFFSET 0) g
            WHERE g.issuing
          LOOP
            UPDATE asset_lot SET withdrawn_by = back.transfer_id WHERE tenant_id = of_tenant AND id = back.lot_id;
          END LOOP;
        END $$
        """,
        "REVOKE ALL ON FUNCTION asset_legs_look_back FROM PUBLIC",
        # What every leg must be, whoever inserts it: of one tenant, lawful for the kind of its transfer, together with
        # all the other legs of it (so none can be added later), not before its lot existed. The balances follow; going
        # below zero breaks the constraint on them. In the same look the transfers' words are hashed; a leg that meets
        # no lot, account or transfer is missing there.
        f"""
        CREATE OR REPLACE FUNCTION asset_legs_post() RETURNS trigger LANGUAGE plpgsql {PLANS} AS $$
        DECLARE
          tenant uuid; posted bigint; lawful bigint; wanted bigint; moved bigint; looks_back boolean; first_day date;
          ids uuid[]; with_leaves bytea; at timestamptz; turn text;
          last_number bigint; last_hash bytea; closed_through date; some_shut boolean;
          unlimited bigint := 1000000000;
        BEGIN
          SELECT tenant_id INTO tenant FROM new_legs LIMIT 1;
          IF NOT FOUND THEN
            RETURN NULL;
          END IF;
          WITH change AS (
            -- No limit, in truth: but so the planner expects few rows, and looks each up by its key, now and later.
            -- And the tenant comes from the leg, lest all balances of a tenant be looked through for a few.
            SELECT tenant_id, account_id, lot_id, sum(amount_t) AS amount_t FROM (
              SELECT tenant_id, from_account_id AS account_id, lot_id, -quantity_t AS amount_t FROM new_legs
              UNION ALL
              SELECT tenant_id, to_account_id, lot_id, quantity_t FROM new_legs) e
            GROUP BY 1, 2, 3 LIMIT unlimited
          ), followed AS (
            UPDATE asset_balance b SET quantity_t = b.quantity_t + c.amount_t
            FROM change c WHERE b.tenant_id = c.tenant_id AND b.account_id = c.account_id AND b.lot_id = c.lot_id
            RETURNING 1
          )
          SELECT sum(x.legs) FILTER (WHERE x.lawful), bool_or(x.looks_back), min(x.effective_on), max(x.recorded_at),
                 array_agg(x.id ORDER BY x.id),
                 string_agg(sha256(convert_to(x.line, 'UTF8')), ''::bytea ORDER BY x.id),
                 (SELECT count(*) FROM new_legs), (SELECT count(*) FROM change), (SELECT count(*) FROM followed)
          INTO lawful, looks_back, first_day, at, ids, with_leaves, posted, wanted, moved
          FROM (
            SELECT t.id, l.legs, t.effective_on, t.recorded_at,
                   t.kind IN ('ISSUE', 'REVERSE', 'SPLIT', 'MERGE') AS looks_back,
                   l.of_tenant AND l.legs = t.legs AND l.highest <= t.legs AND t.effective_on >= l.issued_on AND CASE t.kind
                     WHEN 'TRANSFER' THEN l.traded
                     WHEN 'SURRENDER' THEN l.held AND l.first_kind = 'SURRENDERED' AND l.last_kind = 'SURRENDERED'
                     WHEN 'RETIRE' THEN l.held AND l.first_kind = 'RETIRED' AND l.last_kind = 'RETIRED'
                     WHEN 'CANCEL' THEN l.held AND l.first_kind = 'CANCELLED' AND l.last_kind = 'CANCELLED'
                     ELSE true END AS lawful,
                   ledger_line(t.id, t.kind, t.effective_on, t.beneficiary_id, t.for_year, t.reverses_id,
                               ledger_micros(t.recorded_at), t.legs, l.words, t.purpose, t.evidence, NULL) AS line
            FROM (
              SELECT l.transfer_id, bool_and(l.tenant_id = tenant) AS of_tenant, count(*) AS legs, max(l.leg) AS highest,
                     max(o.issued_on) AS issued_on, bool_and(f.organisation_id IS NOT NULL) AS held,
                     bool_and((f.organisation_id IS NOT NULL OR f.kind = 'MARKET')
                              AND (g.organisation_id IS NOT NULL OR g.kind = 'MARKET')) AS traded,
                     min(g.kind COLLATE "C") AS first_kind, max(g.kind COLLATE "C") AS last_kind,
                     string_agg(concat_ws('>', l.lot_id, l.from_account_id, l.to_account_id, l.quantity_t), ','
                                ORDER BY l.leg) AS words
              FROM new_legs l
              CROSS JOIN LATERAL (SELECT issued_on FROM asset_lot o
                                  WHERE o.tenant_id = tenant AND o.id = l.lot_id OFFSET 0) o
              CROSS JOIN LATERAL (SELECT organisation_id, kind FROM asset_account f
                                  WHERE f.tenant_id = tenant AND f.id = l.from_account_id OFFSET 0) f
              CROSS JOIN LATERAL (SELECT organisation_id, kind FROM asset_account g
                                  WHERE g.tenant_id = tenant AND g.id = l.to_account_id OFFSET 0) g
              GROUP BY 1) l
            CROSS JOIN LATERAL (SELECT * FROM asset_transfer t
                                WHERE t.tenant_id = tenant AND t.id = l.transfer_id OFFSET 0) t) x;
          IF lawful IS DISTINCT FROM posted THEN
            RAISE EXCEPTION 'a leg does not fit its transfer, its lot or its accounts'
              USING ERRCODE = 'TH005', CONSTRAINT = 'asset_leg_lawful';
          END IF;
          IF wanted <> moved THEN
            RAISE EXCEPTION 'a leg meets no balance: each account and lot needs its row, at zero, first'
              USING ERRCODE = 'TH005', CONSTRAINT = 'asset_leg_meets_balance';
          END IF;
          IF looks_back THEN
            PERFORM asset_legs_look_back(tenant, ids);
            SELECT string_agg(sha256(convert_to(w.line, 'UTF8')), ''::bytea ORDER BY w.id) INTO with_leaves
            FROM ledger_lines(ids) w;
          END IF;

          -- Seals take turns by a lock of the tenant, held to the end of the transaction and taken after all balances.
          -- So do closings; and who shuts an account has locked its balances. What is read now is what holds.
          turn := pg_advisory_xact_lock(hashtextextended('asset_seal ' || tenant, 0));
          SELECT s.number, s.hash,
                 (SELECT max(c.through) FROM asset_closing c WHERE c.tenant_id = tenant),
                 EXISTS (SELECT FROM account_state a WHERE a.tenant_id = tenant AND a.state <> 'OPEN')
          INTO last_number, last_hash, closed_through, some_shut
          FROM (VALUES (1)) AS one
          LEFT JOIN LATERAL (SELECT number, hash FROM asset_seal
                             WHERE tenant_id = tenant ORDER BY number DESC LIMIT 1) s ON true;
          IF first_day <= closed_through THEN
            RAISE EXCEPTION 'a transfer takes effect in a period that is closed'
              USING ERRCODE = 'TH005', CONSTRAINT = 'asset_leg_open_period';
          END IF;
          IF some_shut AND EXISTS (
            SELECT FROM new_legs l
            CROSS JOIN LATERAL (
              SELECT DISTINCT ON (s.account_id) s.state FROM account_state s
              WHERE s.tenant_id = l.tenant_id AND s.account_id IN (l.from_account_id, l.to_account_id)
              ORDER BY s.account_id, s.number DESC) AS last
            WHERE last.state <> 'OPEN') THEN
            -- A serialization failure: who asked before the state was set asks again, and is told the reason.
            RAISE EXCEPTION 'units move between open accounts only' USING ERRCODE = '40001';
          END IF;
          last_number := coalesce(last_number, 0);
          last_hash := coalesce(last_hash, sha256(convert_to('tanheng ledger ' || tenant, 'UTF8')));
          INSERT INTO asset_seal (tenant_id, number, sealed_at, transfer_ids, leaves, previous, hash)
          VALUES (tenant, last_number + 1, at, ids, with_leaves, last_hash, sha256(convert_to(concat_ws('|',
            'seal', last_number + 1, encode(last_hash, 'hex'), ledger_micros(at), cardinality(ids),
            encode(sha256(with_leaves), 'hex')), 'UTF8')));
          RETURN NULL;
        END $$
        """,
    )


def _commit() -> None:
    run(
        "DROP FUNCTION ledger_commit",
        # The postings of many callers of one tenant in one round trip and one transaction, which the call is. It only
        # says yes: nothing is written and `again` numbers those that cannot be told without looking closer: their key has
        # been used, an account may not move, their caller does not reach the organisation they are taken from (`c_*`:
        # one row for each posting, organisation and node on which the caller has the right), or in its turn a balance
        # does not cover it. Else `quantities` are each posting's balances as it left them, in the order of
        # posting, account and lot; `t_balances` counts them. They are kept under the keys with the transfers' ids.
        # Balances that are missing are made when `opening`, before any is locked; else the statement breaks.
        f"""
        CREATE FUNCTION ledger_commit(
          for_tenant uuid, opening boolean, c_posting integer[], c_organisation uuid[], c_node uuid[],
          t_member uuid[], t_operation text[], t_correlation text[], t_key text[], t_digest bytea[],
          t_id uuid[], t_kind text[], t_legs integer[], t_effective_on date[], t_beneficiary uuid[], t_year integer[],
          t_purpose text[], t_evidence text[], t_organisation uuid[], t_balances integer[],
          l_posting integer[], l_leg integer[], l_lot uuid[], l_from uuid[], l_to uuid[], l_quantity bigint[],
          OUT again integer[], OUT recorded_at timestamptz, OUT quantities bigint[]
        ) LANGUAGE plpgsql SECURITY DEFINER {PLANS} AS $$
        #variable_conflict use_column
        DECLARE done text; some_shut boolean; more integer[]; covered boolean; wanted bigint; met bigint;
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
            SELECT DISTINCT for_tenant, k.account, k.lot, a.issuing
            FROM unnest(l_from || l_to, l_lot || l_lot) AS k (account, lot)
            CROSS JOIN LATERAL (SELECT issuing FROM asset_account a
                                WHERE a.tenant_id = for_tenant AND a.id = k.account OFFSET 0) a
            ORDER BY 2, 3
            ON CONFLICT DO NOTHING;
          END IF;
          -- Each balance is locked, in the one order, judged and told by one look.
          SELECT bool_and(issuing OR quantity_t - reserved_t >= debit), count(*), min(sides),
                 array_agg(after ORDER BY n, account, lot)
          INTO covered, met, wanted, quantities
          FROM (
            SELECT k.account, k.lot, k.debit, k.sides, b.issuing, b.quantity_t, b.reserved_t, u.n,
                   (b.quantity_t + sum(u.amount) OVER (PARTITION BY k.account, k.lot ORDER BY u.n))::bigint AS after
            FROM (
              SELECT account, lot, sum(debit) AS debit, array_agg(n ORDER BY n) AS postings,
                     array_agg(amount ORDER BY n) AS amounts, sum(count(*)) OVER () AS sides
              FROM (
                SELECT n, account, lot, sum(debit) AS debit, (sum(credit) - sum(debit))::bigint AS amount FROM (
                  SELECT unnest(l_posting), unnest(l_from), unnest(l_lot), unnest(l_quantity), 0
                  UNION ALL SELECT unnest(l_posting), unnest(l_to), unnest(l_lot), 0, unnest(l_quantity))
                  AS side (n, account, lot, debit, credit)
                GROUP BY 1, 2, 3) side
              GROUP BY 1, 2 ORDER BY 1, 2) k
            CROSS JOIN LATERAL (
              SELECT * FROM asset_balance b
              WHERE b.tenant_id = for_tenant AND b.account_id = k.account AND b.lot_id = k.lot FOR UPDATE) b
            CROSS JOIN LATERAL unnest(k.postings, k.amounts) AS u (n, amount)) AS locked;
          IF met IS DISTINCT FROM wanted THEN
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


def _commit_list() -> None:
    run(
        "DROP FUNCTION ledger_commit_list",
        "DROP FUNCTION ledger_post_list",
        # The list of one caller, as in 0020: in one round trip and one transaction, whole or (no row answered) not at all.
        # What all transfers have alike comes once, in an array of one; no `l_posting` says that each has one leg. The
        # balances are locked, judged and told by one look at each, in the order of account and lot, which is the order in
        # which all postings lock them. What they really become is still the trigger's on legs.
        f"""
        CREATE FUNCTION ledger_commit_list(
          for_tenant uuid, opening boolean, c_organisation uuid[], c_node uuid[],
          by_member uuid, in_operation text, with_correlation text, with_key text, with_digest bytea, transfers text,
          t_id uuid[], t_kind text[], t_legs integer[], t_effective_on date[], t_beneficiary uuid[], t_year integer[],
          t_purpose text[], t_evidence text[], t_organisation uuid[],
          l_posting integer[], l_leg integer[], l_lot uuid[], l_from uuid[], l_to uuid[], l_quantity bigint[]
        ) RETURNS TABLE (recorded_at timestamptz, balances bigint[])
        LANGUAGE plpgsql SECURITY DEFINER {PLANS} AS $$
        #variable_conflict use_column
        DECLARE
          size integer := cardinality(t_id);
          alike integer[] := ARRAY[size];
          each_one boolean := cardinality(l_posting) = 0;
          done text; covered boolean; wanted bigint; met bigint; after bigint[];
        BEGIN
          done := set_config('app.tenant_id', for_tenant::text, true);
          done := tenant_must_be_writable();
          IF cardinality(c_organisation) > 0 AND EXISTS (
            SELECT FROM unnest(c_organisation, c_node) AS c (organisation, node)
            LEFT JOIN organisation_reach r ON r.tenant_id = for_tenant AND r.descendant_id = c.organisation
              AND r.ancestor_id = c.node
            GROUP BY c.organisation HAVING count(r.descendant_id) = 0) THEN
            RETURN;
          END IF;
          IF with_key IS NOT NULL THEN
            INSERT INTO idempotency_key (tenant_id, member_id, key, operation, body_sha256)
            VALUES (for_tenant, by_member, with_key, in_operation, with_digest) ON CONFLICT DO NOTHING;
            IF NOT FOUND THEN
              RETURN;
            END IF;
          END IF;
          IF opening THEN
            -- As in `ledger_post`: made before any is locked.
            INSERT INTO asset_balance (tenant_id, account_id, lot_id, issuing)
            SELECT DISTINCT for_tenant, k.account, k.lot, a.issuing
            FROM unnest(l_from || l_to, l_lot || l_lot) AS k (account, lot)
            CROSS JOIN LATERAL (SELECT issuing FROM asset_account a
                                WHERE a.tenant_id = for_tenant AND a.id = k.account OFFSET 0) a
            ORDER BY 2, 3
            ON CONFLICT DO NOTHING;
          END IF;
          SELECT bool_and(issuing OR quantity_t - reserved_t >= debit), count(*), min(keys),
                 array_agg(quantity_t + credit - debit ORDER BY account, lot)
          INTO covered, met, wanted, after
          FROM (
            SELECT k.*, b.issuing, b.quantity_t, b.reserved_t
            FROM (SELECT account, lot, sum(debit)::bigint AS debit, sum(credit)::bigint AS credit,
                         count(*) OVER () AS keys
                  FROM (SELECT unnest(l_from), unnest(l_lot), unnest(l_quantity), 0::bigint
                        UNION ALL SELECT unnest(l_to), unnest(l_lot), 0::bigint, unnest(l_quantity))
                    AS side (account, lot, debit, credit)
                  GROUP BY 1, 2 ORDER BY 1, 2) k
            CROSS JOIN LATERAL (
              SELECT * FROM asset_balance b
              WHERE b.tenant_id = for_tenant AND b.account_id = k.account AND b.lot_id = k.lot FOR UPDATE) b) AS locked;
          IF met IS DISTINCT FROM wanted THEN
            RAISE EXCEPTION 'a list needs balances that are not there yet' USING ERRCODE = 'TH006';
          END IF;
          IF NOT covered OR t_kind @> '{{REVERSE}}' THEN
            RAISE EXCEPTION 'a list with a transfer that needs judging by itself' USING ERRCODE = 'TH005';
          END IF;

          IF cardinality(t_kind) = 1 THEN t_kind := array_fill(t_kind[1], alike); END IF;
          IF cardinality(t_legs) = 1 THEN t_legs := array_fill(t_legs[1], alike); END IF;
          IF cardinality(t_effective_on) = 1 THEN t_effective_on := array_fill(t_effective_on[1], alike); END IF;
          IF cardinality(t_beneficiary) = 1 THEN t_beneficiary := array_fill(t_beneficiary[1], alike); END IF;
          IF cardinality(t_year) = 1 THEN t_year := array_fill(t_year[1], alike); END IF;
          IF cardinality(t_purpose) = 1 THEN t_purpose := array_fill(t_purpose[1], alike); END IF;
          IF cardinality(t_evidence) = 1 THEN t_evidence := array_fill(t_evidence[1], alike); END IF;
          IF cardinality(t_organisation) = 1 THEN t_organisation := array_fill(t_organisation[1], alike); END IF;
          WITH posted AS (
            INSERT INTO asset_transfer (tenant_id, id, kind, legs, effective_on, beneficiary_id, for_year, purpose,
                                        evidence)
            SELECT for_tenant, t_id[n], t_kind[n], t_legs[n], t_effective_on[n], t_beneficiary[n], t_year[n],
                   t_purpose[n], t_evidence[n]
            FROM generate_series(1, size) AS n
          ), audited AS (
            INSERT INTO audit_event (tenant_id, id, member_id, operation, organisation_id, subject_type, subject_id,
                                     after, correlation_id)
            SELECT for_tenant, t_id[n], by_member, in_operation, t_organisation[n], 'AssetTransfer', t_id[n],
                   jsonb_build_object('kind', t_kind[n], 'effective_on', t_effective_on[n],
                                      'beneficiary_id', t_beneficiary[n], 'for_year', t_year[n], 'reverses_id', NULL),
                   with_correlation
            FROM generate_series(1, size) AS n
          )
          INSERT INTO asset_leg (tenant_id, transfer_id, leg, lot_id, from_account_id, to_account_id, quantity_t)
          SELECT for_tenant, CASE WHEN each_one THEN t_id[i] ELSE t_id[l_posting[i]] END,
                 CASE WHEN each_one THEN 1 ELSE l_leg[i] END, l_lot[i], l_from[i], l_to[i], l_quantity[i]
          FROM generate_series(1, cardinality(l_lot)) AS i;
          UPDATE idempotency_key k
          SET answer = jsonb_build_object('transfers', transfers, 'quantities', to_jsonb(after))
          WHERE k.tenant_id = for_tenant AND k.member_id = by_member AND k.key = with_key;
          RETURN QUERY SELECT now(), after;
        END $$
        """,  # noqa: S608 - a constant
        "REVOKE ALL ON FUNCTION ledger_commit_list FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_commit_list TO tanheng_app, tanheng_worker",
    )

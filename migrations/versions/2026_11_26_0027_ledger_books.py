"""No balance was ever below zero: what takes effect on a past day must fit that day and all that came after it."""

from __future__ import annotations

from migrations.support import run

revision = "0027"
down_revision = "0026"

# As in 0016 and 0023: planned once per connection, by keys.
PLANS = """SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
        SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
        SET enable_bitmapscan = off SET enable_material = off SET enable_memoize = off"""
TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"


def upgrade() -> None:
    _short_day()
    _legs()
    _post()


def _short_day() -> None:
    run(
        # The first day from a day on at whose end a balance would be below zero, and by how much, were `yet` added to it
        # on that day; no row when none would. What had rested there by a day is what rests there now less what took
        # effect later. Nothing takes effect before it is recorded, so the ids tell which legs need not be looked at.
        f"""
        CREATE FUNCTION ledger_short_day(of_tenant uuid, from_day date, accounts uuid[], lots uuid[], yet bigint[])
        RETURNS TABLE (account_id uuid, lot_id uuid, day date, quantity_t bigint) LANGUAGE plpgsql STABLE {PLANS} AS $$
        #variable_conflict use_column
        DECLARE
          first_id uuid := ledger_id_floor(least(from_day, current_date)::timestamp AT TIME ZONE 'Asia/Shanghai'
                                           - interval '2 days');
        BEGIN
          RETURN QUERY
          SELECT x.account, x.lot, e.day, e.left_t
          FROM unnest(accounts, lots, yet) AS x (account, lot, amount)
          CROSS JOIN LATERAL (SELECT b.quantity_t, b.issuing FROM asset_balance b
                              WHERE b.tenant_id = of_tenant AND b.account_id = x.account AND b.lot_id = x.lot OFFSET 0) b
          CROSS JOIN LATERAL (
            SELECT d.day, (b.quantity_t + x.amount - coalesce(sum(d.amount) OVER (
                     ORDER BY d.day DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0))::bigint AS left_t
            FROM (SELECT m.day, sum(m.amount) AS amount
                  FROM (SELECT from_day AS day, 0::bigint AS amount
                        UNION ALL
                        SELECT t.effective_on, -l.quantity_t FROM asset_leg l
                        CROSS JOIN LATERAL (SELECT effective_on FROM asset_transfer t
                                            WHERE t.tenant_id = of_tenant AND t.id = l.transfer_id OFFSET 0) t
                        WHERE l.tenant_id = of_tenant AND l.from_account_id = x.account AND l.transfer_id >= first_id
                          AND l.lot_id = x.lot AND t.effective_on >= from_day
                        UNION ALL
                        SELECT t.effective_on, l.quantity_t FROM asset_leg l
                        CROSS JOIN LATERAL (SELECT effective_on FROM asset_transfer t
                                            WHERE t.tenant_id = of_tenant AND t.id = l.transfer_id OFFSET 0) t
                        WHERE l.tenant_id = of_tenant AND l.to_account_id = x.account AND l.transfer_id >= first_id
                          AND l.lot_id = x.lot AND t.effective_on >= from_day) AS m
                  GROUP BY m.day) AS d) AS e
          WHERE NOT b.issuing AND e.left_t < 0
          ORDER BY e.day, x.account, x.lot LIMIT 1;
        END $$
        """,
        "REVOKE ALL ON FUNCTION ledger_short_day FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_short_day TO tanheng_app, tanheng_worker",
    )


def _legs() -> None:
    run(
        # Whoever inserts legs. What takes effect on the day it is recorded pays nothing: no day comes after it.
        """
        DO $patch$
        DECLARE body text; found record;
        BEGIN
          FOR found IN SELECT * FROM (VALUES
            ('last_number bigint; last_hash bytea;', 'last_number bigint; last_hash bytea; short record;'),
            ('-- Seals take turns by a lock of the tenant,',
             $new$IF first_day <> (now() AT TIME ZONE 'Asia/Shanghai')::date THEN
            SELECT s.* INTO short
            FROM (SELECT array_agg(account) AS accounts, array_agg(lot) AS lots, array_agg(0::bigint) AS amounts
                  FROM (SELECT DISTINCT from_account_id AS account, lot_id AS lot FROM new_legs) x) AS debited
            CROSS JOIN LATERAL ledger_short_day(
              tenant, first_day, debited.accounts, debited.lots, debited.amounts) AS s;
            IF FOUND THEN
              RAISE EXCEPTION 'a balance would be % below zero on %', -short.quantity_t, short.day
                USING ERRCODE = 'TH005', CONSTRAINT = 'asset_leg_covered_each_day';
            END IF;
          END IF;

          -- Seals take turns by a lock of the tenant,$new$)
          ) AS change (was, becomes) LOOP
            body := pg_get_functiondef('asset_legs_post'::regproc);
            IF strpos(body, found.was) = 0 THEN
              RAISE EXCEPTION 'asset_legs_post does not say %', found.was;
            END IF;
            EXECUTE replace(body, found.was, found.becomes);
          END LOOP;
        END $patch$
        """,
    )


def _post() -> None:
    run(
        "DROP FUNCTION ledger_post",
        # As in 0016, without the keys of the short way, which has calls of its own since. A list with a past day in it is
        # judged one by one: a refusal by a day names the day and what would be left on it.
        f"""
        CREATE FUNCTION ledger_post(
          t_member uuid[], t_operation text[], t_correlation text[],
          t_id uuid[], t_kind text[], t_legs integer[], t_effective_on date[], t_beneficiary uuid[], t_year integer[],
          t_purpose text[], t_evidence text[], t_reverses uuid[], t_organisation uuid[],
          l_posting integer[], l_leg integer[], l_lot uuid[], l_from uuid[], l_to uuid[], l_quantity bigint[]
        ) RETURNS TABLE (posting integer, refusal text, leg integer, account_id uuid, lot_id uuid,
                         quantity_t bigint, day date, recorded_at timestamptz)
        LANGUAGE plpgsql SECURITY DEFINER {PLANS} AS $$
        #variable_conflict use_column
        DECLARE
          tenant uuid := {TENANT};
          size integer := cardinality(t_id);
          today date := (now() AT TIME ZONE 'Asia/Shanghai')::date;
          covered boolean; wanted bigint; met bigint; step integer; highest integer; short record;
        BEGIN
          INSERT INTO asset_balance (tenant_id, account_id, lot_id, issuing)
          SELECT DISTINCT tenant, k.account, k.lot, a.issuing
          FROM (SELECT k.* FROM unnest(l_from || l_to, l_lot || l_lot) AS k (account, lot)
                WHERE NOT EXISTS (SELECT FROM asset_balance b WHERE b.tenant_id = tenant
                                    AND b.account_id = k.account AND b.lot_id = k.lot OFFSET 0)) k
          CROSS JOIN LATERAL (SELECT issuing FROM asset_account a
                              WHERE a.tenant_id = tenant AND a.id = k.account OFFSET 0) a
          ORDER BY 2, 3
          ON CONFLICT DO NOTHING;

          SELECT bool_and(issuing OR quantity_t - reserved_t >= asked), count(*), min(keys) INTO covered, met, wanted
          FROM (
            SELECT b.issuing, b.quantity_t, b.reserved_t, k.asked, k.keys
            FROM (SELECT account, lot, sum(asked) AS asked, count(*) OVER () AS keys
                  FROM (SELECT unnest(l_from), unnest(l_lot), unnest(l_quantity)
                        UNION ALL SELECT unnest(l_to), unnest(l_lot), 0) AS side (account, lot, asked)
                  GROUP BY 1, 2 ORDER BY 1, 2) k
            CROSS JOIN LATERAL (
              SELECT * FROM asset_balance b
              WHERE b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot FOR UPDATE) b) AS locked;
          IF met IS DISTINCT FROM wanted THEN
            RAISE EXCEPTION 'a leg names an account that is not there' USING ERRCODE = 'TH005';
          END IF;

          covered := covered AND NOT t_kind @> '{{REVERSE}}' AND today = ALL (t_effective_on);
          step := CASE WHEN covered THEN size ELSE 1 END;
          FOR lowest IN 1 .. size BY step LOOP
            highest := lowest + step - 1;
            IF NOT covered THEN
              -- Two reversals of one transfer meet at its balances, so whoever comes second sees the first.
              IF EXISTS (SELECT FROM asset_transfer WHERE tenant_id = tenant AND reverses_id = t_reverses[lowest]) THEN
                RETURN QUERY SELECT lowest, 'ALREADY_REVERSED', NULL::integer, NULL::uuid, NULL::uuid, NULL::bigint,
                                    NULL::date, now();
                CONTINUE;
              END IF;
              SELECT k.leg, k.account, k.lot, b.quantity_t - b.reserved_t AS available_t INTO short
              FROM (SELECT min(leg) AS leg, account, lot, sum(asked) AS asked
                    FROM unnest(l_posting, l_leg, l_from, l_lot, l_quantity) AS x (n, leg, account, lot, asked)
                    WHERE n = lowest GROUP BY account, lot) k
              CROSS JOIN LATERAL (
                SELECT * FROM asset_balance b
                WHERE b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot OFFSET 0) b
              WHERE NOT b.issuing AND b.quantity_t - b.reserved_t < k.asked
              ORDER BY k.leg LIMIT 1;
              IF FOUND THEN
                RETURN QUERY SELECT lowest, 'INSUFFICIENT_BALANCE', short.leg, short.account, short.lot,
                                    short.available_t, NULL::date, now();
                CONTINUE;
              END IF;
              IF t_effective_on[lowest] <> today THEN
                SELECT s.*, (SELECT min(x.leg) FROM unnest(l_posting, l_leg, l_from, l_lot) AS x (n, leg, account, lot)
                             WHERE x.n = lowest AND x.account = s.account_id AND x.lot = s.lot_id) AS leg
                INTO short
                FROM (SELECT array_agg(e.account) AS accounts, array_agg(e.lot) AS lots, array_agg(e.amount) AS amounts
                      FROM (SELECT account, lot, sum(amount)::bigint AS amount
                            FROM (SELECT n, source AS account, lot, -quantity AS amount
                                  FROM unnest(l_posting, l_from, l_lot, l_quantity) AS x (n, source, lot, quantity)
                                  UNION ALL
                                  SELECT n, destination, lot, quantity
                                  FROM unnest(l_posting, l_to, l_lot, l_quantity) AS x (n, destination, lot, quantity)
                                 ) AS side
                            WHERE n = lowest GROUP BY 1, 2 HAVING sum(amount) < 0) e) AS debited
                CROSS JOIN LATERAL ledger_short_day(
                  tenant, t_effective_on[lowest], debited.accounts, debited.lots, debited.amounts) AS s;
                IF FOUND THEN
                  RETURN QUERY SELECT lowest, 'SHORT_ON_DAY', short.leg, short.account_id, short.lot_id,
                                      short.quantity_t, short.day, now();
                  CONTINUE;
                END IF;
              END IF;
            END IF;

            WITH t AS (
              SELECT * FROM unnest(t_member, t_operation, t_correlation, t_id, t_kind, t_legs, t_effective_on,
                                   t_beneficiary, t_year, t_purpose, t_evidence, t_reverses, t_organisation)
                WITH ORDINALITY AS x (member, operation, correlation, id, kind, legs, effective_on, beneficiary, year,
                                      purpose, evidence, reverses, organisation, n)
              WHERE n BETWEEN lowest AND highest
            ), posted AS (
              INSERT INTO asset_transfer (tenant_id, id, kind, legs, effective_on, beneficiary_id, for_year, purpose,
                                          evidence, reverses_id)
              SELECT tenant, id, kind, legs, effective_on, beneficiary, year, purpose, evidence, reverses FROM t
            ), audited AS (
              INSERT INTO audit_event (tenant_id, id, member_id, operation, organisation_id, subject_type, subject_id,
                                       after, correlation_id)
              SELECT tenant, id, member, operation, organisation, 'AssetTransfer', id,
                     jsonb_build_object('kind', kind, 'effective_on', effective_on, 'beneficiary_id', beneficiary,
                                        'for_year', year, 'reverses_id', reverses),
                     correlation
              FROM t
            )
            INSERT INTO asset_leg (tenant_id, transfer_id, leg, lot_id, from_account_id, to_account_id, quantity_t)
            SELECT tenant, t_id[x.n], x.leg, x.lot, x.source, x.destination, x.quantity
            FROM unnest(l_posting, l_leg, l_lot, l_from, l_to, l_quantity)
              AS x (n, leg, lot, source, destination, quantity)
            WHERE x.n BETWEEN lowest AND highest;
          END LOOP;

          RETURN QUERY
          SELECT NULL::integer, NULL::text, NULL::integer, b.account_id, b.lot_id, b.quantity_t, NULL::date, now()
          FROM (SELECT DISTINCT account, lot FROM unnest(l_from || l_to, l_lot || l_lot) AS x (account, lot)) k
          CROSS JOIN LATERAL (
            SELECT * FROM asset_balance b
            WHERE b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot OFFSET 0) b;
        END $$
        """,
        "REVOKE ALL ON FUNCTION ledger_post FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_post TO tanheng_app, tanheng_worker",
    )

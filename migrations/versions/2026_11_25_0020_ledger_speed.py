"""The ledger's quick way for a list: transfers of one caller in one call that is its own transaction."""

from __future__ import annotations

from migrations.support import run

revision = "0020"
down_revision = "0019"

# As in 0016: planned once per connection, and whatever the tables held at that moment, by their keys.
PLANS = """SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
        SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
        SET enable_bitmapscan = off SET enable_material = off SET enable_memoize = off"""


TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"
# Transfers and their legs, as 0016 has them.
PARTS = """t_id uuid[], t_kind text[], t_legs integer[], t_effective_on date[], t_beneficiary uuid[], t_year integer[],
          t_purpose text[], t_evidence text[], t_organisation uuid[],
          l_posting integer[], l_leg integer[], l_lot uuid[], l_from uuid[], l_to uuid[], l_quantity bigint[]"""


def upgrade() -> None:
    _post()
    _commit()


def _post() -> None:
    run(
        # The stroke of `ledger_post` for transfers of one caller that are all to stand: their balances are there (unless
        # `opening`, when they are made) and cover all debits together, or the statement breaks. So each balance is
        # locked, judged and told by one look: as it will be, in the order of account and lot, which is the order in
        # which all postings lock them. What they really become is still the trigger's on legs.
        f"""
        CREATE FUNCTION ledger_post_list(
          by_member uuid, in_operation text, with_correlation text, opening boolean,
          {PARTS})
        RETURNS bigint[] LANGUAGE plpgsql SECURITY DEFINER {PLANS} AS $$
        #variable_conflict use_column
        DECLARE tenant uuid := {TENANT}; covered boolean; wanted bigint; met bigint; after bigint[];
        BEGIN
          IF opening THEN
            -- As in `ledger_post`: made before any is locked.
            INSERT INTO asset_balance (tenant_id, account_id, lot_id, issuing)
            SELECT DISTINCT tenant, k.account, k.lot, a.issuing
            FROM unnest(l_from || l_to, l_lot || l_lot) AS k (account, lot)
            CROSS JOIN LATERAL (SELECT issuing FROM asset_account a
                                WHERE a.tenant_id = tenant AND a.id = k.account OFFSET 0) a
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
              WHERE b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot FOR UPDATE) b) AS locked;
          IF met IS DISTINCT FROM wanted THEN
            RAISE EXCEPTION 'a list needs balances that are not there yet' USING ERRCODE = 'TH006';
          END IF;
          IF NOT covered OR t_kind @> '{{REVERSE}}' THEN
            RAISE EXCEPTION 'a list with a transfer that needs judging by itself' USING ERRCODE = 'TH005';
          END IF;

          WITH posted AS (
            INSERT INTO asset_transfer (tenant_id, id, kind, legs, effective_on, beneficiary_id, for_year, purpose,
                                        evidence)
            SELECT tenant, * FROM unnest(t_id, t_kind, t_legs, t_effective_on, t_beneficiary, t_year, t_purpose,
                                         t_evidence)
          ), audited AS (
            INSERT INTO audit_event (tenant_id, id, member_id, operation, organisation_id, subject_type, subject_id,
                                     after, correlation_id)
            SELECT tenant, id, by_member, in_operation, organisation, 'AssetTransfer', id,
                   jsonb_build_object('kind', kind, 'effective_on', effective_on, 'beneficiary_id', beneficiary,
                                      'for_year', year, 'reverses_id', NULL),
                   with_correlation
            FROM unnest(t_id, t_kind, t_effective_on, t_beneficiary, t_year, t_organisation)
              AS x (id, kind, effective_on, beneficiary, year, organisation)
          )
          INSERT INTO asset_leg (tenant_id, transfer_id, leg, lot_id, from_account_id, to_account_id, quantity_t)
          SELECT tenant, t_id[n], leg, lot, source, destination, quantity
          FROM unnest(l_posting, l_leg, l_lot, l_from, l_to, l_quantity)
            AS x (n, leg, lot, source, destination, quantity);
          RETURN after;
        END $$
        """,  # noqa: S608 - a constant
        "REVOKE ALL ON FUNCTION ledger_post_list FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_post_list TO tanheng_app, tanheng_worker",
    )


def _commit() -> None:
    run(
        # In one round trip and one transaction, and only what can be said yes to: when the key has been used or the
        # caller does not reach an organisation that units are taken from (`c_*`: a row for each organisation and node
        # on which the caller has the right) no row is answered and nothing is written; a transfer that does not stand
        # breaks the statement. Then the list is judged the ordinary way, row by row. With the transfers (`transfers`,
        # packed by the caller) the balances are what is kept under the key.
        f"""
        CREATE FUNCTION ledger_commit_list(
          for_tenant uuid, c_organisation uuid[], c_node uuid[],
          by_member uuid, in_operation text, with_correlation text, with_key text, with_digest bytea, transfers text,
          opening boolean,
          {PARTS}
        ) RETURNS TABLE (recorded_at timestamptz, balances bigint[])
        LANGUAGE plpgsql {PLANS} AS $$
        #variable_conflict use_column
        DECLARE after bigint[];
        BEGIN
          PERFORM set_config('app.tenant_id', for_tenant::text, true);
          PERFORM tenant_must_be_writable();
          IF EXISTS (
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
          after := ledger_post_list(
            by_member, in_operation, with_correlation, opening, t_id, t_kind, t_legs, t_effective_on, t_beneficiary,
            t_year, t_purpose, t_evidence, t_organisation, l_posting, l_leg, l_lot, l_from, l_to, l_quantity);
          UPDATE idempotency_key k
          SET answer = jsonb_build_object('transfers', transfers, 'quantities', to_jsonb(after))
          WHERE k.tenant_id = for_tenant AND k.member_id = by_member AND k.key = with_key;
          RETURN QUERY SELECT now(), after;
        END $$
        """,  # noqa: S608 - a constant
        "REVOKE ALL ON FUNCTION ledger_commit_list FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_commit_list TO tanheng_app, tanheng_worker",
    )

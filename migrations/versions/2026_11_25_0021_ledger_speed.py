"""The ledger's quick way for a list: transfers of one caller in one call that is its own transaction."""

from __future__ import annotations

from migrations.support import run

revision = "0021"
down_revision = "0018"

# As in 0016: planned once per connection, and whatever the tables held at that moment, by their keys.
PLANS = """SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
        SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
        SET enable_bitmapscan = off SET enable_material = off SET enable_memoize = off"""


def upgrade() -> None:
    run(
        # All or nothing, in one round trip, and only what can be said yes to: when the key has been used or the caller
        # does not reach an organisation that units are taken from (`c_*`: a row for each organisation and node on which
        # the caller has the right) no row is answered and nothing is written; a transfer that is refused breaks the
        # statement. Then the list is judged the ordinary way, row by row. The balances come in the order of account
        # and lot; with the transfers (`transfers`, packed by the caller) they are what is kept under the key.
        f"""
        CREATE FUNCTION ledger_commit_list(
          for_tenant uuid, c_organisation uuid[], c_node uuid[],
          by_member uuid, in_operation text, with_correlation text, with_key text, with_digest bytea, transfers text,
          t_id uuid[], t_kind text[], t_legs integer[], t_effective_on date[], t_beneficiary uuid[], t_year integer[],
          t_purpose text[], t_evidence text[], t_organisation uuid[],
          l_posting integer[], l_leg integer[], l_lot uuid[], l_from uuid[], l_to uuid[], l_quantity bigint[]
        ) RETURNS TABLE (recorded_at timestamptz, balances bigint[])
        LANGUAGE plpgsql {PLANS} AS $$
        #variable_conflict use_column
        DECLARE
          size integer[] := ARRAY[cardinality(t_id)];
          refused boolean; quantities bigint[]; at timestamptz;
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

          SELECT bool_or(p.refusal IS NOT NULL), array_agg(p.quantity_t ORDER BY p.account_id, p.lot_id),
                 max(p.recorded_at)
          INTO refused, quantities, at
          FROM ledger_post(
            array_fill(by_member, size), array_fill(in_operation, size), array_fill(with_correlation, size), '{{}}',
            '{{}}', t_id, t_kind, t_legs, t_effective_on, t_beneficiary, t_year, t_purpose, t_evidence,
            array_fill(NULL::uuid, size), t_organisation, l_posting, l_leg, l_lot, l_from, l_to, l_quantity) p;
          IF refused THEN
            RAISE EXCEPTION 'a transfer of the list is refused' USING ERRCODE = 'TH005';
          END IF;

          UPDATE idempotency_key k
          SET answer = jsonb_build_object('transfers', transfers, 'quantities', to_jsonb(quantities))
          WHERE k.tenant_id = for_tenant AND k.member_id = by_member AND k.key = with_key;
          RETURN QUERY SELECT at, quantities;
        END $$
        """,
        "REVOKE ALL ON FUNCTION ledger_commit_list FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_commit_list TO tanheng_app, tanheng_worker",
    )

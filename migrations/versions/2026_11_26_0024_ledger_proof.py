"""Balances have versions: what last moved a balance or set something of it aside, so that a posting may name it."""

from __future__ import annotations

from migrations.support import run

revision = "0024"
down_revision = "0023"

# As in 0005 and 0016: planned once per connection, by keys.
PLANS = """SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
        SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off"""
TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"


def upgrade() -> None:
    _versions()
    _hold()


def _versions() -> None:
    run(
        # The last transfer that touched the balance, or something new when units are set aside or given back. Being the
        # transfer's id it is known to whoever posted without being read again. Nil: not since there are versions.
        "ALTER TABLE asset_balance ADD COLUMN version uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'",
        # Transfers of one statement are posted in the order of their ids, which is the order of their seal too.
        """
        DO $patch$
        DECLARE body text; found record;
        BEGIN
          FOR found IN SELECT * FROM (VALUES
            ('asset_legs_post', '-quantity_t AS amount_t FROM new_legs',
             '-quantity_t AS amount_t, transfer_id FROM new_legs'),
            ('asset_legs_post', 'SELECT tenant_id, to_account_id, lot_id, quantity_t FROM new_legs',
             'SELECT tenant_id, to_account_id, lot_id, quantity_t, transfer_id FROM new_legs'),
            ('asset_legs_post', 'sum(amount_t) AS amount_t FROM (',
             'sum(amount_t) AS amount_t, (array_agg(transfer_id ORDER BY transfer_id DESC))[1] AS last FROM ('),
            ('asset_legs_post', 'SET quantity_t = b.quantity_t + c.amount_t',
             'SET quantity_t = b.quantity_t + c.amount_t, version = c.last'),
            ('asset_reservation_holds', 'SET reserved_t = b.reserved_t + l.quantity_t',
             'SET reserved_t = b.reserved_t + l.quantity_t, version = gen_random_uuid()'),
            ('asset_reservation_releases', 'SET reserved_t = b.reserved_t - l.quantity_t',
             'SET reserved_t = b.reserved_t - l.quantity_t, version = gen_random_uuid()')
          ) AS change (of, was, becomes) LOOP
            body := pg_get_functiondef(found.of::regproc);
            IF strpos(body, found.was) = 0 THEN
              RAISE EXCEPTION '% does not say %', found.of, found.was;
            END IF;
            EXECUTE replace(body, found.was, found.becomes);
          END LOOP;
        END $patch$
        """,
    )


def _hold() -> None:
    run(
        # Locks balances as a posting does, in one order, those that are missing made first; and says their versions,
        # which stay what they are until the end of the transaction but for what it does itself.
        f"""
        CREATE FUNCTION ledger_hold(accounts uuid[], lots uuid[])
        RETURNS TABLE (account_id uuid, lot_id uuid, version uuid)
        LANGUAGE plpgsql SECURITY DEFINER {PLANS} AS $$
        #variable_conflict use_column
        DECLARE tenant uuid := {TENANT};
        BEGIN
          INSERT INTO asset_balance (tenant_id, account_id, lot_id, issuing)
          SELECT DISTINCT tenant, k.account, k.lot, a.issuing
          FROM unnest(accounts, lots) AS k (account, lot)
          CROSS JOIN LATERAL (SELECT issuing FROM asset_account a
                              WHERE a.tenant_id = tenant AND a.id = k.account OFFSET 0) a
          ORDER BY 2, 3
          ON CONFLICT DO NOTHING;
          RETURN QUERY
          SELECT b.account_id, b.lot_id, b.version
          FROM (SELECT DISTINCT account, lot FROM unnest(accounts, lots) AS x (account, lot) ORDER BY 1, 2) k
          CROSS JOIN LATERAL (
            SELECT * FROM asset_balance b
            WHERE b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot FOR UPDATE) b;
        END $$
        """,  # noqa: S608 - constants
        "REVOKE ALL ON FUNCTION ledger_hold FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_hold TO tanheng_app, tanheng_worker",
    )

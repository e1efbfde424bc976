"""Reservations are posted in parts, and a project is not cancelled while units of it are held.

What a reservation holds is what was set aside less what parts of it were posted; its end gives back the rest.
"""

from __future__ import annotations

from migrations.support import amend, append_only, protect, run

revision = "0032"
down_revision = "0031"

# As in 0005 and 0016: planned once per connection, by keys.
PLANS = """SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
        SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off"""
TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"


_HELD = """PERFORM FROM (
            SELECT DISTINCT k.account, l.lot_id FROM asset_reservation_leg l
            CROSS JOIN LATERAL (VALUES (l.account_id), (l.to_account_id)) AS k (account)
            WHERE l.tenant_id = tenant AND l.reservation_id = r_id AND k.account IS NOT NULL ORDER BY 1, 2) k
          CROSS JOIN LATERAL (
            SELECT * FROM asset_balance b
            WHERE b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot_id FOR UPDATE) b;"""


def upgrade() -> None:
    _parts()
    _parts_are_lawful()
    _ends()
    _calls()
    _projects()


def _parts() -> None:
    run(
        """
        CREATE TABLE asset_reservation_part (
          tenant_id uuid NOT NULL,
          transfer_id uuid NOT NULL,
          reservation_id uuid NOT NULL,
          leg integer NOT NULL,
          quantity_t bigint NOT NULL CHECK (quantity_t > 0),
          posted_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, transfer_id, leg),
          FOREIGN KEY (tenant_id, reservation_id, leg) REFERENCES asset_reservation_leg,
          FOREIGN KEY (tenant_id, transfer_id) REFERENCES asset_transfer DEFERRABLE INITIALLY DEFERRED
        )
        """,
        "CREATE INDEX asset_reservation_part_of_leg ON asset_reservation_part (tenant_id, reservation_id, leg)",
        "CREATE INDEX asset_reservation_to_surrender ON asset_reservation (tenant_id, beneficiary_id, for_year) "
        "WHERE kind = 'SURRENDER'",
        # What no part was posted of; an ended reservation holds nothing of it any more.
        """
        CREATE VIEW asset_reservation_left WITH (security_invoker = true) AS
        SELECT l.tenant_id, l.reservation_id, l.leg, l.lot_id, l.account_id, l.to_account_id,
               (l.quantity_t - coalesce((
                 SELECT sum(p.quantity_t) FROM asset_reservation_part p
                 WHERE p.tenant_id = l.tenant_id AND p.reservation_id = l.reservation_id AND p.leg = l.leg), 0))::bigint
                 AS left_t
        FROM asset_reservation_leg l
        """,
        "GRANT SELECT ON asset_reservation_left TO tanheng_app, tanheng_worker, tanheng_auditor",
    )
    protect("asset_reservation_part")
    append_only("asset_reservation_part")


def _parts_are_lawful() -> None:
    run(
        # Parts and the end of a reservation take turns by its row. A part leaves something for later: what takes the
        # rest ends it.
        """
        CREATE FUNCTION asset_reservation_part_releases() RETURNS trigger LANGUAGE plpgsql
        SET search_path = public, pg_temp AS $$
        BEGIN
          PERFORM FROM (SELECT DISTINCT tenant_id, reservation_id FROM new_parts ORDER BY 1, 2) n
          CROSS JOIN LATERAL (
            SELECT FROM asset_reservation r WHERE r.tenant_id = n.tenant_id AND r.id = n.reservation_id FOR UPDATE) r;
          IF EXISTS (SELECT FROM new_parts n
                     JOIN offset_surrender s ON s.tenant_id = n.tenant_id AND s.reservation_id = n.reservation_id) THEN
            RAISE EXCEPTION 'the units of an offset surrender end with it'
              USING ERRCODE = '23514', CONSTRAINT = 'offset_reservation_is_bound';
          END IF;
          IF EXISTS (
            SELECT FROM (SELECT DISTINCT tenant_id, reservation_id FROM new_parts) n
            JOIN asset_reservation r ON r.tenant_id = n.tenant_id AND r.id = n.reservation_id
            WHERE r.aim <> 'PENDING' OR r.expires_at <= now()
               OR EXISTS (SELECT FROM asset_reservation_end e
                          WHERE e.tenant_id = r.tenant_id AND e.reservation_id = r.id)
               OR (SELECT min(k.left_t) < 0 OR sum(k.left_t) = 0 FROM asset_reservation_left k
                   WHERE k.tenant_id = r.tenant_id AND k.reservation_id = r.id)) THEN
            RAISE EXCEPTION 'a part of a reservation cannot be posted now, or not so much'
              USING ERRCODE = 'TH005', CONSTRAINT = 'asset_reservation_part_lawful';
          END IF;
          UPDATE asset_balance b SET reserved_t = b.reserved_t - k.quantity_t, version = gen_random_uuid()
          FROM (SELECT l.tenant_id, l.account_id, l.lot_id, sum(n.quantity_t) AS quantity_t FROM new_parts n
                JOIN asset_reservation_leg l ON l.tenant_id = n.tenant_id AND l.reservation_id = n.reservation_id
                  AND l.leg = n.leg
                GROUP BY 1, 2, 3) k
          WHERE b.tenant_id = k.tenant_id AND b.account_id = k.account_id AND b.lot_id = k.lot_id;
          RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER asset_reservation_part_releases AFTER INSERT ON asset_reservation_part "
        "REFERENCING NEW TABLE AS new_parts FOR EACH STATEMENT EXECUTE FUNCTION asset_reservation_part_releases()",
        # The transfer moves what the parts say, exactly.
        """
        CREATE FUNCTION asset_reservation_part_is_kept() RETURNS trigger LANGUAGE plpgsql
        SET search_path = public, pg_temp AS $$
        BEGIN
          IF EXISTS (
            SELECT FROM (
              SELECT lot_id, from_account_id AS account_id, to_account_id, quantity_t FROM asset_leg
              WHERE tenant_id = NEW.tenant_id AND transfer_id = NEW.transfer_id
              UNION ALL
              SELECT l.lot_id, l.account_id, l.to_account_id, -p.quantity_t FROM asset_reservation_part p
              JOIN asset_reservation_leg l ON l.tenant_id = p.tenant_id AND l.reservation_id = p.reservation_id
                AND l.leg = p.leg
              WHERE p.tenant_id = NEW.tenant_id AND p.transfer_id = NEW.transfer_id) x
            GROUP BY lot_id, account_id, to_account_id HAVING sum(quantity_t) <> 0) THEN
            RAISE EXCEPTION 'a transfer moves something else than the parts posted by it'
              USING ERRCODE = 'TH005', CONSTRAINT = 'asset_reservation_part_is_kept';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE CONSTRAINT TRIGGER asset_reservation_part_is_kept AFTER INSERT ON asset_reservation_part "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION asset_reservation_part_is_kept()",
    )


def _ends() -> None:
    # The end of a reservation gives back what is left, and is none of the transfers that were posted of it.
    amend(
        "asset_reservation_releases",
        ("AND id = NEW.reservation_id;", "AND id = NEW.reservation_id FOR UPDATE;"),
        (
            "coalesce(r.expires_at > now(), true) THEN",
            """coalesce(r.expires_at > now(), true)
             OR EXISTS (SELECT FROM asset_reservation_part p
                        WHERE p.tenant_id = NEW.tenant_id AND p.transfer_id = NEW.transfer_id) THEN""",
        ),
        ("b.reserved_t - l.quantity_t", "b.reserved_t - l.left_t"),
        ("sum(quantity_t) AS quantity_t FROM asset_reservation_leg", "sum(left_t) AS left_t FROM asset_reservation_left"),
    )
    amend(
        "asset_reservation_is_kept",
        ("-quantity_t FROM asset_reservation_leg", "-left_t FROM asset_reservation_left"),
    )


def _calls() -> None:
    run(
        # Whoever ends a reservation or posts of it locks the balances of both sides first, as a posting locks them.
        f"""
        CREATE FUNCTION ledger_hold_reserved(tenant uuid, r_id uuid) RETURNS void LANGUAGE plpgsql {PLANS} AS $$
        BEGIN
          {_HELD}
        END $$
        """,  # noqa: S608 - a constant
        # Frees some of it for a transfer that is posted right after, in the same transaction; false when it has ended.
        f"""
        CREATE FUNCTION ledger_part_reservation(
          by_member uuid, in_operation text, with_correlation text,
          r_id uuid, r_transfer uuid, p_leg integer[], p_quantity bigint[]
        ) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER {PLANS} AS $$
        DECLARE tenant uuid := {TENANT};
        BEGIN
          PERFORM ledger_hold_reserved(tenant, r_id);
          IF EXISTS (SELECT FROM asset_reservation_end e WHERE e.tenant_id = tenant AND e.reservation_id = r_id) THEN
            RETURN false;
          END IF;
          INSERT INTO asset_reservation_part (tenant_id, transfer_id, reservation_id, leg, quantity_t)
          SELECT tenant, r_transfer, r_id, leg, quantity FROM unnest(p_leg, p_quantity) AS x (leg, quantity);
          INSERT INTO audit_event (tenant_id, id, member_id, operation, organisation_id, subject_type, subject_id,
                                   after, correlation_id)
          SELECT tenant, gen_random_uuid(), by_member, in_operation, r.organisation_id, 'AssetReservation', r_id,
                 jsonb_build_object('transfer_id', r_transfer, 'legs', p_leg, 'quantities', p_quantity),
                 with_correlation
          FROM asset_reservation r WHERE r.tenant_id = tenant AND r.id = r_id;
          RETURN true;
        END $$
        """,  # noqa: S608 - constants
        "REVOKE ALL ON FUNCTION ledger_hold_reserved, ledger_part_reservation FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_part_reservation TO tanheng_app, tanheng_worker",
    )
    amend("ledger_end_reservation", (_HELD, "PERFORM ledger_hold_reserved(tenant, r_id);"))


def _projects() -> None:
    run(
        # Units of a project that rest with organisations; a lot names its project by code, by name or by both.
        """
        CREATE FUNCTION carbon_project_held(of_tenant uuid, of_project uuid) RETURNS bigint LANGUAGE sql STABLE
        RETURN (
          SELECT coalesce(sum(b.quantity_t), 0)::bigint FROM carbon_project p
          JOIN asset_lot o ON o.tenant_id = p.tenant_id AND o.project IN (p.code, p.name, p.code || ' ' || p.name)
          JOIN asset_balance b ON b.tenant_id = o.tenant_id AND b.lot_id = o.id AND b.quantity_t > 0
          JOIN asset_account a ON a.tenant_id = b.tenant_id AND a.id = b.account_id AND a.organisation_id IS NOT NULL
          WHERE p.tenant_id = of_tenant AND p.id = of_project)
        """,
        """
        CREATE FUNCTION carbon_project_lets_go() RETURNS trigger LANGUAGE plpgsql
        SET search_path = public, pg_temp AS $$
        BEGIN
          IF carbon_project_held(NEW.tenant_id, NEW.id) > 0 THEN
            RAISE EXCEPTION 'units of the project are held'
              USING ERRCODE = '23514', CONSTRAINT = 'carbon_project_units_held';
          END IF;
          RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER carbon_project_lets_go BEFORE UPDATE ON carbon_project FOR EACH ROW "
        "WHEN (NEW.state = 'CANCELLED' AND OLD.state = 'REGISTERED') EXECUTE FUNCTION carbon_project_lets_go()",
        # A claim that is registered meanwhile goes first or comes too late; who came too late asks again and is told.
        """
        CREATE FUNCTION project_claim_of_standing() RETURNS trigger LANGUAGE plpgsql
        SET search_path = public, pg_temp AS $$
        BEGIN
          PERFORM FROM carbon_project p
          WHERE p.tenant_id = NEW.tenant_id AND p.id = NEW.project_id AND p.state = 'REGISTERED' FOR SHARE;
          IF NOT FOUND THEN
            RAISE EXCEPTION 'the project of the claim is not registered' USING ERRCODE = '40001';
          END IF;
          RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER project_claim_of_standing BEFORE UPDATE ON project_claim FOR EACH ROW "
        "WHEN (NEW.lot_id IS NOT NULL AND OLD.lot_id IS NULL) EXECUTE FUNCTION project_claim_of_standing()",
    )

"""Surrendering offsets over two registries, lots cut by their serial numbers, and checkpoints of balances.

An offset lies at one registry and counts at another: it is frozen at the first, offered at the second, and used up at
both or at neither. Each step is a row that follows the one before, and one of two steps ends it.
"""

from __future__ import annotations

from migrations.support import append_only, protect, run

revision = "0021"
down_revision = "0020"

# As in 0005 and 0016: planned once per connection, by keys.
PLANS = """SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
        SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off"""
TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"


def upgrade() -> None:
    _surrenders()
    _steps()
    _kept_together()
    _cuts()
    _legs_that_cut()
    _cut()
    _checkpoints()
    _checkpoint()


def _surrenders() -> None:
    run(
        """
        CREATE TABLE offset_surrender (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          beneficiary_id uuid NOT NULL,
          for_year integer NOT NULL CHECK (for_year BETWEEN 1990 AND 2100),
          quantity_t bigint NOT NULL CHECK (quantity_t > 0),
          reservation_id uuid NOT NULL,
          deadline timestamptz,
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, beneficiary_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, reservation_id) REFERENCES asset_reservation,
          CONSTRAINT offset_surrender_reservation UNIQUE (tenant_id, reservation_id)
        )
        """,
        "CREATE INDEX offset_surrender_served ON offset_surrender (tenant_id, beneficiary_id, for_year)",
        "CREATE INDEX offset_surrender_of_organisation ON offset_surrender (tenant_id, organisation_id)",
        # It says of its reservation what the reservation says of itself, and no other deadline ends that.
        """
        CREATE FUNCTION offset_surrender_fits() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
        BEGIN
          IF NOT EXISTS (
            SELECT FROM asset_reservation r
            WHERE r.tenant_id = NEW.tenant_id AND r.id = NEW.reservation_id AND r.kind = 'SURRENDER'
              AND r.organisation_id = NEW.organisation_id AND r.beneficiary_id = NEW.beneficiary_id
              AND r.for_year = NEW.for_year AND r.expires_at IS NULL
              AND NEW.quantity_t = (SELECT sum(quantity_t) FROM asset_reservation_leg l
                                    WHERE l.tenant_id = r.tenant_id AND l.reservation_id = r.id)) THEN
            RAISE EXCEPTION 'an offset surrender does not fit its reservation'
              USING ERRCODE = '23514', CONSTRAINT = 'offset_surrender_fits';
          END IF;
          RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER offset_surrender_fits BEFORE INSERT ON offset_surrender FOR EACH ROW "
        "EXECUTE FUNCTION offset_surrender_fits()",
    )
    protect("offset_surrender", writes="INSERT")
    append_only("offset_surrender")


def _steps() -> None:
    run(
        """
        CREATE TABLE offset_surrender_step (
          tenant_id uuid NOT NULL,
          surrender_id uuid NOT NULL,
          number integer NOT NULL CHECK (number > 0),
          step text NOT NULL,
          cause text CHECK (cause IN ('REFUSED', 'DEADLINE', 'WITHDRAWN', 'RULE')),
          reference text NOT NULL DEFAULT '',
          reason text NOT NULL DEFAULT '',
          transfer_id uuid,
          taken_by uuid,
          taken_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, surrender_id, number),
          FOREIGN KEY (tenant_id, surrender_id) REFERENCES offset_surrender,
          FOREIGN KEY (tenant_id, transfer_id) REFERENCES asset_transfer DEFERRABLE INITIALLY DEFERRED,
          CONSTRAINT offset_step_known CHECK (step IN
            ('FROZEN', 'OFFERED', 'ACCEPTED', 'SURRENDERED', 'TURNED_BACK', 'OFFER_VOIDED', 'VOIDED')),
          CONSTRAINT offset_step_once UNIQUE (tenant_id, surrender_id, step),
          CONSTRAINT offset_step_posted CHECK ((step = 'SURRENDERED') = (transfer_id IS NOT NULL)),
          CONSTRAINT offset_step_because CHECK ((step = 'TURNED_BACK') = (cause IS NOT NULL)
            AND (step <> 'TURNED_BACK' OR reason <> ''))
        )
        """,
        # Whatever else fails: of the two ends there is one.
        "CREATE UNIQUE INDEX offset_surrender_ends_once ON offset_surrender_step (tenant_id, surrender_id) "
        "WHERE step IN ('SURRENDERED', 'VOIDED')",
        # The surrender's row is locked first, so that steps are taken one after the other.
        """
        CREATE FUNCTION offset_step_follows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public, pg_temp AS $$
        DECLARE taken text[];
        BEGIN
          PERFORM FROM offset_surrender s WHERE s.tenant_id = NEW.tenant_id AND s.id = NEW.surrender_id FOR UPDATE;
          SELECT coalesce(array_agg(step ORDER BY number), '{}') INTO taken FROM offset_surrender_step
          WHERE tenant_id = NEW.tenant_id AND surrender_id = NEW.surrender_id;
          IF NEW.number <> cardinality(taken) + 1 OR NOT coalesce(CASE taken[cardinality(taken)]
               WHEN 'FROZEN' THEN NEW.step IN ('OFFERED', 'TURNED_BACK')
               WHEN 'OFFERED' THEN NEW.step IN ('ACCEPTED', 'TURNED_BACK')
               WHEN 'ACCEPTED' THEN NEW.step IN ('SURRENDERED', 'TURNED_BACK')
               WHEN 'TURNED_BACK' THEN NEW.step = CASE WHEN 'OFFERED' = ANY (taken) THEN 'OFFER_VOIDED'
                                                       ELSE 'VOIDED' END
               WHEN 'OFFER_VOIDED' THEN NEW.step = 'VOIDED'
               WHEN 'SURRENDERED' THEN false
               WHEN 'VOIDED' THEN false
               ELSE NEW.step = 'FROZEN' END, false) THEN
            RAISE EXCEPTION 'the step % does not follow %', NEW.step, taken
              USING ERRCODE = '23514', CONSTRAINT = 'offset_step_follows';
          END IF;
          RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER offset_step_follows BEFORE INSERT ON offset_surrender_step FOR EACH ROW "
        "EXECUTE FUNCTION offset_step_follows()",
    )
    protect("offset_surrender_step", writes="INSERT")
    append_only("offset_surrender_step")


def _kept_together() -> None:
    run(
        # The units of an offset are given back or used up by its own last step and by nothing else …
        """
        CREATE FUNCTION offset_reservation_is_bound() RETURNS trigger LANGUAGE plpgsql
        SET search_path = public, pg_temp AS $$
        BEGIN
          IF EXISTS (
            SELECT FROM offset_surrender s
            WHERE s.tenant_id = NEW.tenant_id AND s.reservation_id = NEW.reservation_id AND NOT EXISTS (
              SELECT FROM offset_surrender_step t WHERE t.tenant_id = s.tenant_id AND t.surrender_id = s.id
                AND (t.step = 'SURRENDERED' AND NEW.outcome = 'POSTED' AND t.transfer_id = NEW.transfer_id
                     OR t.step = 'VOIDED' AND NEW.outcome = 'VOIDED'))) THEN
            RAISE EXCEPTION 'the units of an offset surrender end with it'
              USING ERRCODE = '23514', CONSTRAINT = 'offset_reservation_is_bound';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER offset_reservation_is_bound AFTER INSERT ON asset_reservation_end FOR EACH ROW "
        "EXECUTE FUNCTION offset_reservation_is_bound()",
        # … and with that step they are, in the same transaction.
        """
        CREATE FUNCTION offset_step_ends_reservation() RETURNS trigger LANGUAGE plpgsql
        SET search_path = public, pg_temp AS $$
        BEGIN
          IF NOT EXISTS (
            SELECT FROM offset_surrender s
            JOIN asset_reservation_end e ON e.tenant_id = s.tenant_id AND e.reservation_id = s.reservation_id
            WHERE s.tenant_id = NEW.tenant_id AND s.id = NEW.surrender_id) THEN
            RAISE EXCEPTION 'an offset surrender ends together with its reservation'
              USING ERRCODE = '23514', CONSTRAINT = 'offset_step_ends_reservation';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE CONSTRAINT TRIGGER offset_step_ends_reservation AFTER INSERT ON offset_surrender_step "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.step IN ('SURRENDERED', 'VOIDED')) "
        "EXECUTE FUNCTION offset_step_ends_reservation()",
    )


def _cuts() -> None:
    run(
        "ALTER TABLE asset_transfer DROP CONSTRAINT asset_transfer_kind_check",
        "ALTER TABLE asset_transfer ADD CONSTRAINT asset_transfer_kind_check CHECK "
        "(kind IN ('ISSUE', 'TRANSFER', 'SURRENDER', 'RETIRE', 'CANCEL', 'REVERSE', 'SPLIT', 'MERGE'))",
        # One split brings several lots.
        "ALTER TABLE asset_lot DROP CONSTRAINT asset_lot_issue_key",
        "CREATE INDEX asset_lot_issued_by ON asset_lot (tenant_id, issued_by)",
        # Which lots a split or merge turned into which.
        """
        CREATE TABLE asset_lot_cut (
          tenant_id uuid NOT NULL,
          transfer_id uuid NOT NULL,
          parent_id uuid NOT NULL,
          child_id uuid NOT NULL,
          PRIMARY KEY (tenant_id, child_id, parent_id),
          FOREIGN KEY (tenant_id, transfer_id) REFERENCES asset_transfer,
          FOREIGN KEY (tenant_id, parent_id) REFERENCES asset_lot,
          FOREIGN KEY (tenant_id, child_id) REFERENCES asset_lot DEFERRABLE INITIALLY DEFERRED
        )
        """,
        "CREATE INDEX asset_lot_cut_of_transfer ON asset_lot_cut (tenant_id, transfer_id)",
        # The old lots stand down first, so that their numbers are free for the new ones.
        """
        CREATE FUNCTION asset_lot_cut_withdraws() RETURNS trigger LANGUAGE plpgsql
        SET search_path = public, pg_temp AS $$
        BEGIN
          UPDATE asset_lot o SET withdrawn_by = NEW.transfer_id
          WHERE o.tenant_id = NEW.tenant_id AND o.id = NEW.parent_id
            AND (o.withdrawn_by IS NULL OR o.withdrawn_by = NEW.transfer_id);
          IF NOT FOUND THEN
            RAISE EXCEPTION 'the lot has been withdrawn' USING ERRCODE = '23514', CONSTRAINT = 'asset_lot_cut_stands';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER asset_lot_cut_withdraws AFTER INSERT ON asset_lot_cut FOR EACH ROW "
        "EXECUTE FUNCTION asset_lot_cut_withdraws()",
        # In the end the new lots are the old ones in all but where one ends and the next begins: the same numbers, the
        # same attributes, in the same account, wholly.
        """
        CREATE FUNCTION asset_lot_cut_exact() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
        BEGIN
          IF NOT (
            WITH lot AS (
              SELECT o.*, c.gone FROM (
                SELECT DISTINCT x.id, x.gone FROM asset_lot_cut c
                CROSS JOIN LATERAL (VALUES (c.parent_id, true), (c.child_id, false)) AS x (id, gone)
                WHERE c.tenant_id = NEW.tenant_id AND c.transfer_id = NEW.transfer_id) c
              JOIN asset_lot o ON o.tenant_id = NEW.tenant_id AND o.id = c.id
            ), leg AS (
              SELECT CASE WHEN f.issuing THEN l.to_account_id ELSE l.from_account_id END AS account_id
              FROM asset_leg l JOIN asset_account f ON f.tenant_id = l.tenant_id AND f.id = l.from_account_id
              WHERE l.tenant_id = NEW.tenant_id AND l.transfer_id = NEW.transfer_id)
            SELECT range_agg(int8range(serial_first, serial_last, '[]')) FILTER (WHERE gone)
                     = range_agg(int8range(serial_first, serial_last, '[]')) FILTER (WHERE NOT gone)
               AND sum(quantity_t) FILTER (WHERE gone) = sum(quantity_t) FILTER (WHERE NOT gone)
               AND 1 = count(DISTINCT (asset_class, scheme, vintage, project, origin, issued_to, issued_on,
                                       serial_prefix))
               AND bool_and(CASE WHEN gone THEN withdrawn_by ELSE issued_by END = NEW.transfer_id)
               AND (SELECT count(*) FROM leg) = count(*) AND (SELECT count(DISTINCT account_id) FROM leg) = 1
            FROM lot) THEN
            RAISE EXCEPTION 'a split or merge changes nothing but where lots begin and end'
              USING ERRCODE = '23514', CONSTRAINT = 'asset_lot_cut_exact';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE CONSTRAINT TRIGGER asset_lot_cut_exact AFTER INSERT ON asset_lot_cut DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION asset_lot_cut_exact()",
    )
    protect("asset_lot_cut")
    append_only("asset_lot_cut")


def _legs_that_cut() -> None:
    run(
        # A leg of a split or merge moves a whole lot, an old one to where lots come from or a new one out of there.
        """
        CREATE FUNCTION asset_leg_cuts(of_tenant uuid, transfer uuid, lot uuid, comes boolean) RETURNS boolean
        LANGUAGE sql STABLE
        RETURN EXISTS (SELECT FROM asset_lot_cut c WHERE c.tenant_id = of_tenant AND c.transfer_id = transfer
                         AND CASE WHEN comes THEN c.child_id ELSE c.parent_id END = lot)
        """,
        # A split or merge vouches for its new lots as an issue does for its one.
        """
        CREATE OR REPLACE FUNCTION ledger_lot_words(of_tenant uuid, transfer_id uuid) RETURNS text LANGUAGE sql STABLE
        RETURN (
          SELECT string_agg(
                   concat_ws('|', '', o.asset_class, ledger_words(o.scheme), ledger_words(o.issue_reference),
                             coalesce(o.vintage::text, ''), ledger_words(o.project), o.origin, o.issued_to,
                             ledger_words(o.serial_prefix), coalesce(o.serial_first::text, '')), '' ORDER BY o.id)
          FROM asset_lot o WHERE o.tenant_id = of_tenant AND o.issued_by = transfer_id)
        """,
        """
        CREATE OR REPLACE FUNCTION ledger_lines(transfer_ids uuid[]) RETURNS TABLE (id uuid, line text)
        LANGUAGE sql STABLE
        BEGIN ATOMIC
          SELECT t.id, ledger_line(
            t.id, t.kind, t.effective_on, t.beneficiary_id, t.for_year, t.reverses_id, ledger_micros(t.recorded_at),
            t.legs, (SELECT string_agg(concat_ws('>', l.lot_id, l.from_account_id, l.to_account_id, l.quantity_t), ','
                                       ORDER BY l.leg)
                     FROM asset_leg l WHERE l.tenant_id = t.tenant_id AND l.transfer_id = t.id),
            t.purpose, t.evidence,
            CASE WHEN t.kind IN ('ISSUE', 'SPLIT', 'MERGE') THEN ledger_lot_words(t.tenant_id, t.id) END)
          FROM unnest(transfer_ids) AS asked (id) JOIN asset_transfer t ON t.id = asked.id;
        END
        """,
        # The judge of legs as it stands, with two kinds more. Neither is reversed: a merge undoes a split.
        """
        DO $patch$
        DECLARE body text := pg_get_functiondef('asset_legs_post'::regproc); found record;
        BEGIN
          FOR found IN SELECT * FROM (VALUES
            ('ELSE EXISTS (',
             $$WHEN 'SPLIT' THEN l.quantity_t = o.quantity_t AND asset_leg_cuts(l.tenant_id, t.id, o.id, f.issuing)
                                 AND (f.issuing AND g.organisation_id IS NOT NULL
                                      OR g.issuing AND f.organisation_id IS NOT NULL)
                   WHEN 'MERGE' THEN l.quantity_t = o.quantity_t AND asset_leg_cuts(l.tenant_id, t.id, o.id, f.issuing)
                                 AND (f.issuing AND g.organisation_id IS NOT NULL
                                      OR g.issuing AND f.organisation_id IS NOT NULL)
                   ELSE EXISTS ($$),
            ($$r.kind <> 'REVERSE'$$, $$r.kind NOT IN ('REVERSE', 'SPLIT', 'MERGE')$$),
            ($$CASE WHEN t.kind = 'ISSUE' THEN$$, $$CASE WHEN t.kind IN ('ISSUE', 'SPLIT', 'MERGE') THEN$$)
          ) AS change (was, becomes) LOOP
            IF strpos(body, found.was) = 0 THEN
              RAISE EXCEPTION 'asset_legs_post does not say %', found.was;
            END IF;
            body := replace(body, found.was, found.becomes);
          END LOOP;
          EXECUTE body;
        END $patch$
        """,
    )


def _cut() -> None:
    run(
        # Turns lots that rest wholly in one account into others of the same numbers, or says which of them moved, is
        # set aside or was withdrawn meanwhile. Balances are locked in the order of every posting.
        f"""
        CREATE FUNCTION ledger_cut(
          by_member uuid, in_operation text, with_correlation text, t_id uuid, t_kind text, t_day date, t_evidence text,
          at_account uuid, at_organisation uuid, parents uuid[], c_id uuid[], c_reference text[],
          c_first bigint[], c_last bigint[]
        ) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER {PLANS} AS $$
        DECLARE tenant uuid := {TENANT}; issuer uuid; changed uuid;
        BEGIN
          SELECT id INTO issuer FROM asset_account WHERE tenant_id = tenant AND kind = 'ISSUER';
          PERFORM FROM (
            SELECT account, lot FROM unnest(ARRAY[at_account, issuer]) AS a (account)
            CROSS JOIN unnest(parents) AS l (lot)
            ORDER BY 1, 2) k
          CROSS JOIN LATERAL (
            SELECT * FROM asset_balance b
            WHERE b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot FOR UPDATE) b;
          SELECT o.id INTO changed FROM asset_lot o
          LEFT JOIN asset_balance b ON b.tenant_id = tenant AND b.account_id = at_account AND b.lot_id = o.id
          WHERE o.tenant_id = tenant AND o.id = ANY (parents)
            AND (o.withdrawn_by IS NOT NULL OR b.quantity_t IS DISTINCT FROM o.quantity_t OR b.reserved_t <> 0)
          LIMIT 1;
          IF FOUND THEN
            RETURN changed;
          END IF;
          INSERT INTO asset_transfer (tenant_id, id, kind, legs, effective_on, evidence)
          VALUES (tenant, t_id, t_kind, cardinality(parents) + cardinality(c_id), t_day, t_evidence);
          INSERT INTO asset_lot_cut (tenant_id, transfer_id, parent_id, child_id)
          SELECT tenant, t_id, parent, child FROM unnest(parents) AS p (parent) CROSS JOIN unnest(c_id) AS c (child);
          INSERT INTO asset_lot (tenant_id, id, asset_class, scheme, issue_reference, vintage, project, quantity_t,
                                 origin, issued_to, issued_on, serial_prefix, serial_first, serial_last, issued_by)
          SELECT tenant, x.id, o.asset_class, o.scheme, x.reference, o.vintage, o.project, x.last - x.first + 1,
                 o.origin, o.issued_to, o.issued_on, o.serial_prefix, x.first, x.last, t_id
          FROM unnest(c_id, c_reference, c_first, c_last) AS x (id, reference, first, last)
          CROSS JOIN (SELECT * FROM asset_lot WHERE tenant_id = tenant AND id = parents[1]) o;
          INSERT INTO asset_balance (tenant_id, account_id, lot_id, issuing)
          SELECT tenant, a.id, c.id, a.issuing FROM unnest(c_id) AS c (id)
          CROSS JOIN (SELECT * FROM asset_account WHERE tenant_id = tenant AND id IN (at_account, issuer)) a;
          INSERT INTO asset_leg (tenant_id, transfer_id, leg, lot_id, from_account_id, to_account_id, quantity_t)
          SELECT tenant, t_id, k.n, k.lot, CASE WHEN k.old THEN at_account ELSE issuer END,
                 CASE WHEN k.old THEN issuer ELSE at_account END, o.quantity_t
          FROM (SELECT lot, n <= cardinality(parents) AS old, n
                FROM unnest(parents || c_id) WITH ORDINALITY AS u (lot, n)) k
          JOIN asset_lot o ON o.tenant_id = tenant AND o.id = k.lot;
          INSERT INTO audit_event (tenant_id, id, member_id, operation, organisation_id, subject_type, subject_id,
                                   after, correlation_id)
          VALUES (tenant, gen_random_uuid(), by_member, in_operation, at_organisation, 'AssetTransfer', t_id,
                  jsonb_build_object('kind', t_kind, 'lots', to_jsonb(parents), 'into', to_jsonb(c_id)),
                  with_correlation);
          RETURN NULL;
        END $$
        """,  # noqa: S608 - constants
        "REVOKE ALL ON FUNCTION ledger_cut FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_cut TO tanheng_app, tanheng_worker",
    )


def _checkpoints() -> None:
    run(
        # How balances stood at the end of days, from all that was recorded up to `known_at`; what came later has ids
        # from `from_id` on. A day is told anew by a later checkpoint when something back-dated had come in between.
        """
        CREATE TABLE asset_checkpoint (
          tenant_id uuid NOT NULL,
          number integer NOT NULL CHECK (number > 0),
          last_seal bigint NOT NULL,
          known_at timestamptz NOT NULL,
          from_id uuid NOT NULL,
          made_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, number),
          FOREIGN KEY (tenant_id, last_seal) REFERENCES asset_seal,
          CONSTRAINT asset_checkpoint_goes_on UNIQUE (tenant_id, last_seal)
        )
        """,
        """
        CREATE TABLE asset_checkpoint_balance (
          tenant_id uuid NOT NULL,
          account_id uuid NOT NULL,
          lot_id uuid NOT NULL,
          day date NOT NULL,
          number integer NOT NULL,
          quantity_t bigint NOT NULL,
          PRIMARY KEY (tenant_id, account_id, lot_id, day, number),
          FOREIGN KEY (tenant_id, number) REFERENCES asset_checkpoint,
          FOREIGN KEY (tenant_id, account_id, lot_id) REFERENCES asset_balance
        )
        """,
        # The least id made in a millisecond (RFC 9562, version 7).
        """
        CREATE FUNCTION ledger_id_floor(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE
        RETURN rpad(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0'), 32, '0')::uuid
        """,
    )
    for table in ("asset_checkpoint", "asset_checkpoint_balance"):
        protect(table)
        append_only(table)
    run(
        # A checkpoint reads what was recorded ten minutes ago or more, and finds what came later by id: so no transaction
        # may seal what was begun or named long before. Who is refused asks again, and names it anew.
        """
        CREATE FUNCTION asset_seal_in_time() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF NEW.sealed_at < clock_timestamp() - interval '5 minutes'
             OR NEW.transfer_ids[1] < ledger_id_floor(clock_timestamp() - interval '5 minutes') THEN
            RAISE EXCEPTION 'the transaction began too long ago to post' USING ERRCODE = '40001';
          END IF;
          IF NEW.transfer_ids[cardinality(NEW.transfer_ids)] > ledger_id_floor(NEW.sealed_at + interval '1 hour') THEN
            RAISE EXCEPTION 'the id of a transfer says when it was made, to the hour'
              USING ERRCODE = 'TH005', CONSTRAINT = 'asset_seal_in_time';
          END IF;
          RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER asset_seal_in_time BEFORE INSERT ON asset_seal FOR EACH ROW "
        "EXECUTE FUNCTION asset_seal_in_time()",
    )


def _checkpoint() -> None:
    run(
        # Makes the next checkpoint from the transfers recorded before `age`, at most so many or one seal; false when there
        # are none. It waits for whoever seals at this moment and holds up nobody: later seals are younger than what it
        # reads.
        f"""
        CREATE FUNCTION ledger_checkpoint(age interval, most integer) RETURNS boolean
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        DECLARE
          tenant uuid := {TENANT};
          until timestamptz := clock_timestamp() - age;
          turn bigint := hashtextextended('asset_seal ' || tenant, 0);
          before asset_checkpoint; sealed bigint; known timestamptz;
        BEGIN
          -- One maker at a time.
          PERFORM pg_advisory_xact_lock(hashtextextended('asset_checkpoint ' || tenant, 0));
          PERFORM pg_advisory_lock(turn);
          PERFORM pg_advisory_unlock(turn);
          SELECT * INTO before FROM asset_checkpoint WHERE tenant_id = tenant ORDER BY number DESC LIMIT 1;
          SELECT number, sealed_at INTO sealed, known FROM (
            SELECT number, sealed_at, sum(cardinality(transfer_ids)) OVER way AS transfers, row_number() OVER way AS n
            FROM (SELECT * FROM asset_seal
                  WHERE tenant_id = tenant AND sealed_at > coalesce(before.known_at, '-infinity') AND sealed_at <= until
                  ORDER BY sealed_at, number LIMIT most) s
            WINDOW way AS (ORDER BY sealed_at, number)) s
          WHERE transfers <= most OR n = 1
          ORDER BY sealed_at DESC, number DESC LIMIT 1;
          IF NOT FOUND THEN
            RETURN false;
          END IF;
          INSERT INTO asset_checkpoint (tenant_id, number, last_seal, known_at, from_id)
          VALUES (tenant, coalesce(before.number, 0) + 1, sealed, known, least(ledger_id_floor(known), (
            SELECT transfer_ids[1] FROM asset_seal WHERE tenant_id = tenant AND sealed_at > known ORDER BY 1 LIMIT 1)));
          INSERT INTO asset_checkpoint_balance (tenant_id, account_id, lot_id, day, number, quantity_t)
          WITH moved AS MATERIALIZED (
            SELECT e.account_id, e.lot_id, t.effective_on AS day, sum(e.amount_t) AS amount_t
            FROM asset_seal s CROSS JOIN unnest(s.transfer_ids) AS u (id)
            JOIN asset_transfer t ON t.tenant_id = tenant AND t.id = u.id
            CROSS JOIN LATERAL (
              SELECT from_account_id AS account_id, lot_id, -quantity_t AS amount_t FROM asset_leg
              WHERE tenant_id = tenant AND transfer_id = u.id
              UNION ALL
              SELECT to_account_id, lot_id, quantity_t FROM asset_leg
              WHERE tenant_id = tenant AND transfer_id = u.id) e
            JOIN asset_account a ON a.tenant_id = tenant AND a.id = e.account_id AND a.organisation_id IS NOT NULL
            WHERE s.tenant_id = tenant AND s.sealed_at > coalesce(before.known_at, '-infinity') AND s.sealed_at <= known
            GROUP BY 1, 2, 3
          ), told AS (
            SELECT account_id, lot_id, day, amount_t FROM moved
            UNION ALL
            SELECT DISTINCT b.account_id, b.lot_id, b.day, 0
            FROM (SELECT account_id, lot_id, min(day) AS since FROM moved GROUP BY 1, 2) m
            JOIN asset_checkpoint_balance b ON b.tenant_id = tenant AND b.account_id = m.account_id
              AND b.lot_id = m.lot_id AND b.day > m.since
          ), day AS (
            SELECT account_id, lot_id, day, sum(sum(amount_t)) OVER (
                     PARTITION BY account_id, lot_id ORDER BY day) AS amount_t
            FROM told GROUP BY 1, 2, 3
          )
          SELECT tenant, d.account_id, d.lot_id, d.day, coalesce(before.number, 0) + 1,
                 d.amount_t + coalesce(b.quantity_t, 0)
          FROM day d
          LEFT JOIN LATERAL (
            SELECT quantity_t FROM asset_checkpoint_balance b
            WHERE b.tenant_id = tenant AND b.account_id = d.account_id AND b.lot_id = d.lot_id AND b.day <= d.day
            ORDER BY b.day DESC, b.number DESC LIMIT 1) b ON true;
          RETURN true;
        END $$
        """,  # noqa: S608 - constants
        "REVOKE ALL ON FUNCTION ledger_checkpoint FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_checkpoint TO tanheng_app, tanheng_worker",
    )

"""Surrendering offsets over two registries, lots cut by their serial numbers, and checkpoints of balances.

An offset lies at one registry and counts at another: it is frozen at the first, offered at the second, and used up at
both or at neither. Each step is a row that follows the one before, and one of two steps ends it.
"""

from __future__ import annotations

from migrations.support import append_only, protect, run

revision = "0022"
down_revision = "0018"


def upgrade() -> None:
    _surrenders()
    _steps()
    _kept_together()


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

"""Inventories: what an organisation emitted in a period, frozen, checked by others than who made it, and locked."""

from __future__ import annotations

from migrations.support import append_only, protect, run

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run(
        """
        CREATE TABLE inventory (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          first_month date NOT NULL CHECK (first_month >= '1990-01-01' AND extract(day FROM first_month) = 1),
          months smallint NOT NULL CHECK (months BETWEEN 1 AND 12),
          version integer NOT NULL CHECK (version > 0),
          state text NOT NULL DEFAULT 'OPEN'
            CHECK (state IN ('OPEN', 'SUBMITTED', 'REVIEWED', 'APPROVED', 'VERIFIED', 'LOCKED', 'REOPENED')),
          round integer NOT NULL DEFAULT 0,
          sha256 text CHECK (sha256 ~ '^[0-9a-f]{64}$'),
          reason text NOT NULL DEFAULT '',
          submitted_by uuid,
          reviewed_by uuid,
          approved_by uuid,
          verified_by uuid,
          created_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          CONSTRAINT inventory_one_in_force EXCLUDE USING gist (
            tenant_id WITH =, organisation_id WITH =,
            daterange(first_month, (first_month + make_interval(months => months))::date) WITH &&
          ) WHERE (state <> 'REOPENED'),
          CONSTRAINT a_restatement_has_a_reason CHECK (version = 1 OR reason <> ''),
          CONSTRAINT what_is_submitted_has_a_digest CHECK (state = 'OPEN' OR sha256 IS NOT NULL),
          -- Maker is not checker, and no checker is who checked before.
          CONSTRAINT checked_by_others CHECK (
            reviewed_by <> submitted_by AND approved_by <> submitted_by AND approved_by <> reviewed_by
            AND verified_by <> submitted_by AND verified_by <> reviewed_by AND verified_by <> approved_by),
          CONSTRAINT signed_for_its_state CHECK (
            (state NOT IN ('SUBMITTED', 'REVIEWED', 'APPROVED', 'VERIFIED', 'LOCKED') OR submitted_by IS NOT NULL)
            AND (state NOT IN ('REVIEWED', 'APPROVED', 'VERIFIED', 'LOCKED') OR reviewed_by IS NOT NULL)
            AND (state NOT IN ('APPROVED', 'VERIFIED', 'LOCKED') OR approved_by IS NOT NULL)
            AND (state <> 'VERIFIED' OR verified_by IS NOT NULL))
        )
        """,
        """
        CREATE TABLE inventory_event (
          tenant_id uuid NOT NULL,
          inventory_id uuid NOT NULL,
          n integer NOT NULL,
          state text NOT NULL,
          note text NOT NULL DEFAULT '',
          sha256 text,
          member_id uuid NOT NULL,
          at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, inventory_id, n),
          FOREIGN KEY (tenant_id, inventory_id) REFERENCES inventory
        )
        """,
        """
        CREATE TABLE inventory_line (
          tenant_id uuid NOT NULL,
          inventory_id uuid NOT NULL,
          round integer NOT NULL,
          n integer NOT NULL,
          source_id uuid NOT NULL,
          stream_id uuid,
          declared_result_id uuid,
          coefficient_id uuid,
          category text NOT NULL,
          direct_kind text,
          first_month date NOT NULL,
          months smallint NOT NULL,
          quantity numeric(38, 12),
          co2e_t numeric(38, 9) NOT NULL,
          records integer NOT NULL,
          PRIMARY KEY (tenant_id, inventory_id, round, n),
          FOREIGN KEY (tenant_id, inventory_id) REFERENCES inventory,
          CONSTRAINT of_a_stream_or_declared CHECK ((stream_id IS NULL) <> (declared_result_id IS NULL)
            AND (stream_id IS NULL) = (coefficient_id IS NULL))
        )
        """,
    )
    protect(
        "inventory",
        writes="INSERT, UPDATE (state, round, sha256, submitted_by, reviewed_by, approved_by, verified_by)",
    )
    protect("inventory_event", writes="INSERT")
    protect("inventory_line", writes="INSERT")
    append_only("inventory_event")
    append_only("inventory_line")
    _locks()


def _locks() -> None:
    """What has been submitted does not move: neither quantities, nor coefficients, nor declared results."""
    run(
        """
        CREATE FUNCTION period_is_open() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
        BEGIN
          IF EXISTS (
            SELECT FROM changed m JOIN inventory i ON i.tenant_id = m.tenant_id
              AND i.organisation_id = m.organisation_id AND i.state NOT IN ('OPEN', 'REOPENED')
              AND m.month >= i.first_month AND m.month < i.first_month + make_interval(months => i.months)
          ) THEN
            RAISE EXCEPTION 'the inventory of this period is submitted' USING ERRCODE = '23P01',
              CONSTRAINT = 'period_is_open';
          END IF;
          RETURN NULL;
        END $$
        """,
        """
        CREATE FUNCTION declared_period_is_open() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
          IF EXISTS (
            SELECT FROM changed d
            JOIN emission_source o ON o.tenant_id = d.tenant_id AND o.id = d.source_id
            JOIN inventory i ON i.tenant_id = d.tenant_id AND i.organisation_id = o.organisation_id
              AND i.state NOT IN ('OPEN', 'REOPENED')
              AND daterange(i.first_month, (i.first_month + make_interval(months => i.months))::date)
               && daterange(d.first_month, (d.first_month + make_interval(months => d.months))::date)
          ) THEN
            RAISE EXCEPTION 'the inventory of this period is submitted' USING ERRCODE = '23P01',
              CONSTRAINT = 'period_is_open';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER open_for_new AFTER INSERT ON stream_month REFERENCING NEW TABLE AS changed "
        "FOR EACH STATEMENT EXECUTE FUNCTION period_is_open()",
        "CREATE TRIGGER open_for_changes AFTER UPDATE ON stream_month REFERENCING NEW TABLE AS changed "
        "FOR EACH STATEMENT EXECUTE FUNCTION period_is_open()",
        "CREATE TRIGGER open_for_new AFTER INSERT ON declared_result REFERENCING NEW TABLE AS changed "
        "FOR EACH STATEMENT EXECUTE FUNCTION declared_period_is_open()",
        "CREATE TRIGGER open_for_changes AFTER UPDATE ON declared_result REFERENCING NEW TABLE AS changed "
        "FOR EACH STATEMENT EXECUTE FUNCTION declared_period_is_open()",
    )

"""Emission units, devices and packs; monitoring plans with their parameters, instruments, calibrations and readings."""

from __future__ import annotations

from migrations.support import append_only, protect, run

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    _units()
    _sources()
    _instruments()
    _plans()
    _parameters()
    _readings()
    for table in ("emission_unit", "emission_device", "source_pack", "instrument", "calibration"):
        protect(table, writes="INSERT")
        append_only(table)


def _units() -> None:
    run(
        """
        CREATE TABLE emission_unit (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          parent_id uuid,
          code text NOT NULL CHECK (length(code) BETWEEN 1 AND 60),
          name_zh text NOT NULL CHECK (name_zh <> ''),
          name_en text NOT NULL DEFAULT '',
          process text NOT NULL DEFAULT '',
          kind text NOT NULL CHECK (kind IN ('GROUP', 'PRODUCTION', 'AUXILIARY')),
          created_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          CONSTRAINT emission_unit_at_organisation UNIQUE (tenant_id, organisation_id, id),
          CONSTRAINT emission_unit_code_key UNIQUE (tenant_id, organisation_id, code),
          CONSTRAINT emission_unit_parent FOREIGN KEY (tenant_id, organisation_id, parent_id)
            REFERENCES emission_unit (tenant_id, organisation_id, id),
          CONSTRAINT systems_belong_to_a_group CHECK ((kind = 'GROUP') = (parent_id IS NULL))
        )
        """,
        """
        CREATE FUNCTION systems_lie_in_groups() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF EXISTS (SELECT FROM emission_unit p WHERE p.tenant_id = NEW.tenant_id AND p.id = NEW.parent_id
                     AND p.kind <> 'GROUP') THEN
            RAISE EXCEPTION 'a system lies in a group of units, not in a system' USING ERRCODE = '23514',
              CONSTRAINT = 'systems_lie_in_groups';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER systems_lie_in_groups AFTER INSERT ON emission_unit "
        "FOR EACH ROW EXECUTE FUNCTION systems_lie_in_groups()",
        """
        CREATE TABLE emission_device (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          unit_id uuid NOT NULL,
          code text NOT NULL CHECK (length(code) BETWEEN 1 AND 60),
          name_zh text NOT NULL CHECK (name_zh <> ''),
          name_en text NOT NULL DEFAULT '',
          device_type text NOT NULL DEFAULT '',
          model text NOT NULL DEFAULT '',
          capacity numeric CHECK (capacity > 0 AND capacity < 'Infinity'),
          capacity_unit text NOT NULL DEFAULT '',
          place text NOT NULL DEFAULT '',
          commissioned_on date,
          decommissioned_on date,
          created_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id, unit_id) REFERENCES emission_unit (tenant_id, organisation_id, id),
          CONSTRAINT emission_device_at_unit UNIQUE (tenant_id, organisation_id, unit_id, id),
          CONSTRAINT emission_device_code_key UNIQUE (tenant_id, organisation_id, code),
          CONSTRAINT capacity_has_a_unit CHECK (capacity IS NULL OR capacity_unit <> ''),
          CONSTRAINT in_service_before_out_of_it CHECK (commissioned_on < decommissioned_on)
        )
        """,
        """
        CREATE TABLE source_pack (
          tenant_id uuid NOT NULL REFERENCES tenant,
          id uuid NOT NULL,
          code text NOT NULL CHECK (length(code) BETWEEN 1 AND 60),
          name_zh text NOT NULL CHECK (name_zh <> ''),
          content jsonb NOT NULL,
          created_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          CONSTRAINT source_pack_code_key UNIQUE (tenant_id, code)
        )
        """,
    )


def _sources() -> None:
    """A source may name its unit and device, of its own organisation; nothing else about it changes."""
    run(
        """
        ALTER TABLE emission_source
          ADD unit_id uuid,
          ADD device_id uuid,
          ADD CONSTRAINT emission_source_unit FOREIGN KEY (tenant_id, organisation_id, unit_id)
            REFERENCES emission_unit (tenant_id, organisation_id, id),
          ADD CONSTRAINT emission_source_device FOREIGN KEY (tenant_id, organisation_id, unit_id, device_id)
            REFERENCES emission_device (tenant_id, organisation_id, unit_id, id),
          ADD CONSTRAINT devices_lie_in_units CHECK (device_id IS NULL OR unit_id IS NOT NULL)
        """,
        "CREATE INDEX emission_source_of_unit ON emission_source (tenant_id, unit_id) WHERE unit_id IS NOT NULL",
        "DROP TRIGGER emission_source_append_only ON emission_source",
        """
        CREATE FUNCTION only_unit_and_device_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - '{unit_id,device_id}'::text[]
             = to_jsonb(OLD) - '{unit_id,device_id}'::text[] THEN
            RETURN NEW;
          END IF;
          RAISE EXCEPTION 'of a source only unit and device change: % refused', TG_OP USING ERRCODE = 'TH003';
        END $$
        """,
        "CREATE TRIGGER emission_source_append_only BEFORE UPDATE OR DELETE ON emission_source "
        "FOR EACH ROW EXECUTE FUNCTION only_unit_and_device_change()",
        "GRANT UPDATE (unit_id, device_id) ON emission_source TO tanheng_app, tanheng_worker",
    )


def _instruments() -> None:
    run(
        """
        CREATE TABLE instrument (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          code text NOT NULL CHECK (length(code) BETWEEN 1 AND 60),
          name_zh text NOT NULL CHECK (name_zh <> ''),
          name_en text NOT NULL DEFAULT '',
          instrument_type text NOT NULL CHECK (instrument_type <> ''),
          model text NOT NULL DEFAULT '',
          serial text NOT NULL DEFAULT '',
          point text NOT NULL DEFAULT '',
          required_error numeric NOT NULL CHECK (required_error > 0 AND required_error < 1),
          created_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          CONSTRAINT instrument_at_organisation UNIQUE (tenant_id, organisation_id, id),
          CONSTRAINT instrument_code_key UNIQUE (tenant_id, organisation_id, code)
        )
        """,
        """
        CREATE TABLE calibration (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          instrument_id uuid NOT NULL,
          done_on date NOT NULL,
          valid_until date NOT NULL,
          actual_error numeric NOT NULL CHECK (actual_error >= 0 AND actual_error < 1),
          certificate text NOT NULL CHECK (certificate <> ''),
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id, instrument_id)
            REFERENCES instrument (tenant_id, organisation_id, id),
          CONSTRAINT calibration_key UNIQUE (tenant_id, instrument_id, done_on),
          CONSTRAINT calibrated_for_some_time CHECK (done_on <= valid_until)
        )
        """,
    )


def _plans() -> None:
    run(
        """
        CREATE TABLE monitoring_plan (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          version integer NOT NULL CHECK (version > 0),
          state text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'SUBMITTED', 'APPROVED', 'SUPERSEDED')),
          address text NOT NULL DEFAULT '',
          organisation_code text NOT NULL DEFAULT '',
          contact text NOT NULL DEFAULT '',
          organisation_boundary text NOT NULL DEFAULT '',
          accounting_boundary text NOT NULL DEFAULT '',
          other_matters text NOT NULL DEFAULT '',
          starts_on date NOT NULL,
          ends_on date,
          created_by uuid NOT NULL,
          created_at timestamptz NOT NULL DEFAULT now(),
          submitted_by uuid,
          submitted_at timestamptz,
          approved_by uuid,
          approved_at timestamptz,
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          CONSTRAINT monitoring_plan_at_organisation UNIQUE (tenant_id, organisation_id, id),
          CONSTRAINT monitoring_plan_version_key UNIQUE (tenant_id, organisation_id, version),
          CONSTRAINT maker_is_not_checker CHECK (approved_by <> created_by AND approved_by <> submitted_by),
          CONSTRAINT submitted_by_somebody CHECK ((state = 'DRAFT') = (submitted_by IS NULL)
            AND (submitted_by IS NULL) = (submitted_at IS NULL)),
          CONSTRAINT approved_by_somebody CHECK ((state IN ('APPROVED', 'SUPERSEDED')) = (approved_by IS NOT NULL)
            AND (approved_by IS NULL) = (approved_at IS NULL)),
          CONSTRAINT superseded_on_a_day CHECK ((state = 'SUPERSEDED') = (ends_on IS NOT NULL)
            AND starts_on < ends_on),
          CONSTRAINT one_plan_in_force EXCLUDE USING gist (
            tenant_id WITH =, organisation_id WITH =, daterange(starts_on, ends_on) WITH &&
          ) WHERE (state IN ('APPROVED', 'SUPERSEDED'))
        )
        """,
        "CREATE UNIQUE INDEX one_plan_in_the_making ON monitoring_plan (tenant_id, organisation_id) "
        "WHERE state IN ('DRAFT', 'SUBMITTED')",
        # An approved plan is superseded, never edited; a submitted one is approved or sent back.
        """
        CREATE FUNCTION monitoring_plan_goes_its_way() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP = 'UPDATE' AND (OLD.state, NEW.state) IN
               (('DRAFT', 'DRAFT'), ('DRAFT', 'SUBMITTED'), ('SUBMITTED', 'DRAFT'), ('SUBMITTED', 'APPROVED'),
                ('APPROVED', 'SUPERSEDED'))
             AND (OLD.state = 'DRAFT' OR to_jsonb(NEW) - '{state,ends_on,submitted_by,submitted_at,approved_by,approved_at}'::text[]
               = to_jsonb(OLD) - '{state,ends_on,submitted_by,submitted_at,approved_by,approved_at}'::text[])
             AND (OLD.state <> 'APPROVED' OR (NEW.approved_by, NEW.submitted_by) = (OLD.approved_by, OLD.submitted_by))
          THEN
            RETURN NEW;
          END IF;
          RAISE EXCEPTION 'a monitoring plan goes from draft to submitted to approved: % refused', TG_OP
            USING ERRCODE = 'TH003';
        END $$
        """,
        "CREATE TRIGGER monitoring_plan_goes_its_way BEFORE UPDATE OR DELETE ON monitoring_plan "
        "FOR EACH ROW EXECUTE FUNCTION monitoring_plan_goes_its_way()",
    )
    protect(
        "monitoring_plan",
        writes="INSERT, UPDATE (state, ends_on, submitted_by, submitted_at, approved_by, approved_at)",
    )


def _parameters() -> None:
    run(
        """
        CREATE TABLE plan_parameter (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          plan_id uuid NOT NULL,
          code text NOT NULL CHECK (length(code) BETWEEN 1 AND 60),
          name_zh text NOT NULL CHECK (name_zh <> ''),
          name_en text NOT NULL DEFAULT '',
          table_row smallint,
          kind text NOT NULL CHECK (kind IN ('QUANTITY', 'QUALITY')),
          direction text NOT NULL CHECK (direction IN ('INPUT', 'OUTPUT')),
          unit text NOT NULL CHECK (unit <> ''),
          stream_id uuid,
          instrument_id uuid,
          data_source text NOT NULL DEFAULT '',
          method text NOT NULL DEFAULT '',
          standard text NOT NULL DEFAULT '',
          requirement text NOT NULL DEFAULT '',
          proof text NOT NULL DEFAULT '',
          frequency text NOT NULL CHECK (frequency IN
            ('CONTINUOUS', 'HOURLY', 'DAILY', 'WEEKLY', 'PER_BATCH', 'PER_CYCLE', 'MONTHLY', 'YEARLY')),
          due_days smallint NOT NULL CHECK (due_days BETWEEN 0 AND 366),
          lowest numeric,
          highest numeric,
          partner_code text,
          tolerance numeric CHECK (tolerance >= 0 AND tolerance < 1),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id, plan_id) REFERENCES monitoring_plan (tenant_id, organisation_id, id),
          FOREIGN KEY (tenant_id, organisation_id, instrument_id)
            REFERENCES instrument (tenant_id, organisation_id, id),
          FOREIGN KEY (tenant_id, stream_id) REFERENCES emission_stream,
          CONSTRAINT plan_parameter_at_organisation UNIQUE (tenant_id, organisation_id, id),
          CONSTRAINT plan_parameter_code_key UNIQUE (tenant_id, plan_id, code),
          CONSTRAINT plan_parameter_partner FOREIGN KEY (tenant_id, plan_id, partner_code)
            REFERENCES plan_parameter (tenant_id, plan_id, code) DEFERRABLE INITIALLY DEFERRED,
          CONSTRAINT streams_are_quantities CHECK (stream_id IS NULL OR kind = 'QUANTITY'),
          CONSTRAINT lowest_below_highest CHECK (lowest <= highest),
          CONSTRAINT partner_within_a_tolerance CHECK ((partner_code IS NULL) = (tolerance IS NULL)),
          CONSTRAINT partner_is_another CHECK (partner_code <> code)
        )
        """,
        """
        CREATE FUNCTION parameters_of_drafts_change() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE found_state text;
        BEGIN
          SELECT state INTO found_state FROM monitoring_plan
          WHERE (tenant_id, id) IN ((NEW.tenant_id, NEW.plan_id), (OLD.tenant_id, OLD.plan_id)) AND state <> 'DRAFT';
          IF FOUND THEN
            RAISE EXCEPTION 'parameters change while their plan is a draft: % refused', TG_OP USING ERRCODE = 'TH003';
          END IF;
          RETURN coalesce(NEW, OLD);
        END $$
        """,
        "CREATE TRIGGER parameters_of_drafts_change BEFORE INSERT OR UPDATE OR DELETE ON plan_parameter "
        "FOR EACH ROW EXECUTE FUNCTION parameters_of_drafts_change()",
    )
    protect("plan_parameter", writes="INSERT, DELETE")


def _readings() -> None:
    """Kept by organisation and code of the parameter, so that they outlive the version of the plan."""
    run(
        """
        CREATE TABLE parameter_reading (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          parameter_id uuid NOT NULL,
          code text NOT NULL,
          day date NOT NULL CHECK (day >= '1990-01-01'),
          batch text NOT NULL DEFAULT '',
          value numeric NOT NULL CHECK (value <> 'NaN' AND abs(value) < 1e15),
          weight numeric CHECK (weight > 0 AND weight < 1e15),
          evidence text NOT NULL DEFAULT '',
          note text NOT NULL DEFAULT '',
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          superseded_at timestamptz CHECK (superseded_at >= recorded_at),
          superseded_because text CHECK (superseded_because <> ''),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id, parameter_id)
            REFERENCES plan_parameter (tenant_id, organisation_id, id),
          CHECK ((superseded_at IS NULL) = (superseded_because IS NULL))
        )
        """,
        "CREATE UNIQUE INDEX parameter_reading_current ON parameter_reading "
        "(tenant_id, organisation_id, code, day, batch) WHERE superseded_at IS NULL",
        "CREATE TRIGGER parameter_reading_supersede_once BEFORE UPDATE OR DELETE ON parameter_reading "
        "FOR EACH ROW EXECUTE FUNCTION supersede_once()",
        "CREATE TRIGGER parameter_reading_no_truncate BEFORE TRUNCATE ON parameter_reading "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )
    protect("parameter_reading", writes="INSERT, UPDATE (superseded_at, superseded_because)")

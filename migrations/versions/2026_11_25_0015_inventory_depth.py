"""Inventories in depth: restatements by cause, base years, outputs and targets, deviations; what documents prove."""

from __future__ import annotations

from migrations.support import append_only, forced, protect, run, unforced

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    _inventories()
    _outputs()
    _targets_and_deviations()
    _base_years()
    _recalculations()
    _documents()
    run(
        "ALTER TABLE consolidation_run ADD COLUMN basis text NOT NULL DEFAULT 'ALL' CHECK (basis IN ('ALL', 'APPROVED'))",
        "GRANT INSERT (basis) ON consolidation_run TO tanheng_app",
    )


def _inventories() -> None:
    run(
        "ALTER TABLE emission_source ADD COLUMN evidence_required boolean NOT NULL DEFAULT false",
        "ALTER TABLE inventory ADD COLUMN cause text CONSTRAINT inventory_cause "
        "CHECK (cause IS NULL OR cause IN ('ERROR', 'METHOD', 'STRUCTURE', 'OTHER') AND version > 1)",
        # The steps in their order, whoever asks; what was submitted keeps its digest until it is submitted anew.
        """
        CREATE FUNCTION inventory_moves() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
               ('OPEN', 'SUBMITTED'), ('SUBMITTED', 'REVIEWED'), ('REVIEWED', 'APPROVED'), ('APPROVED', 'VERIFIED'),
               ('APPROVED', 'LOCKED'), ('VERIFIED', 'LOCKED'), ('SUBMITTED', 'OPEN'), ('REVIEWED', 'OPEN'),
               ('SUBMITTED', 'REOPENED'), ('REVIEWED', 'REOPENED'), ('APPROVED', 'REOPENED'),
               ('VERIFIED', 'REOPENED'), ('LOCKED', 'REOPENED'))
             OR (NEW.sha256 IS DISTINCT FROM OLD.sha256 OR NEW.round <> OLD.round)
                AND NOT (OLD.state = 'OPEN' AND NEW.state = 'SUBMITTED' AND NEW.round = OLD.round + 1) THEN
            RAISE EXCEPTION 'an inventory does not go from % to % like that', OLD.state, NEW.state
              USING ERRCODE = '23514', CONSTRAINT = 'inventory_moves';
          END IF;
          RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER inventory_moves BEFORE UPDATE ON inventory FOR EACH ROW EXECUTE FUNCTION inventory_moves()",
    )


def _outputs() -> None:
    run(
        """
        CREATE TABLE product_output (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          line_id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          unit_id uuid,
          device_id uuid,
          product text NOT NULL CHECK (product <> ''),
          month date NOT NULL CHECK (month >= '1990-01-01' AND extract(day FROM month) = 1),
          quantity numeric(38, 12) NOT NULL CHECK (quantity >= 0 AND quantity <> 'NaN'),
          unit text NOT NULL CHECK (unit <> ''),
          evidence text NOT NULL DEFAULT '',
          note text NOT NULL DEFAULT '',
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          superseded_at timestamptz,
          superseded_because text,
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          CONSTRAINT product_output_unit FOREIGN KEY (tenant_id, organisation_id, unit_id)
            REFERENCES emission_unit (tenant_id, organisation_id, id),
          CONSTRAINT product_output_device FOREIGN KEY (tenant_id, organisation_id, unit_id, device_id)
            REFERENCES emission_device (tenant_id, organisation_id, unit_id, id),
          CHECK (device_id IS NULL OR unit_id IS NOT NULL),
          CHECK ((superseded_at IS NULL) = (superseded_because IS NULL) AND superseded_because <> '')
        )
        """,
        # A product has one output in a place and month; places without unit or device are places too.
        "CREATE UNIQUE INDEX product_output_once ON product_output "
        "(tenant_id, organisation_id, unit_id, device_id, product, month) NULLS NOT DISTINCT WHERE superseded_at IS NULL",
    )
    _superseded_alone("product_output")


def _superseded_alone(table: str) -> None:
    """Rows that are recorded and later superseded with a reason: nothing else about them changes."""
    protect(table, writes="INSERT, UPDATE (superseded_at, superseded_because)")
    run(
        f"CREATE TRIGGER {table}_superseded BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION supersede_once()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )


_CATEGORY = """CHECK (category IN ('DIRECT', 'IMPORTED_ENERGY', 'TRANSPORT', 'PRODUCTS_USED', 'USE_OF_OWN_PRODUCTS',
                                   'OTHER'))"""


def _targets_and_deviations() -> None:
    run(
        f"""
        CREATE TABLE emission_target (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          year integer NOT NULL CHECK (year BETWEEN 1990 AND 2100),
          category text {_CATEGORY},
          product text CHECK (product <> ''),
          value numeric NOT NULL CHECK (value >= 0 AND value <> 'NaN'),
          unit text NOT NULL CHECK (unit <> ''),
          threshold numeric NOT NULL CHECK (threshold BETWEEN 0 AND 1),
          note text NOT NULL DEFAULT '',
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          superseded_at timestamptz,
          superseded_because text,
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          CHECK ((superseded_at IS NULL) = (superseded_because IS NULL) AND superseded_because <> '')
        )
        """,
        "CREATE UNIQUE INDEX emission_target_once ON emission_target "
        "(tenant_id, organisation_id, year, category, product) NULLS NOT DISTINCT WHERE superseded_at IS NULL",
        f"""
        CREATE TABLE deviation_finding (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          kind text NOT NULL CHECK (kind IN ('YEAR_ON_YEAR', 'TARGET')),
          year integer NOT NULL,
          category text {_CATEGORY},
          product text,
          target_id uuid,
          compared numeric NOT NULL,
          actual numeric NOT NULL,
          unit text NOT NULL,
          threshold numeric NOT NULL,
          state text NOT NULL DEFAULT 'OPEN' CHECK (state IN ('OPEN', 'CLOSED', 'REPLACED')),
          cause text CHECK (cause IN ('SCOPE', 'METHODOLOGY', 'OFFSET_USE', 'DATA', 'ACTIVITY', 'FACTOR', 'STRUCTURE',
                                      'OTHER')),
          analysis text NOT NULL DEFAULT '',
          found_by uuid NOT NULL,
          found_at timestamptz NOT NULL DEFAULT now(),
          closed_by uuid,
          closed_at timestamptz,
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, target_id) REFERENCES emission_target,
          CHECK ((kind = 'TARGET') = (target_id IS NOT NULL)),
          CONSTRAINT closed_with_its_cause CHECK ((state = 'CLOSED') = (cause IS NOT NULL)
            AND (cause IS NULL) = (analysis = '') AND (state = 'CLOSED') = (closed_by IS NOT NULL)
            AND (closed_by IS NULL) = (closed_at IS NULL))
        )
        """,
        "CREATE UNIQUE INDEX deviation_open_once ON deviation_finding "
        "(tenant_id, organisation_id, kind, year, category, product) NULLS NOT DISTINCT WHERE state = 'OPEN'",
        """
        CREATE FUNCTION ended_once() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP = 'DELETE' OR OLD.state NOT IN ('OPEN', 'PROPOSED') THEN
            RAISE EXCEPTION 'what was decided stays decided' USING ERRCODE = 'TH003';
          END IF;
          RETURN NEW;
        END $$
        """,
    )
    _superseded_alone("emission_target")
    protect("deviation_finding", writes="INSERT, UPDATE (state, cause, analysis, closed_by, closed_at)")
    _ended_once("deviation_finding")


def _ended_once(table: str) -> None:
    run(
        f"CREATE TRIGGER {table}_ended BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION ended_once()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )


def _base_years() -> None:
    run(
        """
        CREATE TABLE base_year (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          year integer NOT NULL CHECK (year BETWEEN 1990 AND 2100),
          approach text NOT NULL CHECK (approach IN ('OPERATIONAL_CONTROL', 'FINANCIAL_CONTROL', 'EQUITY_SHARE')),
          categories text[] NOT NULL CHECK (cardinality(categories) > 0),
          threshold numeric NOT NULL CHECK (threshold BETWEEN 0 AND 1),
          triggers text[] NOT NULL CHECK (triggers <@ ARRAY['ACQUISITION', 'DISPOSAL', 'METHOD', 'ERROR']),
          reason text NOT NULL CHECK (reason <> ''),
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          superseded_at timestamptz,
          superseded_because text,
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          CHECK ((superseded_at IS NULL) = (superseded_because IS NULL) AND superseded_because <> '')
        )
        """,
        "CREATE UNIQUE INDEX base_year_once ON base_year (tenant_id, organisation_id) WHERE superseded_at IS NULL",
        """
        CREATE TABLE base_year_value (
          tenant_id uuid NOT NULL,
          base_year_id uuid NOT NULL,
          version integer NOT NULL CHECK (version > 0),
          co2e_t numeric NOT NULL,
          recalculation_id uuid,
          made_by uuid NOT NULL,
          made_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, base_year_id, version),
          FOREIGN KEY (tenant_id, base_year_id) REFERENCES base_year,
          CHECK ((version = 1) = (recalculation_id IS NULL))
        )
        """,
        """
        CREATE TABLE base_year_line (
          tenant_id uuid NOT NULL,
          base_year_id uuid NOT NULL,
          version integer NOT NULL,
          n integer NOT NULL,
          organisation_id uuid NOT NULL,
          source_id uuid NOT NULL,
          stream_id uuid,
          declared_line_id uuid,
          first_month date NOT NULL,
          quantity numeric(38, 12),
          coefficient_id uuid,
          co2e_t numeric(38, 9) NOT NULL,
          part numeric NOT NULL,
          PRIMARY KEY (tenant_id, base_year_id, version, n),
          FOREIGN KEY (tenant_id, base_year_id, version) REFERENCES base_year_value,
          FOREIGN KEY (tenant_id, source_id) REFERENCES emission_source,
          CHECK ((stream_id IS NULL) <> (declared_line_id IS NULL) AND (coefficient_id IS NULL OR stream_id IS NOT NULL)
            AND (stream_id IS NULL) = (quantity IS NULL))
        )
        """,
    )
    _superseded_alone("base_year")
    for table in ("base_year_value", "base_year_line"):
        protect(table, writes="INSERT")
        append_only(table)


def _recalculations() -> None:
    run(
        """
        CREATE TABLE base_year_recalculation (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          base_year_id uuid NOT NULL,
          version integer NOT NULL,
          trigger text NOT NULL CHECK (trigger IN ('ACQUISITION', 'DISPOSAL', 'METHOD', 'ERROR')),
          about_id uuid NOT NULL,
          effect_t numeric NOT NULL CHECK (effect_t <> 0),
          base_t numeric NOT NULL,
          above_threshold boolean NOT NULL,
          state text NOT NULL DEFAULT 'PROPOSED' CHECK (state IN ('PROPOSED', 'ACCEPTED', 'DECLINED', 'REPLACED')),
          reason text NOT NULL DEFAULT '',
          proposed_by uuid NOT NULL,
          proposed_at timestamptz NOT NULL DEFAULT now(),
          decided_by uuid,
          decided_at timestamptz,
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, about_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, base_year_id, version) REFERENCES base_year_value,
          CONSTRAINT decided_by_another CHECK (decided_by <> proposed_by),
          CONSTRAINT decided_with_a_reason CHECK ((state IN ('ACCEPTED', 'DECLINED')) = (decided_by IS NOT NULL)
            AND (decided_by IS NULL) = (decided_at IS NULL) AND (decided_by IS NULL) = (reason = ''))
        )
        """,
        "CREATE UNIQUE INDEX base_year_recalculation_open ON base_year_recalculation "
        "(tenant_id, base_year_id, trigger, about_id) WHERE state = 'PROPOSED'",
        "ALTER TABLE base_year_value ADD FOREIGN KEY (tenant_id, recalculation_id) REFERENCES base_year_recalculation",
    )
    protect("base_year_recalculation", writes="INSERT, UPDATE (state, reason, decided_by, decided_at)")
    _ended_once("base_year_recalculation")


def _documents() -> None:
    run(
        # An upload that was never finished is given up; what was withdrawn may lose its content.
        "ALTER TABLE document DROP CONSTRAINT document_state_check",
        "ALTER TABLE document ADD CONSTRAINT document_state_check "
        "CHECK (state IN ('ANNOUNCED', 'STORED', 'WITHDRAWN', 'ABANDONED'))",
        "ALTER TABLE document DROP CONSTRAINT document_check",
        "ALTER TABLE document ADD CONSTRAINT document_stored_at "
        "CHECK ((state IN ('ANNOUNCED', 'ABANDONED')) = (stored_at IS NULL))",
        """
        CREATE FUNCTION document_gives_up() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF (OLD.state = 'ABANDONED') <> (NEW.state = 'ABANDONED') AND OLD.state <> 'ANNOUNCED' THEN
            RAISE EXCEPTION 'only an upload is given up' USING ERRCODE = '23514', CONSTRAINT = 'document_is_kept';
          END IF;
          RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER document_gives_up BEFORE UPDATE ON document FOR EACH ROW EXECUTE FUNCTION document_gives_up()",
        "ALTER TABLE document ADD COLUMN content_removed_at timestamptz",
        "ALTER TABLE document ADD CONSTRAINT document_content_kept "
        "CHECK (content_removed_at IS NULL OR state IN ('WITHDRAWN', 'ABANDONED'))",
        "GRANT UPDATE (content_removed_at) ON document TO tanheng_app, tanheng_worker",
        "CREATE INDEX document_to_sweep ON document (tenant_id, state, created_at) "
        "WHERE state IN ('ANNOUNCED', 'WITHDRAWN', 'ABANDONED') AND content_removed_at IS NULL",
        # Whose record a document proves: who may see the record may see the proof.
        "ALTER TABLE document_link DISABLE TRIGGER document_link_append_only",
        "ALTER TABLE document_link ADD COLUMN organisation_id uuid",
    )
    unforced("document", "document_link")
    run(
        "UPDATE document_link l SET organisation_id = d.organisation_id FROM document d "
        "WHERE d.tenant_id = l.tenant_id AND d.id = l.document_id",
    )
    forced("document", "document_link")
    run(
        "ALTER TABLE document_link ALTER COLUMN organisation_id SET NOT NULL",
        "ALTER TABLE document_link ADD FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation",
        "ALTER TABLE document_link ENABLE TRIGGER document_link_append_only",
    )

"""Several methods for one stream, and the one that counts.

A stream may have a basis of each method class at the same time, so a coefficient of each; its source says which class
counts in which months. What a stream-month emits is its quantity by the coefficient of that class.
"""

from __future__ import annotations

from migrations.support import forced, protect, run, unforced

revision = "0012"
down_revision = "0011"

SUPERSEDED = """
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          superseded_at timestamptz CHECK (superseded_at >= recorded_at),
          superseded_because text CHECK (superseded_because <> ''),
          CHECK ((superseded_at IS NULL) = (superseded_because IS NULL)),
"""
WHOLE_MONTHS = """CHECK (first_month >= '1990-01-01' AND extract(day FROM first_month) = 1
            AND last_month >= first_month AND extract(day FROM last_month) = 1)"""
MONTHS = "daterange(first_month, last_month, '[]')"


def upgrade() -> None:
    moved = ("emission_source", "emission_stream", "stream_coefficient")
    unforced(*moved)
    _whitelist()
    _bases()
    _choices()
    _coefficients()
    _months()
    forced(*moved)
    _alarms()


def _whitelist() -> None:
    """Which class may account which term: formulas (3) and (4), 8.2.5.1; process also by mass balance."""
    run(
        """
        CREATE FUNCTION method_allowed(category text, direct_kind text, method text) RETURNS boolean
        LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN method = 'FACTOR' OR (category = 'DIRECT'
          AND (method = 'MEASURED' OR (method = 'MASS_BALANCE' AND direct_kind <> 'FUGITIVE')))
        """,
        """
        CREATE FUNCTION method_is_allowed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        DECLARE
          allowed boolean;
        BEGIN
          IF TG_TABLE_NAME = 'source_method' THEN
            SELECT method_allowed(o.category, o.direct_kind, NEW.method) INTO allowed
            FROM emission_source o WHERE o.tenant_id = NEW.tenant_id AND o.id = NEW.source_id;
          ELSE
            SELECT method_allowed(o.category, o.direct_kind, NEW.method) INTO allowed
            FROM emission_stream t JOIN emission_source o ON o.tenant_id = t.tenant_id AND o.id = t.source_id
            WHERE t.tenant_id = NEW.tenant_id AND t.id = NEW.stream_id;
          END IF;
          IF NOT allowed THEN
            RAISE EXCEPTION 'the formula of this term does not know the method %', NEW.method USING ERRCODE = '23514',
              CONSTRAINT = 'method_allowed';
          END IF;
          RETURN NEW;
        END $$
        """,
    )


def _bases() -> None:
    """What a coefficient is derived from besides the library: a method of a class, its parameters, and their months."""
    run(
        """
        ALTER TABLE emission_stream
          DROP CONSTRAINT material_or_own_factor,
          ADD CONSTRAINT material_or_own_factor CHECK (material IS NULL OR own_factor IS NULL)
        """,
        f"""
        CREATE TABLE stream_basis (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          stream_id uuid NOT NULL,
          method text NOT NULL CHECK (method IN ('MEASURED', 'MASS_BALANCE', 'FACTOR')),
          kind text NOT NULL CHECK (kind <> ''),
          parameters jsonb NOT NULL CHECK (jsonb_typeof(parameters) = 'array'),
          gas text NOT NULL DEFAULT '',
          formula text NOT NULL DEFAULT '',
          first_month date NOT NULL,
          last_month date,
          reason text NOT NULL DEFAULT '',
          evidence text NOT NULL DEFAULT '',
          {SUPERSEDED}
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, stream_id) REFERENCES emission_stream,
          CONSTRAINT stream_basis_whole_months {WHOLE_MONTHS},
          CONSTRAINT stream_basis_one_per_method EXCLUDE USING gist (
            tenant_id WITH =, stream_id WITH =, method WITH =, {MONTHS} WITH &&
          ) WHERE (superseded_at IS NULL)
        )
        """,
        "CREATE INDEX stream_basis_of_stream ON stream_basis (tenant_id, stream_id)",
    )
    _superseded_once("stream_basis")
    _judged_by_whitelist("stream_basis")


def _superseded_once(table: str) -> None:
    protect(table, writes="INSERT, UPDATE (superseded_at, superseded_because)")
    run(
        f"CREATE TRIGGER {table}_supersede_once BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION supersede_once()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )


def _judged_by_whitelist(table: str) -> None:
    run(
        f"CREATE TRIGGER {table}_method_is_allowed BEFORE INSERT ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION method_is_allowed()"
    )


def _choices() -> None:
    """Of every source, in every month, exactly one class counts."""
    run(
        f"""
        CREATE TABLE source_method (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          source_id uuid NOT NULL,
          first_month date NOT NULL,
          last_month date,
          method text NOT NULL CHECK (method IN ('MEASURED', 'MASS_BALANCE', 'FACTOR')),
          reason text NOT NULL DEFAULT '',
          {SUPERSEDED}
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, source_id) REFERENCES emission_source,
          CONSTRAINT source_method_whole_months {WHOLE_MONTHS},
          CONSTRAINT source_method_one_counts EXCLUDE USING gist (
            tenant_id WITH =, source_id WITH =, {MONTHS} WITH &&
          ) WHERE (superseded_at IS NULL)
        )
        """,
        "CREATE INDEX source_method_of_source ON source_method (tenant_id, source_id, first_month) "
        "WHERE superseded_at IS NULL",
        # Recorded by nobody: what there was before had no choice.
        """
        INSERT INTO source_method (tenant_id, id, source_id, first_month, method, recorded_by)
        SELECT tenant_id, gen_random_uuid(), id, '1990-01-01', 'FACTOR', '00000000-0000-0000-0000-000000000000'
        FROM emission_source
        """,
    )
    _superseded_once("source_method")
    _judged_by_whitelist("source_method")
    run(
        # Judged when the transaction is complete: a choice is several rows.
        """
        CREATE FUNCTION one_method_counts() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        DECLARE
          source uuid := coalesce(to_jsonb(NEW) ->> 'source_id', to_jsonb(NEW) ->> 'id');
        BEGIN
          IF (SELECT range_agg(daterange(first_month, (last_month + interval '1 month')::date))
              FROM source_method WHERE tenant_id = NEW.tenant_id AND source_id = source AND superseded_at IS NULL)
             IS DISTINCT FROM datemultirange(daterange('1990-01-01', NULL)) THEN
            RAISE EXCEPTION 'source % needs one method for each month', source USING ERRCODE = '23514',
              CONSTRAINT = 'source_method_for_all_time';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE CONSTRAINT TRIGGER source_has_a_method AFTER INSERT ON emission_source DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION one_method_counts()",
        "CREATE CONSTRAINT TRIGGER one_method_counts AFTER INSERT OR UPDATE ON source_method "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION one_method_counts()",
    )


def _coefficients() -> None:
    """Which coefficient counts is said by the source alone."""
    run(
        """
        ALTER TABLE stream_coefficient
          DROP CONSTRAINT stream_coefficient_one_chosen,
          DROP COLUMN chosen,
          ADD kind text,
          ADD basis_id uuid,
          ADD FOREIGN KEY (tenant_id, basis_id) REFERENCES stream_basis,
          ADD CONSTRAINT known_gwp_set CHECK (gwp_set IN ('SAR', 'AR4', 'AR5', 'AR6'))
        """,
        "ALTER TABLE stream_coefficient DISABLE TRIGGER stream_coefficient_supersede_once",
        """
        UPDATE stream_coefficient c SET kind = CASE WHEN t.own_factor IS NULL THEN 'LIBRARY' ELSE 'OWN_FACTOR' END
        FROM emission_stream t WHERE t.tenant_id = c.tenant_id AND t.id = c.stream_id
        """,
        "ALTER TABLE stream_coefficient ENABLE TRIGGER stream_coefficient_supersede_once",
        "ALTER TABLE stream_coefficient ALTER kind SET NOT NULL, ADD CHECK (kind <> '')",
    )


def _months() -> None:
    """What has no coefficient of the class that counts is kept with its quantity, and emits nothing."""
    run(
        "ALTER TABLE stream_month ALTER coefficient_id DROP NOT NULL",
        """
        ALTER TABLE inventory_line
          DROP CONSTRAINT of_a_stream_or_declared,
          ADD CONSTRAINT of_a_stream_or_declared CHECK ((stream_id IS NULL) <> (declared_result_id IS NULL)
            AND (coefficient_id IS NULL OR stream_id IS NOT NULL))
        """,
        """
        CREATE OR REPLACE FUNCTION months_of_streams_hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
          IF TG_OP = 'INSERT' THEN
            PERFORM FROM emission_source o
            WHERE (o.tenant_id, o.id) IN (SELECT m.tenant_id, m.source_id FROM changed m)
            ORDER BY o.id FOR NO KEY UPDATE;
          END IF;
          IF EXISTS (
            SELECT FROM changed m
            JOIN declared_result d ON d.tenant_id = m.tenant_id AND d.source_id = m.source_id
              AND d.superseded_at IS NULL AND m.month >= d.first_month
              AND m.month < d.first_month + make_interval(months => d.months)
            JOIN stream_coefficient c ON c.tenant_id = m.tenant_id AND c.id = m.coefficient_id
              AND c.gases @> jsonb_build_array(jsonb_build_object('gas', d.gas))
          ) THEN
            RAISE EXCEPTION 'a declared result covers this month' USING ERRCODE = '23P01',
              CONSTRAINT = 'one_origin_per_gas_and_month';
          END IF;
          IF EXISTS (
            SELECT FROM changed m
            LEFT JOIN source_method s ON s.tenant_id = m.tenant_id AND s.source_id = m.source_id
              AND s.superseded_at IS NULL AND m.month >= s.first_month
              AND (s.last_month IS NULL OR m.month <= s.last_month)
            LEFT JOIN stream_coefficient c ON c.tenant_id = m.tenant_id AND c.id = m.coefficient_id
              AND c.stream_id = m.stream_id AND m.month BETWEEN c.first_month AND c.last_month AND c.method = s.method
            WHERE CASE WHEN m.coefficient_id IS NOT NULL
              THEN c.id IS NULL OR m.co2e_t <> round(m.quantity * c.co2e_per_unit, 9)
              ELSE s.id IS NULL OR m.co2e_t <> 0 OR EXISTS (
                SELECT FROM stream_coefficient k WHERE k.tenant_id = m.tenant_id AND k.stream_id = m.stream_id
                  AND k.superseded_at IS NULL AND k.method = s.method
                  AND m.month BETWEEN k.first_month AND k.last_month)
              END
          ) THEN
            RAISE EXCEPTION 'an emission is a quantity times the coefficient of its stream and month that counts'
              USING ERRCODE = '23514', CONSTRAINT = 'co2e_is_quantity_by_coefficient';
          END IF;
          IF EXISTS (
            SELECT FROM changed m JOIN emission_stream t ON t.tenant_id = m.tenant_id AND t.id = m.stream_id
            WHERE m.records > 1 AND (t.cadence = 'MONTHLY' OR t.cadence = 'DAILY' AND m.records >
              (SELECT count(DISTINCT u.day) FROM activity_pack p
                 CROSS JOIN unnest(p.days) WITH ORDINALITY AS u (day, n)
                 LEFT JOIN activity_withdrawal w ON w.tenant_id = p.tenant_id AND w.batch_id = p.batch_id
                   AND w.line = p.first_line + u.n - 1
               WHERE p.tenant_id = m.tenant_id AND p.stream_id = m.stream_id AND p.month = m.month
                 AND w.line IS NULL))
          ) THEN
            RAISE EXCEPTION 'a stream has more records than its cadence allows' USING ERRCODE = '23P01',
              CONSTRAINT = 'as_often_as_the_cadence_says';
          END IF;
          RETURN NULL;
        END $$
        """,
        """
        CREATE OR REPLACE FUNCTION declared_results_hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
          PERFORM FROM emission_source o
          WHERE (o.tenant_id, o.id) IN (SELECT d.tenant_id, d.source_id FROM changed d)
          ORDER BY o.id FOR NO KEY UPDATE;
          IF EXISTS (
            SELECT FROM changed d
            JOIN stream_month m ON m.tenant_id = d.tenant_id AND m.source_id = d.source_id
              AND m.month >= d.first_month AND m.month < d.first_month + make_interval(months => d.months)
            JOIN stream_coefficient c ON c.tenant_id = m.tenant_id AND c.id = m.coefficient_id
              AND c.gases @> jsonb_build_array(jsonb_build_object('gas', d.gas))
            WHERE d.superseded_at IS NULL
          ) THEN
            RAISE EXCEPTION 'activity covers this time' USING ERRCODE = '23P01',
              CONSTRAINT = 'one_origin_per_gas_and_month';
          END IF;
          RETURN NULL;
        END $$
        """,
    )
    _choices_reach_months()


def _choices_reach_months() -> None:
    """A choice is complete when the stream-months of its source follow it."""
    run(
        """
        CREATE FUNCTION months_follow_the_choice() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
          IF EXISTS (
            SELECT FROM stream_month m
            LEFT JOIN stream_coefficient c ON c.tenant_id = m.tenant_id AND c.id = m.coefficient_id
            WHERE NEW.superseded_at IS NULL AND m.tenant_id = NEW.tenant_id AND m.source_id = NEW.source_id
              AND m.month >= NEW.first_month AND (NEW.last_month IS NULL OR m.month <= NEW.last_month)
              AND c.method IS DISTINCT FROM NEW.method
              AND (c.id IS NOT NULL OR EXISTS (
                SELECT FROM stream_coefficient k WHERE k.tenant_id = m.tenant_id AND k.stream_id = m.stream_id
                  AND k.superseded_at IS NULL AND k.method = NEW.method
                  AND m.month BETWEEN k.first_month AND k.last_month))
          ) THEN
            RAISE EXCEPTION 'months of source % do not follow its method', NEW.source_id USING ERRCODE = '23514',
              CONSTRAINT = 'months_follow_the_choice';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE CONSTRAINT TRIGGER months_follow_the_choice AFTER INSERT ON source_method "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION months_follow_the_choice()",
    )


def _alarms() -> None:
    """From which divergence of two methods a source is looked at (6.2.3 note 3); without a row, its materiality."""
    run(
        f"""
        CREATE TABLE divergence_threshold (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          source_id uuid NOT NULL,
          share numeric NOT NULL CHECK (share BETWEEN 0 AND 1),
          reason text NOT NULL CHECK (reason <> ''),
          {SUPERSEDED}
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, source_id) REFERENCES emission_source
        )
        """,
        "CREATE UNIQUE INDEX divergence_threshold_of_source ON divergence_threshold (tenant_id, source_id) "
        "WHERE superseded_at IS NULL",
    )
    _superseded_once("divergence_threshold")

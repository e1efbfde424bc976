"""Activity in packs of narrow lines; coefficients with history; emissions from sums per stream and month.

A pack holds the lines of one batch of one stream in one month. A line has no row, no id and no emission of its own:
its id is the batch's with the line number in the low 32 bits, its emission is part of its stream-month's.
"""

from __future__ import annotations

from migrations.support import append_only, forced, protect, run, unforced

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    kept = ("emission_source", "emission_stream", "stream_coefficient", "declared_result")
    unforced(*kept, "activity_record")
    run("DROP TABLE source_month", "DROP TABLE stream_month")
    _streams()
    _coefficients()
    _activity()
    _move_records()
    _results()
    forced(*kept)


def _streams() -> None:
    run(
        """
        ALTER TABLE emission_stream
          ADD cadence text NOT NULL DEFAULT 'EVENT' CHECK (cadence IN ('MONTHLY', 'DAILY', 'EVENT')),
          ADD evidence_required boolean NOT NULL DEFAULT false
        """,
        # What was recorded before had no rule; from here on the rule is one record a month unless another is chosen.
        "ALTER TABLE emission_stream ALTER cadence SET DEFAULT 'MONTHLY'",
    )


def _coefficients() -> None:
    """A coefficient is superseded, never changed: results go on naming what they were computed with."""
    run(
        "DROP TRIGGER stream_coefficient_append_only ON stream_coefficient",
        """
        ALTER TABLE stream_coefficient
          DROP CONSTRAINT one_coefficient_per_stream_and_year,
          ADD method text NOT NULL DEFAULT 'FACTOR' CHECK (method IN ('MEASURED', 'MASS_BALANCE', 'FACTOR')),
          ADD first_month date,
          ADD last_month date,
          ADD gases jsonb,
          ADD gwp_set text NOT NULL DEFAULT 'AR5',
          ADD chosen boolean NOT NULL DEFAULT true,
          ADD superseded_at timestamptz CHECK (superseded_at >= recorded_at),
          ADD superseded_because text CHECK (superseded_because <> ''),
          ADD CHECK ((superseded_at IS NULL) = (superseded_because IS NULL))
        """,
        "ALTER TABLE stream_coefficient RENAME value TO co2e_per_unit",
        """
        UPDATE stream_coefficient c SET first_month = make_date(c.year, 1, 1), last_month = make_date(c.year, 12, 1),
          gases = jsonb_build_array(jsonb_build_object('gas', t.gas, 'value', c.co2e_per_unit::text, 'gwp', '1'))
        FROM emission_stream t WHERE t.tenant_id = c.tenant_id AND t.id = c.stream_id
        """,
        """
        ALTER TABLE stream_coefficient
          DROP year,
          ALTER method DROP DEFAULT,
          ALTER gwp_set DROP DEFAULT,
          ALTER chosen DROP DEFAULT,
          ALTER first_month SET NOT NULL,
          ALTER last_month SET NOT NULL,
          ALTER gases SET NOT NULL,
          ADD CONSTRAINT whole_months CHECK (first_month >= '1990-01-01' AND first_month <= last_month
            AND extract(day FROM first_month) = 1 AND extract(day FROM last_month) = 1),
          ADD CONSTRAINT stream_coefficient_one_per_method EXCLUDE USING gist (
            tenant_id WITH =, stream_id WITH =, method WITH =, daterange(first_month, last_month, '[]') WITH &&
          ) WHERE (superseded_at IS NULL),
          ADD CONSTRAINT stream_coefficient_one_chosen EXCLUDE USING gist (
            tenant_id WITH =, stream_id WITH =, daterange(first_month, last_month, '[]') WITH &&
          ) WHERE (superseded_at IS NULL AND chosen)
        """,
        "CREATE INDEX stream_coefficient_current ON stream_coefficient (tenant_id, stream_id, first_month) "
        "WHERE superseded_at IS NULL",
        "CREATE TRIGGER stream_coefficient_supersede_once BEFORE UPDATE OR DELETE ON stream_coefficient "
        "FOR EACH ROW EXECUTE FUNCTION supersede_once()",
        "GRANT UPDATE (superseded_at, superseded_because) ON stream_coefficient TO tanheng_app, tanheng_worker",
    )


def _activity() -> None:
    run(
        """
        CREATE TABLE activity_batch (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          origin text NOT NULL CHECK (origin IN ('ENTRY', 'IMPORT', 'STOCK', 'METER')),
          entered_unit text NOT NULL CHECK (entered_unit <> ''),
          evidence text NOT NULL DEFAULT '',
          note text NOT NULL DEFAULT '',
          lines integer NOT NULL CHECK (lines > 0),
          line_id uuid,
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          CONSTRAINT room_for_line_numbers CHECK (right(id::text, 8) = '00000000'),
          CONSTRAINT a_new_version_is_one_line CHECK (line_id IS NULL OR lines = 1)
        )
        """,
        "CREATE INDEX activity_batch_versions ON activity_batch (tenant_id, line_id) WHERE line_id IS NOT NULL",
        """
        CREATE TABLE activity_pack (
          tenant_id uuid NOT NULL,
          stream_id uuid NOT NULL,
          month date NOT NULL CHECK (month >= '1990-01-01' AND extract(day FROM month) = 1),
          batch_id uuid NOT NULL,
          first_line integer NOT NULL CHECK (first_line > 0),
          days smallint[] NOT NULL,
          quantities numeric(38, 12)[] NOT NULL,
          source_rows integer[],
          quantity numeric(38, 12) NOT NULL CHECK (quantity <> 'NaN' AND abs(quantity) < 1e21),
          PRIMARY KEY (tenant_id, stream_id, month, batch_id, first_line),
          CONSTRAINT a_day_for_each_quantity CHECK (cardinality(days) > 0 AND cardinality(days) = cardinality(quantities)
            AND (source_rows IS NULL OR cardinality(source_rows) = cardinality(days))),
          CONSTRAINT days_of_the_month CHECK (1 <= ALL (days)
            AND extract(day FROM month + interval '1 month - 1 day') >= ALL (days)),
          CONSTRAINT quantities_are_numbers CHECK (1e15 > ALL (quantities) AND -1e15 < ALL (quantities))
        )
        """,
        "CREATE INDEX activity_pack_of_batch ON activity_pack (tenant_id, batch_id, first_line)",
        """
        CREATE TABLE activity_withdrawal (
          tenant_id uuid NOT NULL,
          batch_id uuid NOT NULL,
          line integer NOT NULL,
          stream_id uuid NOT NULL,
          month date NOT NULL,
          quantity numeric(38, 12) NOT NULL,
          at timestamptz NOT NULL DEFAULT now(),
          because text NOT NULL CHECK (because <> ''),
          withdrawn_by uuid NOT NULL,
          PRIMARY KEY (tenant_id, batch_id, line),
          FOREIGN KEY (tenant_id, batch_id) REFERENCES activity_batch,
          FOREIGN KEY (tenant_id, stream_id) REFERENCES emission_stream
        )
        """,
        "CREATE INDEX activity_withdrawal_of_month ON activity_withdrawal (tenant_id, stream_id, month)",
        # What is taken away is what was there: a withdrawal repeats its line, and the database compares.
        """
        CREATE FUNCTION withdrawal_repeats_its_line() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF NOT EXISTS (
            SELECT FROM activity_pack p
            WHERE p.tenant_id = NEW.tenant_id AND p.batch_id = NEW.batch_id AND p.stream_id = NEW.stream_id
              AND p.month = NEW.month AND p.first_line <= NEW.line
              AND p.quantities[NEW.line - p.first_line + 1] = NEW.quantity
          ) THEN
            RAISE EXCEPTION 'batch % has no line % of this stream, month and quantity', NEW.batch_id, NEW.line
              USING ERRCODE = 'TH003';
          END IF;
          RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER withdrawal_repeats_its_line BEFORE INSERT ON activity_withdrawal "
        "FOR EACH ROW EXECUTE FUNCTION withdrawal_repeats_its_line()",
        # What foreign keys and a check would say, said for all packs of a statement at once: they come by the ten
        # thousand. Streams and batches are never deleted, so it is enough to look when a pack comes in.
        """
        CREATE FUNCTION packs_hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
        BEGIN
          IF EXISTS (
            SELECT FROM made p
            LEFT JOIN emission_stream t ON t.tenant_id = p.tenant_id AND t.id = p.stream_id
            LEFT JOIN activity_batch b ON b.tenant_id = p.tenant_id AND b.id = p.batch_id
            WHERE t.id IS NULL OR b.id IS NULL
              OR p.quantity <> (SELECT sum(q) FROM unnest(p.quantities) q)
          ) THEN
            RAISE EXCEPTION 'a pack needs its stream, its batch, and the sum of its lines' USING ERRCODE = '23514',
              CONSTRAINT = 'packs_hold';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER packs_hold AFTER INSERT ON activity_pack REFERENCING NEW TABLE AS made "
        "FOR EACH STATEMENT EXECUTE FUNCTION packs_hold()",
    )


def _move_records() -> None:
    """Each record becomes a batch of one line; what was withdrawn stays withdrawn, with its reason."""
    batch = "(left(id::text, 28) || '00000000')::uuid"
    first_line = "(left(line_id::text, 28) || '00000001')::uuid"
    run(
        f"""
        INSERT INTO activity_batch (tenant_id, id, origin, entered_unit, evidence, note, lines, line_id, recorded_by,
                                    recorded_at)
        SELECT tenant_id, {batch}, 'ENTRY', entered_unit, evidence, note, 1,
               CASE WHEN line_id <> id THEN {first_line} END, recorded_by, recorded_at
        FROM activity_record
        """,
        f"""
        INSERT INTO activity_pack (tenant_id, stream_id, month, batch_id, first_line, days, quantities, quantity)
        SELECT tenant_id, stream_id, month, {batch}, 1, '{{1}}', ARRAY[quantity], quantity FROM activity_record
        """,
        f"""
        INSERT INTO activity_withdrawal (tenant_id, batch_id, line, stream_id, month, quantity, at, because,
                                         withdrawn_by)
        SELECT tenant_id, {batch}, 1, stream_id, month, quantity, superseded_at, superseded_because, recorded_by
        FROM activity_record WHERE superseded_at IS NOT NULL
        """,
        "DROP TABLE activity_record",
    )
    for table in ("activity_batch", "activity_pack", "activity_withdrawal"):
        protect(table, writes="INSERT")
        append_only(table)


def _results() -> None:
    """Derived: everything here can be rebuilt from the packs to the same bits."""
    run(
        """
        CREATE TABLE stream_month (
          tenant_id uuid NOT NULL,
          stream_id uuid NOT NULL,
          month date NOT NULL,
          source_id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          category text NOT NULL,
          direct_kind text,
          coefficient_id uuid NOT NULL,
          quantity numeric(38, 12) NOT NULL,
          co2e_t numeric(38, 9) NOT NULL,
          records integer NOT NULL CHECK (records >= 0),
          last_recorded_at timestamptz NOT NULL,
          PRIMARY KEY (tenant_id, stream_id, month)
        ) WITH (fillfactor = 60)
        """,
        "CREATE INDEX stream_month_of_source ON stream_month (tenant_id, source_id, month)",
        "CREATE INDEX stream_month_of_organisation ON stream_month (tenant_id, organisation_id, month)",
        "CREATE INDEX declared_result_of_source ON declared_result (tenant_id, source_id, first_month) "
        "WHERE superseded_at IS NULL",
    )
    run(
        """
        INSERT INTO stream_month (tenant_id, stream_id, month, source_id, organisation_id, category, direct_kind,
                                  coefficient_id, quantity, co2e_t, records, last_recorded_at)
        SELECT s.tenant_id, s.stream_id, s.month, o.id, o.organisation_id, o.category, o.direct_kind, c.id,
               s.quantity, round(s.quantity * c.co2e_per_unit, 9), s.records, s.last_at
        FROM (
          SELECT p.tenant_id, p.stream_id, p.month,
                 sum(CASE WHEN w.line IS NULL THEN p.quantity ELSE 0 END) AS quantity,
                 count(*) FILTER (WHERE w.line IS NULL) AS records,
                 greatest(max(b.recorded_at), max(w.at)) AS last_at
          FROM activity_pack p
          JOIN activity_batch b ON b.tenant_id = p.tenant_id AND b.id = p.batch_id
          LEFT JOIN activity_withdrawal w ON w.tenant_id = p.tenant_id AND w.batch_id = p.batch_id
          GROUP BY p.tenant_id, p.stream_id, p.month) s
        JOIN emission_stream t ON t.tenant_id = s.tenant_id AND t.id = s.stream_id
        JOIN emission_source o ON o.tenant_id = t.tenant_id AND o.id = t.source_id
        JOIN stream_coefficient c ON c.tenant_id = s.tenant_id AND c.stream_id = s.stream_id
          AND s.month BETWEEN c.first_month AND c.last_month
        WHERE s.records > 0
        """
    )
    protect("stream_month", writes="INSERT, UPDATE, DELETE")
    _rules_of_months()


def _rules_of_months() -> None:
    """Emissions are quantity × a coefficient of the stream; one gas of one source in one month has one origin; a
    stream has at most one record a month (a day) if it says so.

    Judged for all rows of a statement at once. Writers of activity and of declared results meet on the row of the
    source, so that of two who write at the same time the second sees the first.
    """
    run(
        """
        CREATE FUNCTION months_of_streams_hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
          IF TG_OP = 'INSERT' THEN
            PERFORM FROM emission_source o
            WHERE (o.tenant_id, o.id) IN (SELECT m.tenant_id, m.source_id FROM changed m)
            ORDER BY o.id FOR NO KEY UPDATE;
            IF EXISTS (
              SELECT FROM changed m
              JOIN emission_stream t ON t.tenant_id = m.tenant_id AND t.id = m.stream_id
              JOIN declared_result d ON d.tenant_id = m.tenant_id AND d.source_id = m.source_id AND d.gas = t.gas
                AND d.superseded_at IS NULL AND m.month >= d.first_month
                AND m.month < d.first_month + make_interval(months => d.months)
            ) THEN
              RAISE EXCEPTION 'a declared result covers this month' USING ERRCODE = '23P01',
                CONSTRAINT = 'one_origin_per_gas_and_month';
            END IF;
          END IF;
          IF EXISTS (
            SELECT FROM changed m
            LEFT JOIN stream_coefficient c ON c.tenant_id = m.tenant_id AND c.id = m.coefficient_id
              AND c.stream_id = m.stream_id AND m.month BETWEEN c.first_month AND c.last_month
            WHERE c.id IS NULL OR m.co2e_t <> round(m.quantity * c.co2e_per_unit, 9)
          ) THEN
            RAISE EXCEPTION 'an emission is a quantity times a coefficient of its stream and month'
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
        "CREATE TRIGGER new_months_hold AFTER INSERT ON stream_month REFERENCING NEW TABLE AS changed "
        "FOR EACH STATEMENT EXECUTE FUNCTION months_of_streams_hold()",
        "CREATE TRIGGER changed_months_hold AFTER UPDATE ON stream_month REFERENCING NEW TABLE AS changed "
        "FOR EACH STATEMENT EXECUTE FUNCTION months_of_streams_hold()",
        """
        CREATE FUNCTION declared_results_hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
          PERFORM FROM emission_source o
          WHERE (o.tenant_id, o.id) IN (SELECT d.tenant_id, d.source_id FROM changed d)
          ORDER BY o.id FOR NO KEY UPDATE;
          IF EXISTS (
            SELECT FROM changed d
            JOIN stream_month m ON m.tenant_id = d.tenant_id AND m.source_id = d.source_id
              AND m.month >= d.first_month AND m.month < d.first_month + make_interval(months => d.months)
            JOIN emission_stream t ON t.tenant_id = m.tenant_id AND t.id = m.stream_id AND t.gas = d.gas
            WHERE d.superseded_at IS NULL
          ) THEN
            RAISE EXCEPTION 'activity covers this time' USING ERRCODE = '23P01',
              CONSTRAINT = 'one_origin_per_gas_and_month';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER declared_results_hold AFTER INSERT ON declared_result REFERENCING NEW TABLE AS changed "
        "FOR EACH STATEMENT EXECUTE FUNCTION declared_results_hold()",
    )

"""What activity is made of: stock ledgers, meters, batches with quality, stack monitors; and how good it is.

A ledger row, a settled month of meters and a month of a stack each stand behind one activity record, both ways: the
record has the quantity of its cause, stands alone in its month, and goes only when its cause goes.
"""

from __future__ import annotations

from migrations.support import append_only, protect, run

revision = "0014"
down_revision = "0013"

_MONTH = "date NOT NULL CHECK (month >= '1990-01-01' AND extract(day FROM month) = 1)"
_DAY = "date NOT NULL CHECK (day >= '1990-01-01')"
_YEAR = "integer NOT NULL CHECK (year BETWEEN 1990 AND 2200)"
_QUANTITY = "numeric(38, 12) NOT NULL CHECK (quantity <> 'NaN' AND abs(quantity) < 1e15)"
CAUSES = {"stock_row": "STOCK", "meter_month": "METER", "stack_month": "MONITOR"}


def upgrade() -> None:
    _origins()
    _stocks()
    _meters()
    _batches()
    _stacks()
    _judgements()
    _allocations()
    _causes()
    _sites()


def _kept(table: str, columns: str, *constraints: str, owner: str = "stream") -> None:
    """A table of records of a stream (or a source) that are superseded with a reason, never edited."""
    more = "".join(f",\n          {c}" for c in constraints)
    run(
        f"""
        CREATE TABLE {table} (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          {owner}_id uuid NOT NULL,
          {columns},
          evidence text NOT NULL DEFAULT '',
          note text NOT NULL DEFAULT '',
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          superseded_at timestamptz CHECK (superseded_at >= recorded_at),
          superseded_because text CHECK (superseded_because <> ''),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, {owner}_id) REFERENCES emission_{owner},
          CHECK ((superseded_at IS NULL) = (superseded_because IS NULL)){more}
        )
        """,
        f"CREATE TRIGGER {table}_supersede_once BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION supersede_once()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )
    protect(table, writes="INSERT, UPDATE (superseded_at, superseded_because)")


def _one_current(table: str, *columns: str) -> None:
    run(
        f"CREATE UNIQUE INDEX {table}_current ON {table} (tenant_id, {', '.join(columns)}) "
        "WHERE superseded_at IS NULL"
    )


def _origins() -> None:
    run(
        "ALTER TABLE activity_batch DROP CONSTRAINT activity_batch_origin_check",
        "ALTER TABLE activity_batch ADD CONSTRAINT activity_batch_origin_check "
        "CHECK (origin IN ('ENTRY', 'IMPORT', 'STOCK', 'METER', 'MONITOR'))",
    )


def _stocks() -> None:
    parts = ("opening", "purchased", "produced", "closing", "sold", "other_use", "losses")
    columns = ",\n          ".join(
        f"{p} numeric(38, 12) NOT NULL DEFAULT 0 CHECK ({p} >= 0 AND {p} < 1e15)" for p in parts
    )
    _kept(
        "stock_row",
        f"""month {_MONTH},
          unit text NOT NULL CHECK (unit <> ''),
          {columns},
          consumption numeric(38, 12) NOT NULL,
          explanation text NOT NULL DEFAULT '',
          quantity {_QUANTITY},
          batch_id uuid NOT NULL""",
        "FOREIGN KEY (tenant_id, batch_id) REFERENCES activity_batch",
        "CONSTRAINT consumption_is_what_is_left "
        "CHECK (consumption = opening + purchased + produced - closing - sold - other_use - losses)",
        "CONSTRAINT more_went_than_came CHECK (consumption >= 0 OR explanation <> '')",
    )
    _one_current("stock_row", "stream_id", "month")


def _meters() -> None:
    _kept(
        "meter",
        """organisation_id uuid NOT NULL,
          instrument_id uuid NOT NULL,
          unit text NOT NULL CHECK (unit <> ''),
          multiplier numeric(38, 12) NOT NULL CHECK (multiplier > 0 AND multiplier < 1e9),
          direction text NOT NULL CHECK (direction IN ('IMPORT', 'EXPORT')),
          digits smallint NOT NULL CHECK (digits BETWEEN 1 AND 15),
          reading_rule text NOT NULL CHECK (reading_rule IN ('MONTH_END', 'PRO_RATA'))""",
        "CONSTRAINT meter_of_stream UNIQUE (tenant_id, stream_id, id)",
        "FOREIGN KEY (tenant_id, organisation_id, instrument_id) REFERENCES instrument (tenant_id, organisation_id, id)",
    )
    _kept(
        "meter_reading",
        f"""meter_id uuid NOT NULL,
          day {_DAY},
          kind text NOT NULL CHECK (kind IN ('INSTALLED', 'READ', 'REMOVED')),
          value numeric(38, 12) NOT NULL CHECK (value >= 0 AND value < 1e15),
          rolled_over boolean NOT NULL DEFAULT false""",
        "FOREIGN KEY (tenant_id, stream_id, meter_id) REFERENCES meter (tenant_id, stream_id, id)",
        "CONSTRAINT the_first_reading_has_none_before CHECK (NOT (kind = 'INSTALLED' AND rolled_over))",
    )
    _one_current("meter_reading", "meter_id", "day")
    for kind in ("INSTALLED", "REMOVED"):
        run(
            f"CREATE UNIQUE INDEX meter_{kind.lower()}_once ON meter_reading (tenant_id, meter_id) "
            f"WHERE superseded_at IS NULL AND kind = '{kind}'"
        )
    _registers_count_up()
    _kept(
        "meter_month",
        f"""month {_MONTH},
          measured numeric(38, 12) NOT NULL CHECK (measured <> 'NaN' AND abs(measured) < 1e15),
          quantity {_QUANTITY},
          parts jsonb NOT NULL,
          explanation text NOT NULL DEFAULT '',
          batch_id uuid NOT NULL""",
        "FOREIGN KEY (tenant_id, batch_id) REFERENCES activity_batch",
        "CONSTRAINT a_correction_is_explained CHECK (quantity = measured OR explanation <> '')",
    )
    _one_current("meter_month", "stream_id", "month")


def _registers_count_up() -> None:
    """A register only counts up unless it rolled over; a meter is read between its installation and its removal.

    Judged over all current readings of the meter, whose row the writers meet on; deferred, for a correction takes one
    reading away and brings another.
    """
    run(
        """
        CREATE FUNCTION registers_count_up() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
          PERFORM FROM meter m WHERE m.tenant_id = NEW.tenant_id AND m.id = NEW.meter_id FOR NO KEY UPDATE;
          IF EXISTS (
            SELECT FROM (
              SELECT r.kind, r.value, r.rolled_over, m.digits,
                     lag(r.value) OVER w AS earlier, row_number() OVER w AS n, lead(r.day) OVER w AS next_day
              FROM meter_reading r JOIN meter m ON m.tenant_id = r.tenant_id AND m.id = r.meter_id
              WHERE r.superseded_at IS NULL AND r.tenant_id = NEW.tenant_id AND r.meter_id = NEW.meter_id
              WINDOW w AS (ORDER BY r.day)) o
            WHERE o.value >= 10::numeric ^ o.digits OR (o.n = 1) <> (o.kind = 'INSTALLED')
              OR (o.kind = 'REMOVED' AND o.next_day IS NOT NULL)
              OR (o.rolled_over <> (o.value < o.earlier))
          ) THEN
            RAISE EXCEPTION 'a register counts up, from its installation to its removal' USING ERRCODE = '23514',
              CONSTRAINT = 'registers_count_up';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE CONSTRAINT TRIGGER registers_count_up AFTER INSERT OR UPDATE ON meter_reading "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION registers_count_up()",
    )


def _batches() -> None:
    _kept(
        "material_batch",
        f"""day {_DAY},
          code text NOT NULL CHECK (length(code) BETWEEN 1 AND 60),
          phase text NOT NULL CHECK (phase IN ('SOLID', 'FLUID')),
          mix text NOT NULL DEFAULT '',
          unit text NOT NULL CHECK (unit <> ''),
          quantity {_QUANTITY} CHECK (quantity > 0),
          laboratory text NOT NULL DEFAULT '',
          report text NOT NULL DEFAULT ''""",
    )
    _one_current("material_batch", "stream_id", "day", "code")
    run(
        """
        CREATE TABLE quality_result (
          tenant_id uuid NOT NULL,
          batch_id uuid NOT NULL,
          parameter text NOT NULL CHECK (parameter IN ('NCV', 'CARBON', 'MOISTURE_AR', 'MOISTURE_AD', 'ASH',
            'VOLATILE', 'SULPHUR', 'HYDROGEN', 'CAO', 'MGO', 'CAO_NOT_CARBONATE', 'MGO_NOT_CARBONATE',
            'LOSS_ON_IGNITION')),
          basis text NOT NULL CHECK (basis IN ('AR', 'AD', 'D')),
          value numeric(38, 18) NOT NULL CHECK (value >= 0 AND value < 1e6),
          unit text NOT NULL CHECK (unit <> ''),
          PRIMARY KEY (tenant_id, batch_id, parameter),
          FOREIGN KEY (tenant_id, batch_id) REFERENCES material_batch,
          CONSTRAINT shares_are_shares CHECK (unit <> '%' OR value <= 100)
        )
        """
    )
    protect("quality_result", writes="INSERT")
    append_only("quality_result")


def _stacks() -> None:
    _kept(
        "stack_monitor",
        """organisation_id uuid NOT NULL,
          instrument_id uuid,
          code text NOT NULL CHECK (length(code) BETWEEN 1 AND 60),
          kind text NOT NULL CHECK (kind IN ('CONTINUOUS', 'SAMPLED')),
          concentration_unit text NOT NULL CHECK (concentration_unit IN ('G_PER_M3', 'MG_PER_M3', 'VOLUME_PERCENT')),
          concentration_wet boolean NOT NULL,
          flow_wet boolean NOT NULL,
          flow_actual boolean NOT NULL,
          gap_hours smallint NOT NULL CHECK (gap_hours BETWEEN 0 AND 72),
          default_concentration numeric(38, 12) CHECK (default_concentration > 0 AND default_concentration < 1e9),
          default_flow numeric(38, 12) CHECK (default_flow > 0 AND default_flow < 1e12)""",
        "CONSTRAINT stack_monitor_of_stream UNIQUE (tenant_id, stream_id, id)",
        "FOREIGN KEY (tenant_id, organisation_id, instrument_id) REFERENCES instrument (tenant_id, organisation_id, id)",
        "CONSTRAINT a_monitor_is_an_instrument CHECK (kind <> 'CONTINUOUS' OR instrument_id IS NOT NULL)",
    )
    _one_current("stack_monitor", "stream_id")
    columns = ("concentrations", "flows", "temperatures", "pressures", "moistures", "oxygen", "hours")
    arrays = ",\n          ".join(f"{c} numeric[] NOT NULL" for c in columns)
    same = " AND ".join(f"cardinality({c}) = cardinality(positions)" for c in (*columns, "statuses"))
    _kept(
        "stack_month",
        f"""monitor_id uuid NOT NULL,
          month {_MONTH},
          positions smallint[] NOT NULL,
          {arrays},
          statuses text[] NOT NULL,
          expected smallint NOT NULL CHECK (expected BETWEEN 1 AND 744),
          valid smallint NOT NULL,
          filled smallint[] NOT NULL,
          concentration numeric(38, 18) NOT NULL CHECK (concentration >= 0),
          mass_t numeric(38, 9) NOT NULL CHECK (mass_t >= 0),
          quantity {_QUANTITY} CHECK (quantity >= 0),
          batch_id uuid NOT NULL""",
        "FOREIGN KEY (tenant_id, batch_id) REFERENCES activity_batch",
        "FOREIGN KEY (tenant_id, stream_id, monitor_id) REFERENCES stack_monitor (tenant_id, stream_id, id)",
        f"CONSTRAINT a_value_for_each_position CHECK (cardinality(positions) BETWEEN 1 AND 744 AND {same})",
        "CONSTRAINT hours_of_the_month CHECK (0 <= ALL (positions) AND 24 * extract(day FROM "
        "month + interval '1 month - 1 day') > ALL (positions))",
        "CONSTRAINT no_more_valid_than_expected CHECK (valid BETWEEN 0 AND expected)",
    )
    _one_current("stack_month", "stream_id", "month")


def _judgements() -> None:
    scores = ("representative", "fair", "complete", "accurate", "applicable")
    _kept(
        "quality_score",
        f"year {_YEAR}, " + ", ".join(f"{s} smallint NOT NULL CHECK ({s} BETWEEN 1 AND 5)" for s in scores),
        "CONSTRAINT a_score_has_a_reason CHECK (note <> '')",
    )
    _one_current("quality_score", "stream_id", "year")
    _kept(
        "stream_uncertainty",
        f"""year {_YEAR},
          subject text NOT NULL CHECK (subject IN ('ACTIVITY', 'COEFFICIENT')),
          half_width numeric(20, 12) NOT NULL CHECK (half_width >= 0 AND half_width < 10),
          correlation text NOT NULL DEFAULT ''""",
        "CONSTRAINT an_uncertainty_has_a_source CHECK (note <> '')",
    )
    _one_current("stream_uncertainty", "stream_id", "year", "subject")


def _allocations() -> None:
    _kept(
        "allocation",
        f"""year {_YEAR},
          basis text NOT NULL CHECK (basis IN ('MASS', 'ENERGY', 'ECONOMIC')),
          statement text NOT NULL CHECK (statement <> '')""",
        owner="source",
    )
    _one_current("allocation", "source_id", "year")
    run(
        """
        CREATE TABLE allocation_product (
          tenant_id uuid NOT NULL,
          allocation_id uuid NOT NULL,
          n smallint NOT NULL CHECK (n BETWEEN 1 AND 100),
          name text NOT NULL CHECK (name <> ''),
          quantity_t numeric(38, 12) NOT NULL CHECK (quantity_t >= 0 AND quantity_t < 1e15),
          heat_gj_per_t numeric(38, 12) CHECK (heat_gj_per_t >= 0 AND heat_gj_per_t < 1e15),
          price_per_t numeric(38, 12) CHECK (price_per_t >= 0 AND price_per_t < 1e15),
          PRIMARY KEY (tenant_id, allocation_id, n),
          UNIQUE (tenant_id, allocation_id, name),
          FOREIGN KEY (tenant_id, allocation_id) REFERENCES allocation
        )
        """
    )
    protect("allocation_product", writes="INSERT")
    append_only("allocation_product")


def _causes() -> None:
    standing = "\n             OR ".join(
        f"EXISTS (SELECT FROM {t} c WHERE c.tenant_id = {{at}}.tenant_id AND c.stream_id = {{at}}.stream_id "
        f"AND c.month = {{at}}.month AND c.superseded_at IS NULL{{more}})"
        for t in CAUSES
    )
    run(
        """
        CREATE FUNCTION record_of_its_cause() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
          IF NOT EXISTS (
            SELECT FROM activity_pack p
            JOIN activity_batch b ON b.tenant_id = p.tenant_id AND b.id = p.batch_id AND b.origin = TG_ARGV[0]
            JOIN stream_month m ON m.tenant_id = p.tenant_id AND m.stream_id = p.stream_id AND m.month = p.month
              AND m.records = 1
            WHERE p.tenant_id = NEW.tenant_id AND p.stream_id = NEW.stream_id AND p.month = NEW.month
              AND p.batch_id = NEW.batch_id AND p.first_line = 1 AND p.quantities = ARRAY[NEW.quantity]
              AND NOT EXISTS (SELECT FROM activity_withdrawal w WHERE w.tenant_id = p.tenant_id
                              AND w.batch_id = p.batch_id)
          ) THEN
            RAISE EXCEPTION 'what is derived is one record, of the same quantity, alone in its month'
              USING ERRCODE = '23514', CONSTRAINT = 'record_of_its_cause';
          END IF;
          RETURN NEW;
        END $$
        """,
        """
        CREATE FUNCTION record_goes_with_its_cause() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
          IF NOT EXISTS (SELECT FROM activity_withdrawal w
                         WHERE w.tenant_id = NEW.tenant_id AND w.batch_id = NEW.batch_id) THEN
            RAISE EXCEPTION 'the record goes when its cause goes' USING ERRCODE = '23514',
              CONSTRAINT = 'record_goes_with_its_cause';
          END IF;
          RETURN NULL;
        END $$
        """,
        f"""
        CREATE FUNCTION record_stays_with_its_cause() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
          IF {standing.format(at="NEW", more=" AND c.batch_id = NEW.batch_id")} THEN
            RAISE EXCEPTION 'the record stays while its cause stands' USING ERRCODE = '23514',
              CONSTRAINT = 'record_stays_with_its_cause';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER record_stays_with_its_cause AFTER INSERT ON activity_withdrawal "
        "FOR EACH ROW EXECUTE FUNCTION record_stays_with_its_cause()",
        f"""
        CREATE FUNCTION derived_months_stand_alone() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
          IF EXISTS (
            SELECT FROM changed m
            WHERE m.records > 1 AND ({standing.format(at="m", more="")})
          ) THEN
            RAISE EXCEPTION 'the month of this stream follows from its ledger, meter or monitor'
              USING ERRCODE = '23P01', CONSTRAINT = 'derived_months_stand_alone';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER changed_months_stand_alone AFTER UPDATE ON stream_month REFERENCING NEW TABLE AS changed "
        "FOR EACH STATEMENT EXECUTE FUNCTION derived_months_stand_alone()",
    )
    for table, origin in CAUSES.items():
        run(
            f"CREATE INDEX {table}_of_batch ON {table} (tenant_id, batch_id)",
            f"CREATE TRIGGER {table}_has_its_record BEFORE INSERT ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION record_of_its_cause('{origin}')",
            f"CREATE CONSTRAINT TRIGGER {table}_takes_its_record AFTER UPDATE ON {table} "
            f"DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record_goes_with_its_cause()",
        )


def _sites() -> None:
    """Meters and monitors are instruments of the site whose stream they measure."""
    run(
        """
        CREATE FUNCTION measured_at_its_site() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
          IF NOT EXISTS (
            SELECT FROM emission_stream t
            JOIN emission_source o ON o.tenant_id = t.tenant_id AND o.id = t.source_id
            WHERE t.tenant_id = NEW.tenant_id AND t.id = NEW.stream_id AND o.organisation_id = NEW.organisation_id
          ) THEN
            RAISE EXCEPTION 'a stream is measured by instruments of its own site' USING ERRCODE = '23514',
              CONSTRAINT = 'measured_at_its_site';
          END IF;
          RETURN NEW;
        END $$
        """
    )
    for table in ("meter", "stack_monitor"):
        run(
            f"CREATE TRIGGER {table}_at_its_site BEFORE INSERT ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION measured_at_its_site()"
        )

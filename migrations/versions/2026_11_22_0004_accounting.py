"""The factor library; emission sources and their streams; activity, declared results, and what follows from them."""

from __future__ import annotations

from alembic import op

from backend.accounting.loader import load_library
from migrations.support import append_only, protect, run

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _library()
    load_library(op.get_bind())
    _sources()
    _records()
    _results()


def _library() -> None:
    """Global, the same for every tenant: everybody reads it, only the owner writes it."""
    run(
        """
        CREATE TABLE factor_set (
          code text PRIMARY KEY CHECK (code <> ''),
          purpose text NOT NULL,
          by_default boolean NOT NULL,
          name_zh text NOT NULL,
          name_en text NOT NULL
        )
        """,
        """
        CREATE TABLE factor_region (
          code text PRIMARY KEY CHECK (code <> ''),
          name_zh text NOT NULL,
          name_en text NOT NULL
        )
        """,
        # A value that changes becomes a new row; results go on naming the row they used.
        """
        CREATE TABLE factor (
          id uuid PRIMARY KEY,
          set_code text NOT NULL REFERENCES factor_set,
          code text NOT NULL CHECK (code <> ''),
          name_zh text NOT NULL,
          name_en text NOT NULL,
          parameter text NOT NULL,
          value numeric NOT NULL CHECK (value <> 'NaN' AND abs(value) < 'Infinity'),
          unit text NOT NULL CHECK (unit <> ''),
          region text NOT NULL REFERENCES factor_region,
          year integer,
          first_year integer,
          last_year integer,
          provenance text NOT NULL
            CHECK (provenance IN ('OFFICIAL_COPY', 'DRAFT_COPY', 'PAGE', 'SECONDARY', 'DERIVED', 'MEMORY')),
          basis text NOT NULL,
          source text NOT NULL CHECK (source <> ''),
          loaded_at timestamptz NOT NULL DEFAULT now(),
          superseded_at timestamptz,
          CHECK (first_year <= last_year)
        )
        """,
        """
        CREATE UNIQUE INDEX factor_key ON factor (set_code, code, parameter, region, year) NULLS NOT DISTINCT
        WHERE superseded_at IS NULL
        """,
        """
        GRANT SELECT ON factor_set, factor_region, factor TO tanheng_app, tanheng_worker, tanheng_auditor
        """,
    )


def _sources() -> None:
    run(
        """
        CREATE TABLE emission_source (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          code text NOT NULL CHECK (length(code) BETWEEN 1 AND 60),
          name_zh text NOT NULL CHECK (name_zh <> ''),
          name_en text NOT NULL DEFAULT '',
          category text NOT NULL CHECK (category IN
            ('DIRECT', 'IMPORTED_ENERGY', 'TRANSPORT', 'PRODUCTS_USED', 'USE_OF_OWN_PRODUCTS', 'OTHER')),
          direct_kind text CHECK (direct_kind IN ('STATIONARY', 'MOBILE', 'PROCESS', 'FUGITIVE')),
          created_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          CONSTRAINT emission_source_code_key UNIQUE (tenant_id, organisation_id, code),
          CONSTRAINT direct_sources_have_a_kind CHECK ((category = 'DIRECT') = (direct_kind IS NOT NULL))
        )
        """,
        """
        CREATE TABLE emission_stream (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          source_id uuid NOT NULL,
          code text NOT NULL CHECK (length(code) BETWEEN 1 AND 60),
          name_zh text NOT NULL DEFAULT '',
          name_en text NOT NULL DEFAULT '',
          material text,
          flow text NOT NULL CHECK (flow IN ('CONSUMED', 'LEAVING')),
          programme text NOT NULL CHECK (programme IN ('GENERAL', 'MEE_STEEL')),
          unit text NOT NULL,
          gas text NOT NULL CHECK (gas IN ('CO2', 'CO2E')),
          factor_set text REFERENCES factor_set,
          region text REFERENCES factor_region,
          factor_year integer,
          own_factor numeric CHECK (own_factor <> 'NaN' AND abs(own_factor) < 'Infinity'),
          own_factor_source text NOT NULL DEFAULT '',
          created_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, source_id) REFERENCES emission_source,
          CONSTRAINT emission_stream_code_key UNIQUE (tenant_id, source_id, code),
          CONSTRAINT material_or_own_factor CHECK ((material IS NULL) = (own_factor IS NOT NULL)),
          CONSTRAINT own_factor_has_a_source CHECK ((own_factor IS NULL) = (own_factor_source = ''))
        )
        """,
        # The steps name the factor rows and the values read from them: a coefficient explains itself for ever.
        """
        CREATE TABLE stream_coefficient (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          stream_id uuid NOT NULL,
          year integer NOT NULL CHECK (year BETWEEN 1990 AND 2200),
          value numeric(38, 18) NOT NULL,
          unit text NOT NULL,
          steps jsonb NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, stream_id) REFERENCES emission_stream,
          CONSTRAINT one_coefficient_per_stream_and_year UNIQUE (tenant_id, stream_id, year)
        )
        """,
    )
    for table in ("emission_source", "emission_stream", "stream_coefficient"):
        protect(table, writes="INSERT")


RECORD = """
          line_id uuid NOT NULL,
          batch_id uuid NOT NULL,
          evidence text NOT NULL DEFAULT '',
          note text NOT NULL DEFAULT '',
          recorded_at timestamptz NOT NULL DEFAULT now(),
          recorded_by uuid NOT NULL,
          superseded_at timestamptz CHECK (superseded_at >= recorded_at),
          superseded_because text CHECK (superseded_because <> ''),
          CHECK ((superseded_at IS NULL) = (superseded_because IS NULL)),
"""


def _records() -> None:
    run(
        f"""
        CREATE TABLE activity_record (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          stream_id uuid NOT NULL,
          month date NOT NULL CHECK (month >= '1990-01-01' AND extract(day FROM month) = 1),
          quantity numeric(38, 12) NOT NULL CHECK (quantity <> 'NaN' AND abs(quantity) < 1e15),
          entered_quantity numeric NOT NULL,
          entered_unit text NOT NULL CHECK (entered_unit <> ''),
          {RECORD}
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, stream_id) REFERENCES emission_stream
        )
        """,
        "CREATE INDEX activity_record_current ON activity_record (tenant_id, stream_id, month) "
        "WHERE superseded_at IS NULL",
        "CREATE INDEX activity_record_line ON activity_record (tenant_id, line_id)",
        f"""
        CREATE TABLE declared_result (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          source_id uuid NOT NULL,
          first_month date NOT NULL CHECK (first_month >= '1990-01-01' AND extract(day FROM first_month) = 1),
          months smallint NOT NULL,
          gas text NOT NULL CHECK (gas <> ''),
          mass_t numeric(38, 12) NOT NULL CHECK (mass_t <> 'NaN' AND abs(mass_t) < 1e15),
          method text NOT NULL CHECK (method IN ('MEASURED', 'MASS_BALANCE', 'FACTOR')),
          gwp_set text NOT NULL CHECK (gwp_set IN ('SAR', 'AR4', 'AR5', 'AR6')),
          gwp numeric NOT NULL CHECK (gwp >= 0),
          gwp_factor_id uuid REFERENCES factor,
          co2e_t numeric(38, 9) NOT NULL,
          {RECORD}
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, source_id) REFERENCES emission_source,
          CONSTRAINT within_one_year CHECK (months BETWEEN 1 AND 13 - extract(month FROM first_month)),
          CONSTRAINT co2e_is_mass_by_gwp CHECK (co2e_t = round(mass_t * gwp, 9)),
          CONSTRAINT biogenic_weighs_nothing CHECK ((gas = 'CO2_BIOGENIC') = (gwp = 0)),
          CONSTRAINT declared_result_no_overlap EXCLUDE USING gist (
            tenant_id WITH =, source_id WITH =, gas WITH =,
            daterange(first_month, (first_month + make_interval(months => months))::date) WITH &&
          ) WHERE (superseded_at IS NULL)
        )
        """,
        "CREATE INDEX declared_result_line ON declared_result (tenant_id, line_id)",
        """
        CREATE FUNCTION supersede_once() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP = 'UPDATE' AND OLD.superseded_at IS NULL AND NEW.superseded_at IS NOT NULL
             AND to_jsonb(NEW) - '{superseded_at,superseded_because}'::text[]
               = to_jsonb(OLD) - '{superseded_at,superseded_because}'::text[] THEN
            RETURN NEW;
          END IF;
          RAISE EXCEPTION '% rows are superseded once and never edited: % refused', TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'TH003';
        END $$
        """,
    )
    for table in ("activity_record", "declared_result"):
        protect(table, writes="INSERT, UPDATE (superseded_at, superseded_because)")
        run(
            f"CREATE TRIGGER {table}_supersede_once BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION supersede_once()",
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
        )
    for table in ("emission_source", "emission_stream", "stream_coefficient"):
        append_only(table)


def _results() -> None:
    """Derived: everything here can be rebuilt from the records to the same bits."""
    run(
        """
        CREATE TABLE stream_month (
          tenant_id uuid NOT NULL,
          stream_id uuid NOT NULL,
          month date NOT NULL,
          coefficient_id uuid NOT NULL,
          quantity numeric(38, 12) NOT NULL DEFAULT 0,
          co2e_t numeric(38, 9) NOT NULL DEFAULT 0,
          records integer NOT NULL DEFAULT 0,
          last_recorded_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, stream_id, month),
          FOREIGN KEY (tenant_id, stream_id) REFERENCES emission_stream,
          FOREIGN KEY (tenant_id, coefficient_id) REFERENCES stream_coefficient
        )
        """,
        # One gas of one source in one month comes from one place: no two rows of a source and gas overlap in time.
        """
        CREATE TABLE source_month (
          tenant_id uuid NOT NULL,
          source_id uuid NOT NULL,
          first_month date NOT NULL,
          months smallint NOT NULL,
          gas text NOT NULL,
          origin text NOT NULL CHECK (origin IN ('ACTIVITY', 'DECLARED')),
          organisation_id uuid NOT NULL,
          category text NOT NULL,
          direct_kind text,
          mass_t numeric(38, 12) NOT NULL DEFAULT 0,
          co2e_t numeric(38, 9) NOT NULL DEFAULT 0,
          records integer NOT NULL DEFAULT 0,
          last_recorded_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, source_id, first_month, months, gas, origin),
          FOREIGN KEY (tenant_id, source_id) REFERENCES emission_source,
          CONSTRAINT source_month_no_overlap EXCLUDE USING gist (
            tenant_id WITH =, source_id WITH =, gas WITH =,
            daterange(first_month, (first_month + make_interval(months => months))::date) WITH &&
          )
        )
        """,
        "CREATE INDEX source_month_of_organisation ON source_month (tenant_id, organisation_id, first_month)",
    )
    for table in ("stream_month", "source_month"):
        protect(table, writes="INSERT, UPDATE, DELETE")

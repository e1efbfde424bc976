"""Factor sets of tenants, in versions that others approve; their adoption; sub-types of the six categories."""

from __future__ import annotations

from alembic import op

from backend.accounting.loader import place_regions
from migrations.support import append_only, protect, run

revision = "0013"
down_revision = "0012"

SUBTYPES = {
    "IMPORTED_ENERGY": ("ELECTRICITY", "HEAT", "STEAM", "COOLING", "COMPRESSED_AIR"),
    "TRANSPORT": ("UPSTREAM_FREIGHT", "DOWNSTREAM_FREIGHT", "COMMUTING", "BUSINESS_TRAVEL", "VISITORS"),
    "PRODUCTS_USED": (
        "PURCHASED_GOODS", "PURCHASED_SERVICES", "CAPITAL_GOODS", "FUEL_SUPPLY", "WASTE", "UPSTREAM_LEASES",
    ),
    "USE_OF_OWN_PRODUCTS": (
        "PROCESSING", "USE_OF_PRODUCTS", "END_OF_LIFE", "DOWNSTREAM_LEASES", "FRANCHISES", "INVESTMENTS",
    ),
}  # fmt: skip


def upgrade() -> None:
    _library()
    _sets()
    _versions()
    _values()
    _streams()
    _adoptions()
    _subtypes()


def _library() -> None:
    """Values may differ by technology; a province lies in a grid, a grid in the nation."""
    run(
        "ALTER TABLE factor ADD technology text NOT NULL DEFAULT ''",
        "DROP INDEX factor_key",
        """
        CREATE UNIQUE INDEX factor_key ON factor (set_code, code, parameter, region, year, technology)
        NULLS NOT DISTINCT WHERE superseded_at IS NULL
        """,
        "ALTER TABLE factor_region ADD within text REFERENCES factor_region",
    )
    place_regions(op.get_bind())


def _sets() -> None:
    """The prefix keeps the tenant's codes apart from the library's, which may grow."""
    run(
        """
        CREATE TABLE tenant_factor_set (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          code text NOT NULL CHECK (code ~ '^OWN-[^@]+$' AND length(code) <= 50),
          name_zh text NOT NULL CHECK (name_zh <> ''),
          name_en text NOT NULL DEFAULT '',
          purpose text NOT NULL CHECK (purpose IN ('INVENTORY', 'PROJECT_BASELINE', 'PLAUSIBILITY')),
          created_by uuid NOT NULL,
          created_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          CONSTRAINT tenant_factor_set_code_key UNIQUE (tenant_id, code)
        )
        """,
    )
    protect("tenant_factor_set", writes="INSERT")
    append_only("tenant_factor_set")


def _versions() -> None:
    run(
        """
        CREATE TABLE tenant_factor_version (
          tenant_id uuid NOT NULL,
          set_id uuid NOT NULL,
          version integer NOT NULL CHECK (version > 0),
          state text NOT NULL DEFAULT 'DRAFT'
            CHECK (state IN ('DRAFT', 'PROPOSED', 'APPROVED', 'SUPERSEDED', 'WITHDRAWN')),
          reason text NOT NULL DEFAULT '',
          drafted_by uuid NOT NULL,
          drafted_at timestamptz NOT NULL DEFAULT now(),
          proposed_by uuid,
          proposed_at timestamptz,
          approved_by uuid,
          approved_at timestamptz,
          ended_by uuid,
          ended_at timestamptz,
          ended_because text NOT NULL DEFAULT '',
          PRIMARY KEY (tenant_id, set_id, version),
          FOREIGN KEY (tenant_id, set_id) REFERENCES tenant_factor_set,
          CONSTRAINT a_new_version_has_a_reason CHECK (version = 1 OR reason <> ''),
          CONSTRAINT approved_by_others CHECK (approved_by <> proposed_by AND approved_by <> drafted_by),
          CONSTRAINT signed_for_its_state CHECK (
            (state <> 'DRAFT' OR proposed_by IS NULL)
            AND (state NOT IN ('PROPOSED', 'APPROVED', 'SUPERSEDED') OR proposed_by IS NOT NULL)
            AND (state NOT IN ('APPROVED', 'SUPERSEDED') OR approved_by IS NOT NULL)
            AND (state = 'WITHDRAWN') = (ended_because <> '')
            AND (state IN ('SUPERSEDED', 'WITHDRAWN')) = (ended_at IS NOT NULL))
        )
        """,
        "CREATE UNIQUE INDEX one_version_in_the_making ON tenant_factor_version (tenant_id, set_id) "
        "WHERE state IN ('DRAFT', 'PROPOSED')",
        "CREATE UNIQUE INDEX one_version_approved ON tenant_factor_version (tenant_id, set_id) "
        "WHERE state = 'APPROVED'",
        # A version goes forward only; what has been approved, and what has ended, is never made anew.
        """
        CREATE FUNCTION factor_versions_go_forward() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP = 'UPDATE' AND (OLD.state, NEW.state) IN (
               ('DRAFT', 'PROPOSED'), ('PROPOSED', 'DRAFT'), ('PROPOSED', 'APPROVED'), ('APPROVED', 'SUPERSEDED'),
               ('DRAFT', 'WITHDRAWN'), ('PROPOSED', 'WITHDRAWN'), ('APPROVED', 'WITHDRAWN'))
             AND (OLD.approved_by IS NULL OR (NEW.approved_by, NEW.approved_at, NEW.proposed_by, NEW.proposed_at)
                  = (OLD.approved_by, OLD.approved_at, OLD.proposed_by, OLD.proposed_at)) THEN
            RETURN NEW;
          END IF;
          RAISE EXCEPTION 'a version of factors goes forward only: % refused', TG_OP USING ERRCODE = 'TH003';
        END $$
        """,
        "CREATE TRIGGER factor_versions_go_forward BEFORE UPDATE OR DELETE ON tenant_factor_version "
        "FOR EACH ROW EXECUTE FUNCTION factor_versions_go_forward()",
        "CREATE TRIGGER tenant_factor_version_no_truncate BEFORE TRUNCATE ON tenant_factor_version "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )
    moving = "state, proposed_by, proposed_at, approved_by, approved_at, ended_by, ended_at, ended_because"
    protect("tenant_factor_version", writes=f"INSERT, UPDATE ({moving})")


def _values() -> None:
    """A value holds from a version until another; one value per key in any version. Only drafts take changes."""
    run(
        """
        CREATE TABLE tenant_factor (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          set_id uuid NOT NULL,
          from_version integer NOT NULL,
          until_version integer CHECK (until_version > from_version),
          code text NOT NULL CHECK (code <> ''),
          name_zh text NOT NULL CHECK (name_zh <> ''),
          name_en text NOT NULL CHECK (name_en <> ''),
          parameter text NOT NULL CHECK (parameter IN ('NCV', 'CARBON_PER_HEAT', 'OXIDATION', 'EMISSION_FACTOR',
            'EMBEDDED_CARBON', 'DEDUCTION')),
          value numeric NOT NULL CHECK (value >= 0 AND value < 1e15),
          unit text NOT NULL CHECK (unit <> ''),
          entered text NOT NULL CHECK (entered <> ''),
          region text NOT NULL REFERENCES factor_region,
          year integer CHECK (year BETWEEN 1990 AND 2200),
          technology text NOT NULL DEFAULT '',
          first_year integer CHECK (first_year BETWEEN 1990 AND 2200),
          last_year integer CHECK (last_year BETWEEN 1990 AND 2200),
          provenance text NOT NULL CHECK (provenance IN ('OFFICIAL_COPY', 'DRAFT_COPY', 'PAGE', 'SECONDARY', 'DERIVED',
            'SUPPLIER', 'MEASURED', 'OWN_STUDY')),
          basis text NOT NULL DEFAULT '',
          source text NOT NULL CHECK (source <> ''),
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, set_id, from_version) REFERENCES tenant_factor_version,
          FOREIGN KEY (tenant_id, set_id, until_version) REFERENCES tenant_factor_version,
          CONSTRAINT valid_for_some_years CHECK (first_year <= last_year),
          CONSTRAINT one_value_per_key EXCLUDE USING gist (
            tenant_id WITH =, set_id WITH =, code WITH =, parameter WITH =, region WITH =,
            (coalesce(year, 0)) WITH =, technology WITH =, int4range(from_version, until_version) WITH &&)
        )
        """,
        """
        CREATE FUNCTION only_drafts_take_factors() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
          shown tenant_factor := CASE WHEN TG_OP = 'INSERT' THEN NEW ELSE OLD END;
          touched integer := shown.from_version;
        BEGIN
          IF TG_OP = 'UPDATE' THEN
            touched := CASE WHEN NEW.until_version IS NULL THEN OLD.until_version
                            WHEN OLD.until_version IS NULL THEN NEW.until_version END;
          END IF;
          IF (TG_OP <> 'UPDATE' OR to_jsonb(NEW) - 'until_version' = to_jsonb(OLD) - 'until_version')
             AND EXISTS (SELECT FROM tenant_factor_version v WHERE v.tenant_id = shown.tenant_id
                         AND v.set_id = shown.set_id AND v.version = touched AND v.state = 'DRAFT') THEN
            RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
          END IF;
          RAISE EXCEPTION 'only a draft takes changes of factors: % refused', TG_OP USING ERRCODE = 'TH003';
        END $$
        """,
        "CREATE TRIGGER only_drafts_take_factors BEFORE INSERT OR UPDATE OR DELETE ON tenant_factor "
        "FOR EACH ROW EXECUTE FUNCTION only_drafts_take_factors()",
        "CREATE TRIGGER tenant_factor_no_truncate BEFORE TRUNCATE ON tenant_factor "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )
    protect("tenant_factor", writes="INSERT, UPDATE (until_version), DELETE")


def _streams() -> None:
    """A stream names a set of the library, or a version of a set of an organisation at or above its source."""
    run(
        "ALTER TABLE emission_stream DROP CONSTRAINT emission_stream_factor_set_fkey",
        "ALTER TABLE emission_stream ADD technology text NOT NULL DEFAULT ''",
        "CREATE INDEX emission_stream_of_factor_set ON emission_stream (tenant_id, factor_set) "
        "WHERE factor_set IS NOT NULL",
        """
        CREATE FUNCTION factor_set_is_offered() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF EXISTS (SELECT FROM factor_set s WHERE s.code = NEW.factor_set) OR EXISTS (
               SELECT FROM tenant_factor_version v
               JOIN tenant_factor_set s ON s.tenant_id = v.tenant_id AND s.id = v.set_id
               JOIN emission_source o ON o.tenant_id = NEW.tenant_id AND o.id = NEW.source_id
               JOIN organisation_closure c ON c.tenant_id = s.tenant_id AND c.ancestor_id = s.organisation_id
                 AND c.descendant_id = o.organisation_id
               WHERE v.tenant_id = NEW.tenant_id AND s.code || '@' || v.version = NEW.factor_set
                 AND v.approved_by IS NOT NULL) THEN
            RETURN NEW;
          END IF;
          RAISE EXCEPTION 'no factor set % is offered here', NEW.factor_set USING ERRCODE = '23503',
            CONSTRAINT = 'factor_set_is_offered';
        END $$
        """,
        "CREATE TRIGGER factor_set_is_offered BEFORE INSERT ON emission_stream FOR EACH ROW "
        "WHEN (NEW.factor_set IS NOT NULL) EXECUTE FUNCTION factor_set_is_offered()",
    )


def _adoptions() -> None:
    run(
        """
        CREATE TABLE factor_adoption (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          factor_set text CHECK (factor_set <> ''),
          from_month date NOT NULL CHECK (from_month >= '1990-01-01' AND extract(day FROM from_month) = 1),
          to_month date CHECK (to_month >= from_month AND extract(day FROM to_month) = 1),
          reason text NOT NULL CHECK (reason <> ''),
          setting_id uuid,
          changed_months integer NOT NULL CHECK (changed_months >= 0),
          before_t numeric(38, 9) NOT NULL,
          after_t numeric(38, 9) NOT NULL,
          adopted_by uuid NOT NULL,
          adopted_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, setting_id) REFERENCES boundary_setting,
          CONSTRAINT what_is_adopted_is_set CHECK ((factor_set IS NULL) = (setting_id IS NULL))
        )
        """,
        "CREATE INDEX factor_adoption_of_organisation ON factor_adoption (tenant_id, organisation_id, id)",
    )
    protect("factor_adoption", writes="INSERT")
    append_only("factor_adoption")


def _subtypes() -> None:
    """Notes 1 to 7 of 8.2.2; classifying again is an edit with a reason in the audit trail."""
    pairs = ", ".join(f"('{category}', '{name}')" for category, names in SUBTYPES.items() for name in names)
    run(
        f"""
        ALTER TABLE emission_source ADD subtype text,
          ADD CONSTRAINT subtype_of_its_category CHECK (subtype IS NULL OR (category, subtype) IN ({pairs}))
        """,
        """
        CREATE OR REPLACE FUNCTION only_unit_and_device_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - '{unit_id,device_id,subtype}'::text[]
             = to_jsonb(OLD) - '{unit_id,device_id,subtype}'::text[] THEN
            RETURN NEW;
          END IF;
          RAISE EXCEPTION 'of a source only unit, device and sub-type change: % refused', TG_OP
            USING ERRCODE = 'TH003';
        END $$
        """,
        "GRANT UPDATE (subtype) ON emission_source TO tanheng_app, tanheng_worker",
    )

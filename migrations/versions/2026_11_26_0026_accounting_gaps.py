"""Evidence before submission and measured stays measured, held by the database."""

from __future__ import annotations

from migrations.support import run

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    _documents_demanded()
    _evidence()
    _measured_once()


def _documents_demanded() -> None:
    """A boundary may demand a stored document for kinds of records."""
    run(
        """
        ALTER TABLE boundary_setting
          DROP CONSTRAINT boundary_setting_key_check,
          ADD CONSTRAINT boundary_setting_key_check CHECK (key IN (
            'CONSOLIDATION_APPROACH', 'CATEGORIES', 'GASES', 'GWP_SET', 'BASE_YEAR', 'FACTOR_SET', 'MATERIALITY',
            'ALLOWANCE_POLICY', 'EVIDENCE_DOCUMENTS'))
        """,
    )


def _evidence() -> None:
    """What lacks its evidence is said in one place, for who asks and for the trigger that refuses submission."""
    run(
        """
        CREATE FUNCTION is_documented(of_tenant uuid, of_type text, of_subject uuid) RETURNS boolean
        LANGUAGE sql STABLE RETURN EXISTS (
          SELECT FROM document_link l JOIN document d ON d.tenant_id = l.tenant_id AND d.id = l.document_id
          WHERE l.tenant_id = of_tenant AND l.subject_type = of_type AND l.subject_id = of_subject
            AND d.state = 'STORED')
        """,
        # The kinds for which the nearest boundary demands documents on the last day of the inventory.
        """
        CREATE FUNCTION documents_demanded(of_tenant uuid, of_inventory uuid) RETURNS jsonb LANGUAGE sql STABLE RETURN (
          SELECT s.value
          FROM inventory i
          CROSS JOIN LATERAL (
            SELECT (i.first_month + make_interval(months => i.months))::date - 1 AS day) l
          JOIN organisation_closure c ON c.tenant_id = i.tenant_id AND c.descendant_id = i.organisation_id
            AND c.valid @> l.day
          JOIN boundary_setting s ON s.tenant_id = c.tenant_id AND s.organisation_id = c.ancestor_id
            AND s.key = 'EVIDENCE_DOCUMENTS' AND s.superseded_at IS NULL AND s.valid @> l.day
          WHERE i.tenant_id = of_tenant AND i.id = of_inventory
          ORDER BY c.depth LIMIT 1)
        """,
        # A record that follows from a row of the ledger, a month of meters or of a stack is documented there, too.
        """
        CREATE FUNCTION lacking_evidence(of_tenant uuid, of_inventory uuid)
        RETURNS TABLE (kind text, record_id uuid, source_id uuid, code text, first_month date, document boolean)
        LANGUAGE sql STABLE AS $$
          WITH i AS (
            SELECT tenant_id, organisation_id, first_month,
                   (first_month + make_interval(months => months))::date AS after,
                   coalesce(documents_demanded(of_tenant, of_inventory), '[]') AS demanded
            FROM inventory WHERE tenant_id = of_tenant AND id = of_inventory
          )
          SELECT b.origin, r.record_id, m.source_id, t.code, p.month, i.demanded ? b.origin
          FROM i
          JOIN stream_month m ON m.tenant_id = i.tenant_id AND m.organisation_id = i.organisation_id
            AND m.month >= i.first_month AND m.month < i.after
          JOIN emission_source o ON o.tenant_id = m.tenant_id AND o.id = m.source_id
          JOIN emission_stream t ON t.tenant_id = m.tenant_id AND t.id = m.stream_id
          JOIN activity_pack p ON p.tenant_id = m.tenant_id AND p.stream_id = m.stream_id AND p.month = m.month
          JOIN activity_batch b ON b.tenant_id = p.tenant_id AND b.id = p.batch_id
            AND (i.demanded ? b.origin OR (b.evidence = '' AND (t.evidence_required OR o.evidence_required)))
          CROSS JOIN LATERAL generate_series(p.first_line, p.first_line + cardinality(p.days) - 1) AS line
          CROSS JOIN LATERAL (
            SELECT (left(b.id::text, 28) || lpad(to_hex(line), 8, '0'))::uuid AS record_id) r
          WHERE NOT EXISTS (SELECT FROM activity_withdrawal w WHERE w.tenant_id = p.tenant_id
              AND w.batch_id = p.batch_id AND w.line = line)
            AND NOT is_documented(p.tenant_id, 'ActivityRecord', r.record_id)
            AND NOT EXISTS (SELECT FROM stock_row x WHERE x.tenant_id = p.tenant_id AND x.batch_id = p.batch_id
              AND is_documented(x.tenant_id, 'StockRow', x.id))
            AND NOT EXISTS (SELECT FROM meter_month x WHERE x.tenant_id = p.tenant_id AND x.batch_id = p.batch_id
              AND is_documented(x.tenant_id, 'MeterMonth', x.id))
            AND NOT EXISTS (SELECT FROM stack_month x WHERE x.tenant_id = p.tenant_id AND x.batch_id = p.batch_id
              AND is_documented(x.tenant_id, 'StackMonth', x.id))
          UNION ALL
          SELECT 'DECLARED', d.id, o.id, o.code || ' ' || d.gas, d.first_month, i.demanded ? 'DECLARED'
          FROM i
          JOIN emission_source o ON o.tenant_id = i.tenant_id AND o.organisation_id = i.organisation_id
          JOIN declared_result d ON d.tenant_id = o.tenant_id AND d.source_id = o.id AND d.superseded_at IS NULL
            AND d.first_month >= i.first_month AND d.first_month < i.after
            AND (i.demanded ? 'DECLARED' OR (d.evidence = '' AND o.evidence_required))
          WHERE NOT is_documented(d.tenant_id, 'DeclaredResult', d.id)
        $$
        """,
        """
        CREATE FUNCTION evidence_is_there() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public
        AS $$
        BEGIN
          IF EXISTS (SELECT FROM lacking_evidence(NEW.tenant_id, NEW.id)) THEN
            RAISE EXCEPTION 'records of the inventory lack their evidence' USING ERRCODE = '23514',
              CONSTRAINT = 'evidence_before_submission';
          END IF;
          RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER evidence_before_submission BEFORE UPDATE OF state ON inventory FOR EACH ROW "
        "WHEN (OLD.state = 'OPEN' AND NEW.state <> 'OPEN') EXECUTE FUNCTION evidence_is_there()",
    )


def _measured_once() -> None:
    """What was measured in a month is no default of the library later in the year, unless somebody says so by name."""
    run(
        "ALTER TABLE stream_basis ADD COLUMN went_back_by uuid",
        "GRANT UPDATE (went_back_by) ON stream_basis TO tanheng_app, tanheng_worker",
        """
        CREATE FUNCTION supersede_basis_once() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
          said text[] := '{superseded_at,superseded_because,went_back_by}';
        BEGIN
          IF TG_OP = 'UPDATE' AND OLD.superseded_at IS NULL AND NEW.superseded_at IS NOT NULL
             AND to_jsonb(NEW) - said = to_jsonb(OLD) - said THEN
            RETURN NEW;
          END IF;
          RAISE EXCEPTION 'stream_basis rows are superseded once and never edited: % refused', TG_OP
            USING ERRCODE = 'TH003';
        END $$
        """,
        "DROP TRIGGER stream_basis_supersede_once ON stream_basis",
        "CREATE TRIGGER stream_basis_supersede_once BEFORE UPDATE OR DELETE ON stream_basis "
        "FOR EACH ROW EXECUTE FUNCTION supersede_basis_once()",
        """
        CREATE FUNCTION basis_measures(kind text, parameters jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE RETURN CASE
          WHEN kind IN ('MEASURED_CARBON', 'GAS_COMPOSITION') THEN ARRAY['CARBON']
          WHEN kind = 'FUEL_COMBUSTION' THEN ARRAY(
            SELECT CASE p ->> 'name' WHEN 'ncv' THEN 'HEAT' ELSE 'CARBON' END FROM jsonb_array_elements(parameters) p
            WHERE p ->> 'factor_id' IS NULL AND p ->> 'name' IN ('ncv', 'carbonPerHeat'))
          ELSE '{}'::text[] END
        """,
        """
        CREATE FUNCTION basis_defaults(kind text, parameters jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE RETURN CASE
          WHEN kind = 'LIBRARY' THEN ARRAY['HEAT', 'CARBON']
          WHEN kind = 'FUEL_COMBUSTION' THEN ARRAY(
            SELECT unnest(ARRAY['HEAT', 'CARBON']) EXCEPT SELECT unnest(basis_measures(kind, parameters)))
          ELSE '{}'::text[] END
        """,
        "CREATE FUNCTION basis_days(first_month date, last_month date) RETURNS daterange LANGUAGE sql IMMUTABLE "
        "RETURN daterange(first_month, (last_month + interval '1 month')::date)",
        # From the first measured month of each year to its end; a basis without an end reaches a hundred years.
        """
        CREATE FUNCTION measured_until(first_month date, last_month date) RETURNS datemultirange
        LANGUAGE sql IMMUTABLE RETURN (
          SELECT range_agg(daterange(greatest(first_month, make_date(y, 1, 1)), make_date(y + 1, 1, 1)))
          FROM generate_series(extract(year FROM first_month)::integer,
            extract(year FROM coalesce(last_month, first_month + interval '100 years'))::integer) y)
        """,
        # A piece of a basis that is cut by another stays what it was; `now()` is when this transaction began.
        """
        CREATE FUNCTION measured_stays_measured() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        DECLARE
          days daterange := basis_days(NEW.first_month, NEW.last_month);
        BEGIN
          IF NEW.went_back_by IS NOT NULL OR NOT EXISTS (
            SELECT FROM emission_stream t
            WHERE t.tenant_id = NEW.tenant_id AND t.id = NEW.stream_id AND t.material IS NOT NULL
          ) THEN
            RETURN NULL;
          END IF;
          IF TG_OP = 'INSERT' AND EXISTS (
            SELECT FROM stream_basis b WHERE b.tenant_id = NEW.tenant_id AND b.stream_id = NEW.stream_id
              AND (b.superseded_at IS NULL OR b.superseded_at >= now())
              AND basis_measures(b.kind, b.parameters) && basis_defaults(NEW.kind, NEW.parameters)
              AND measured_until(b.first_month, b.last_month) && days
          ) AND NOT EXISTS (
            SELECT FROM stream_basis o WHERE o.tenant_id = NEW.tenant_id AND o.stream_id = NEW.stream_id
              AND o.superseded_at >= now() AND (o.kind, o.parameters) = (NEW.kind, NEW.parameters)
              AND basis_days(o.first_month, o.last_month) @> days
          ) THEN
            RAISE EXCEPTION 'a measured parameter goes back to a default' USING ERRCODE = '23514',
              CONSTRAINT = 'measured_stays_measured';
          END IF;
          IF TG_OP = 'UPDATE' AND cardinality(basis_measures(NEW.kind, NEW.parameters)) > 0 AND NOT coalesce((
            SELECT range_agg(basis_days(b.first_month, b.last_month)) @> days FROM stream_basis b
            WHERE b.tenant_id = NEW.tenant_id AND b.stream_id = NEW.stream_id AND b.method = NEW.method
              AND b.superseded_at IS NULL
          ), false) THEN
            RAISE EXCEPTION 'a measured parameter is taken away' USING ERRCODE = '23514',
              CONSTRAINT = 'measured_stays_measured';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE CONSTRAINT TRIGGER measured_stays_measured AFTER INSERT ON stream_basis "
        "FOR EACH ROW EXECUTE FUNCTION measured_stays_measured()",
        "CREATE CONSTRAINT TRIGGER measured_is_replaced AFTER UPDATE OF superseded_at ON stream_basis "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION measured_stays_measured()",
    )

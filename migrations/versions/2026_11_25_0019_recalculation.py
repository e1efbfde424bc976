"""Triggers on packs and stream-months that look only at what can apply, and long derivations as jobs."""

from __future__ import annotations

from migrations.support import run

revision = "0019"
down_revision = "0018"

CAUSES = ("stock_row", "meter_month", "stack_month")


def upgrade() -> None:
    _packs()
    _months()
    _frozen_and_derived()


def _packs() -> None:
    """Thousands of packs name few streams and fewer batches: each is looked up once."""
    run(
        """
        CREATE OR REPLACE FUNCTION packs_hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
          IF EXISTS (
            SELECT FROM (SELECT DISTINCT tenant_id, stream_id FROM made) p
            LEFT JOIN emission_stream t ON t.tenant_id = p.tenant_id AND t.id = p.stream_id
            WHERE t.id IS NULL
          ) OR EXISTS (
            SELECT FROM (SELECT DISTINCT tenant_id, batch_id FROM made) p
            LEFT JOIN activity_batch b ON b.tenant_id = p.tenant_id AND b.id = p.batch_id
            WHERE b.id IS NULL
          ) OR EXISTS (
            SELECT FROM made p WHERE p.quantity <> (SELECT sum(q) FROM unnest(p.quantities) q)
          ) THEN
            RAISE EXCEPTION 'a pack needs its stream, its batch, and the sum of its lines' USING ERRCODE = '23514',
              CONSTRAINT = 'packs_hold';
          END IF;
          RETURN NULL;
        END $$
        """
    )


def _months() -> None:
    """The rules of stream-months as they were; a tenant without declared results, and streams that may have any number
    of records, are passed over before months are looked at.
    """
    run(
        """
        CREATE OR REPLACE FUNCTION months_of_streams_hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
          IF TG_OP = 'INSERT' THEN
            PERFORM FROM emission_source o
            WHERE (o.tenant_id, o.id) IN (SELECT m.tenant_id, m.source_id FROM changed m)
            ORDER BY o.id FOR NO KEY UPDATE;
          END IF;
          IF EXISTS (SELECT FROM declared_result d WHERE d.superseded_at IS NULL) AND EXISTS (
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
          IF EXISTS (SELECT FROM changed m WHERE m.records > 1) AND EXISTS (
            SELECT FROM changed m
            JOIN emission_stream t ON t.tenant_id = m.tenant_id AND t.id = m.stream_id AND t.cadence <> 'EVENT'
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
        """
    )


def _frozen_and_derived() -> None:
    """Where nothing has been submitted, and nothing follows from measurements, there is nothing to look for."""
    any_cause = " OR ".join(f"EXISTS (SELECT FROM {t} c WHERE c.superseded_at IS NULL)" for t in CAUSES)
    standing = " OR ".join(
        f"EXISTS (SELECT FROM {t} c WHERE c.tenant_id = m.tenant_id AND c.stream_id = m.stream_id "
        f"AND c.month = m.month AND c.superseded_at IS NULL)"
        for t in CAUSES
    )
    run(
        """
        CREATE OR REPLACE FUNCTION period_is_open() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
          IF EXISTS (SELECT FROM inventory i WHERE i.state NOT IN ('OPEN', 'REOPENED')) AND EXISTS (
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
        f"""
        CREATE OR REPLACE FUNCTION derived_months_stand_alone() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
          IF ({any_cause}) AND EXISTS (SELECT FROM changed m WHERE m.records > 1 AND ({standing})) THEN
            RAISE EXCEPTION 'the month of this stream follows from its ledger, meter or monitor'
              USING ERRCODE = '23P01', CONSTRAINT = 'derived_months_stand_alone';
          END IF;
          RETURN NULL;
        END $$
        """,
    )

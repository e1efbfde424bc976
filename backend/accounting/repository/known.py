"""SQL of results as they were known at a moment: from records, choices and coefficients as they stood then."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from backend.accounting.domain.known import DifferenceKind, KnownTotal, Moved
from backend.accounting.domain.sources import Category, DirectKind
from backend.kit.database import ReadSession

_SOURCES: Final = """
sources AS (
  SELECT o.tenant_id, o.id, o.category, o.direct_kind FROM organisation_reach a
  JOIN emission_source o ON o.tenant_id = a.tenant_id AND o.organisation_id = a.descendant_id
  WHERE a.ancestor_id = :at),
span AS (
  SELECT make_date(:year, 1, 1) AS first, make_date(:year + 1, 1, 1) AS after, CAST(:known_at AS timestamptz) AS k)
"""
_STREAMS: Final = """
WITH {sources},
streams AS (
  SELECT t.tenant_id, t.id AS stream_id, s.id AS source_id, s.category, s.direct_kind, span.*
  FROM sources s JOIN emission_stream t ON t.tenant_id = s.tenant_id AND t.source_id = s.id CROSS JOIN span),
packed AS (
  SELECT t.stream_id, p.month, sum(p.quantity) AS quantity
  FROM streams t
  JOIN activity_pack p ON p.tenant_id = t.tenant_id AND p.stream_id = t.stream_id AND p.month >= t.first
    AND p.month < t.after
  JOIN activity_batch b ON b.tenant_id = p.tenant_id AND b.id = p.batch_id AND b.recorded_at <= t.k
  GROUP BY t.stream_id, p.month),
withdrawn AS (
  SELECT t.stream_id, w.month, sum(w.quantity) FILTER (WHERE w.at <= t.k) AS quantity,
         string_agg(DISTINCT w.because, ' / ') FILTER (WHERE w.at > t.k) AS because
  FROM streams t
  JOIN activity_withdrawal w ON w.tenant_id = t.tenant_id AND w.stream_id = t.stream_id AND w.month >= t.first
    AND w.month < t.after
  GROUP BY t.stream_id, w.month),
today AS (
  SELECT t.stream_id, m.month, m.quantity, m.co2e_t, m.coefficient_id
  FROM streams t JOIN stream_month m ON m.tenant_id = t.tenant_id AND m.stream_id = t.stream_id
    AND m.month >= t.first AND m.month < t.after),
months AS (
  SELECT t.*, month, coalesce(p.quantity, 0) - coalesce(w.quantity, 0) AS quantity_then,
         coalesce(m.quantity, 0) AS quantity_now, coalesce(m.co2e_t, 0) AS today_t, m.coefficient_id,
         coalesce(w.because, '') AS withdrawn_because
  FROM packed p FULL JOIN today m USING (stream_id, month) LEFT JOIN withdrawn w USING (stream_id, month)
  JOIN streams t USING (stream_id)),
results AS (
  SELECT b.category, b.direct_kind, b.today_t, b.withdrawn_because,
         coalesce(round(b.quantity_then * c.co2e_per_unit, 9), 0) AS known_t,
         coalesce(round(b.quantity_now * c.co2e_per_unit, 9), b.today_t) AS moved_t,
         CASE WHEN n.method IS DISTINCT FROM c.method THEN 'METHOD' ELSE 'COEFFICIENT' END AS kind,
         coalesce(CASE WHEN n.method IS DISTINCT FROM c.method THEN h.superseded_because END,
                  c.superseded_because, '') AS because
  FROM months b
  LEFT JOIN source_method h ON h.tenant_id = b.tenant_id AND h.source_id = b.source_id AND b.month >= h.first_month
    AND (h.last_month IS NULL OR b.month <= h.last_month) AND h.recorded_at <= b.k
    AND (h.superseded_at IS NULL OR h.superseded_at > b.k)
  LEFT JOIN stream_coefficient c ON c.tenant_id = b.tenant_id AND c.stream_id = b.stream_id
    AND c.method = coalesce(h.method, 'FACTOR') AND b.month BETWEEN c.first_month AND c.last_month
    AND c.recorded_at <= b.k AND (c.superseded_at IS NULL OR c.superseded_at > b.k)
  LEFT JOIN stream_coefficient n ON n.tenant_id = b.tenant_id AND n.id = b.coefficient_id)
SELECT category, direct_kind, '' AS kind, '' AS because, count(*) AS results, sum(known_t) AS known_t,
       sum(today_t) AS today_t
FROM results GROUP BY category, direct_kind
UNION ALL
SELECT category, direct_kind, 'ACTIVITY', withdrawn_because, count(*), 0, sum(moved_t - known_t)
FROM results WHERE moved_t <> known_t GROUP BY category, direct_kind, withdrawn_because
UNION ALL
SELECT category, direct_kind, kind, because, count(*), 0, sum(today_t - moved_t)
FROM results WHERE today_t <> moved_t GROUP BY category, direct_kind, kind, because
"""
_DECLARED: Final = """
WITH {sources},
results AS (
  SELECT s.category, s.direct_kind, d.co2e_t, coalesce(d.superseded_because, '') AS because,
         d.recorded_at <= span.k AND (d.superseded_at IS NULL OR d.superseded_at > span.k) AS was_held,
         d.superseded_at IS NULL AS is_held
  FROM sources s
  JOIN declared_result d ON d.tenant_id = s.tenant_id AND d.source_id = s.id AND d.gas <> 'CO2_BIOGENIC'
  CROSS JOIN span WHERE d.first_month >= span.first AND d.first_month < span.after)
SELECT category, direct_kind, '' AS kind, '' AS because, count(*) AS results,
       coalesce(sum(co2e_t) FILTER (WHERE was_held), 0) AS known_t,
       coalesce(sum(co2e_t) FILTER (WHERE is_held), 0) AS today_t
FROM results WHERE was_held OR is_held GROUP BY category, direct_kind
UNION ALL
SELECT category, direct_kind, 'DECLARED', because, count(*), 0, sum(CASE WHEN is_held THEN co2e_t ELSE -co2e_t END)
FROM results WHERE was_held <> is_held GROUP BY category, direct_kind, because
"""


def _term(row: Row[Any]) -> tuple[Category, DirectKind | None]:
    return Category(row.category), DirectKind(row.direct_kind) if row.direct_kind else None


async def totals(
    session: ReadSession, organisation_id: UUID, year: int, known_at: datetime
) -> tuple[list[KnownTotal], list[Moved]]:
    """tCO2e by category of an organisation and all below it, then and today, and what moved for which reason."""
    given = {"at": organisation_id, "year": year, "known_at": known_at}
    # Most of it joins everything with everything of a tenant: by hash, not row by row.
    await session.rows("SELECT set_config('enable_nestloop', 'off', true)")
    queries = (query.format(sources=_SOURCES.strip()) for query in (_STREAMS, _DECLARED))
    rows = [row for query in queries for row in await session.rows(query, given)]
    known = [KnownTotal(*_term(r), r.known_t, r.today_t) for r in rows if not r.kind]
    moved = [Moved(*_term(r), DifferenceKind(r.kind), r.because, r.results, r.today_t) for r in rows if r.kind]
    return known, moved

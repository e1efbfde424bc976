"""SQL of methods side by side."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import select, text

from backend.accounting.domain.comparison import ClassFigure
from backend.accounting.domain.records import Method
from backend.accounting.repository.sources import below, may_read
from backend.accounting.tables.sources import emission_source
from backend.kit.database import ReadSession
from tenants.access import Principal

# The streams of a class are those that have a coefficient of it in some month of the year. What counts is taken as it
# was counted: the months of a frozen inventory keep coefficients that are superseded by now.
_FIGURES: Final = """
WITH member AS (
  SELECT DISTINCT t.tenant_id, t.source_id, t.id AS stream_id, t.code, c.method
  FROM emission_stream t
  JOIN stream_coefficient c ON c.tenant_id = t.tenant_id AND c.stream_id = t.id AND c.superseded_at IS NULL
    AND c.first_month BETWEEN make_date(:year, 1, 1) AND make_date(:year, 12, 1)
  WHERE t.source_id = ANY (:sources)
), figure AS (
  SELECT k.tenant_id, k.source_id, n.month::date AS month, k.method,
         sum(CASE WHEN m.coefficient_id IS NOT NULL AND u.method = k.method THEN m.co2e_t
                  ELSE round(m.quantity * c.co2e_per_unit, 9) END) AS co2e_t,
         array_agg(k.code ORDER BY k.code) FILTER (WHERE m.stream_id IS NULL) AS no_quantity,
         array_agg(k.code ORDER BY k.code) FILTER (WHERE c.id IS NULL) AS no_basis
  FROM member k
  CROSS JOIN generate_series(make_date(:year, 1, 1), make_date(:year, 12, 1), interval '1 month') AS n (month)
  LEFT JOIN stream_month m ON m.tenant_id = k.tenant_id AND m.stream_id = k.stream_id AND m.month = n.month
  LEFT JOIN stream_coefficient u ON u.tenant_id = m.tenant_id AND u.id = m.coefficient_id
  LEFT JOIN stream_coefficient c ON c.tenant_id = k.tenant_id AND c.stream_id = k.stream_id AND c.method = k.method
    AND c.superseded_at IS NULL AND n.month BETWEEN c.first_month AND c.last_month
  GROUP BY k.tenant_id, k.source_id, n.month, k.method
  UNION ALL
  SELECT d.tenant_id, d.source_id, d.first_month, d.method, sum(d.co2e_t), NULL, NULL
  FROM declared_result d
  WHERE d.source_id = ANY (:sources) AND d.superseded_at IS NULL AND d.months = 1
    AND d.first_month BETWEEN make_date(:year, 1, 1) AND make_date(:year, 12, 1)
  GROUP BY d.tenant_id, d.source_id, d.first_month, d.method
)
SELECT f.source_id, f.month, f.method, sum(f.co2e_t) AS co2e_t, f.method = min(h.method) AS counts,
       max(f.no_quantity) AS no_quantity, max(f.no_basis) AS no_basis
FROM figure f
JOIN source_method h ON h.tenant_id = f.tenant_id AND h.source_id = f.source_id AND h.superseded_at IS NULL
  AND f.month >= h.first_month AND (h.last_month IS NULL OR f.month <= h.last_month)
GROUP BY f.source_id, f.month, f.method ORDER BY f.source_id, f.month, f.method
"""
_LONGER: Final = """
SELECT source_id, method, months, sum(co2e_t) AS co2e_t FROM declared_result
WHERE source_id = ANY (:sources) AND superseded_at IS NULL AND months > 1
  AND first_month BETWEEN make_date(:year, 1, 1) AND make_date(:year, 12, 1)
GROUP BY source_id, method, first_month, months ORDER BY source_id, method, first_month
"""
# Where there is nothing to compare there is no divergence: sources with two classes in the year.
_SEVERAL: Final = text(
    """
    EXISTS (
      SELECT FROM emission_stream t
      JOIN stream_coefficient c ON c.tenant_id = t.tenant_id AND c.stream_id = t.id AND c.superseded_at IS NULL
        AND c.first_month BETWEEN make_date(:year, 1, 1) AND make_date(:year, 12, 1)
      WHERE t.tenant_id = emission_source.tenant_id AND t.source_id = emission_source.id
      HAVING count(DISTINCT c.method) > 1)
    """
)


async def figures(session: ReadSession, source_ids: Sequence[UUID], year: int) -> dict[UUID, list[ClassFigure]]:
    """What each class says of each month of a year, by source, month and class."""
    found: dict[UUID, list[ClassFigure]] = {}
    for r in await session.rows(_FIGURES, {"sources": list(source_ids), "year": year}):
        lacking = (tuple(r.no_quantity or ()), tuple(r.no_basis or ()))
        figure = ClassFigure(r.source_id, r.month, Method(r.method), r.counts, r.co2e_t, *lacking)
        found.setdefault(r.source_id, []).append(figure)
    return found


async def declared_for_longer(
    session: ReadSession, source_ids: Sequence[UUID], year: int
) -> dict[UUID, list[tuple[Method, int, Decimal]]]:
    """Results declared for several months of a year at once: class, number of months, tCO2e."""
    found: dict[UUID, list[tuple[Method, int, Decimal]]] = {}
    for r in await session.rows(_LONGER, {"sources": list(source_ids), "year": year}):
        found.setdefault(r.source_id, []).append((Method(r.method), r.months, r.co2e_t))
    return found


async def with_several(session: ReadSession, principal: Principal, organisation_id: UUID, year: int) -> list[UUID]:
    """Sources of an organisation and all below it, that the caller may read, with more than one class in a year."""
    statement = (
        select(emission_source.c.id)
        .where(may_read(principal), below(organisation_id), _SEVERAL)
        .order_by(emission_source.c.code, emission_source.c.id)
    )
    return [r.id for r in await session.rows(statement, {"year": year})]

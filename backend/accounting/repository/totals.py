"""SQL of totals over an organisation and all below it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from backend.accounting.domain.categories import SubtypeTotal
from backend.accounting.domain.sources import Category, Subtype
from backend.kit.database import ReadSession

_BY_SUBTYPE: Final = """
SELECT o.category, o.subtype, sum(r.co2e_t) AS co2e_t
FROM organisation_reach a
JOIN emission_source o ON o.tenant_id = a.tenant_id AND o.organisation_id = a.descendant_id
JOIN (
  SELECT tenant_id, source_id, month, co2e_t FROM stream_month
  UNION ALL
  SELECT tenant_id, source_id, first_month, co2e_t FROM declared_result
  WHERE gas <> 'CO2_BIOGENIC' AND superseded_at IS NULL
) r (tenant_id, source_id, month, co2e_t) ON r.tenant_id = o.tenant_id AND r.source_id = o.id
WHERE a.ancestor_id = :at AND r.month >= make_date(:year, 1, 1) AND r.month < make_date(:year + 1, 1, 1)
GROUP BY o.category, o.subtype
"""


async def by_subtype(session: ReadSession, organisation_id: UUID, year: int) -> list[SubtypeTotal]:
    """tCO2e of a year of an organisation and all below it; biogenic CO2 is left out."""
    rows = await session.rows(_BY_SUBTYPE, {"at": organisation_id, "year": year})
    found = [SubtypeTotal(Category(r.category), Subtype(r.subtype) if r.subtype else None, r.co2e_t) for r in rows]
    return sorted(found, key=lambda t: (list(Category).index(t.category), t.subtype or ""))

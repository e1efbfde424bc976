"""SQL of totals by other sets of warming potentials.

Masses by gas follow from quantities and coefficients, or were declared; each result (source, period and gas) is turned
into CO2 equivalent and kept to 9 decimals as `monthlyResults { co2e }` shows it, then added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from backend.accounting.domain.gwp_totals import GasSum
from backend.accounting.domain.sources import Category, DirectKind
from backend.kit.database import ReadSession
from backend.kit.quantity import trimmed
from tenants.domain import GwpSet

CO2E: Final = "CO2E"
"""CO2 equivalent whose gases are not known."""

_OF_ORGANISATION: Final = """
  SELECT a.ancestor_id AS about, m.source_id, m.category, m.direct_kind, m.month AS first_month, 1 AS months,
         'ACTIVITY' AS origin, e.gas, m.quantity * e.value AS mass_t
  FROM organisation_reach a
  JOIN stream_month m ON m.tenant_id = a.tenant_id AND m.organisation_id = a.descendant_id
  JOIN stream_coefficient c ON c.tenant_id = m.tenant_id AND c.id = m.coefficient_id
  CROSS JOIN LATERAL jsonb_to_recordset(c.gases) AS e (gas text, value numeric)
  WHERE a.ancestor_id = ANY (:about) AND m.month >= make_date(:year, 1, 1) AND m.month < make_date(:year + 1, 1, 1)
  UNION ALL
  SELECT a.ancestor_id, d.source_id, o.category, o.direct_kind, d.first_month, d.months, 'DECLARED', d.gas, d.mass_t
  FROM organisation_reach a
  JOIN emission_source o ON o.tenant_id = a.tenant_id AND o.organisation_id = a.descendant_id
  JOIN declared_result d ON d.tenant_id = o.tenant_id AND d.source_id = o.id AND d.superseded_at IS NULL
  WHERE a.ancestor_id = ANY (:about)
    AND d.first_month >= make_date(:year, 1, 1) AND d.first_month < make_date(:year + 1, 1, 1)
"""
_OF_INVENTORIES: Final = """
  SELECT l.inventory_id AS about, l.source_id, l.category, l.direct_kind, l.first_month, l.months,
         'ACTIVITY' AS origin, e.gas, l.quantity * e.value AS mass_t
  FROM unnest(CAST(:about AS uuid[]), CAST(:rounds AS integer[])) AS w (key, round)
  JOIN inventory_line l ON l.inventory_id = w.key AND l.round = w.round
  JOIN stream_coefficient c ON c.tenant_id = l.tenant_id AND c.id = l.coefficient_id
  CROSS JOIN LATERAL jsonb_to_recordset(c.gases) AS e (gas text, value numeric)
  UNION ALL
  SELECT l.inventory_id, l.source_id, l.category, l.direct_kind, l.first_month, l.months, 'DECLARED', d.gas, d.mass_t
  FROM unnest(CAST(:about AS uuid[]), CAST(:rounds AS integer[])) AS w (key, round)
  JOIN inventory_line l ON l.inventory_id = w.key AND l.round = w.round
  JOIN declared_result d ON d.tenant_id = l.tenant_id AND d.id = l.declared_result_id
"""
_SUMS: Final = """
SELECT r.about, s.gwp_set, r.category, r.direct_kind, r.gas, sum(r.mass_t) AS mass_t,
       sum(round(r.mass_t * CASE WHEN r.gas = :co2e THEN 1 ELSE p.value END, 9)) AS co2e_t
FROM (
  SELECT about, category, direct_kind, gas, sum(mass_t) AS mass_t FROM ({held}) held
  GROUP BY about, source_id, first_month, months, origin, category, direct_kind, gas
) r
CROSS JOIN unnest(CAST(:sets AS text[])) AS s (gwp_set)
LEFT JOIN unnest(CAST(:of_sets AS text[]), CAST(:gases AS text[]), CAST(:potentials AS numeric[]))
  AS p (gwp_set, gas, value) ON p.gwp_set = s.gwp_set AND p.gas = r.gas
GROUP BY r.about, s.gwp_set, r.category, r.direct_kind, r.gas
"""

Potentials = Mapping[GwpSet, Mapping[str, Decimal]]


async def of_organisation(session: ReadSession, at: UUID, year: int, potentials: Potentials) -> list[GasSum]:
    """A year of an organisation and all below it, at 100 %."""
    return await _sums(session, _OF_ORGANISATION, {"about": [at], "year": year}, potentials)


async def of_inventories(
    session: ReadSession, wanted: Sequence[tuple[UUID, int]], potentials: Potentials
) -> list[GasSum]:
    """Inventories as they were submitted in a round: their lines with the coefficients they were frozen with."""
    given = {"about": [key for key, _ in wanted], "rounds": [round_ for _, round_ in wanted]}
    return await _sums(session, _OF_INVENTORIES, given, potentials)


async def _sums(session: ReadSession, held: str, given: dict[str, Any], potentials: Potentials) -> list[GasSum]:
    table = [(s.value, gas, value) for s, of in potentials.items() for gas, value in of.items()]
    given |= {
        "co2e": CO2E,
        "sets": [s.value for s in potentials],
        "of_sets": [s for s, _, _ in table],
        "gases": [gas for _, gas, _ in table],
        "potentials": [value for _, _, value in table],
    }
    return [
        GasSum(
            about=r.about,
            gwp_set=GwpSet(r.gwp_set),
            category=Category(r.category),
            direct_kind=DirectKind(r.direct_kind) if r.direct_kind else None,
            gas=r.gas,
            mass_t=trimmed(r.mass_t),
            co2e_t=None if r.co2e_t is None else trimmed(r.co2e_t),
            split=r.gas != CO2E,
        )
        for r in await session.rows(_SUMS.format(held=held), given)
    ]

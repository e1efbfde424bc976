"""SQL of explanations of a frozen inventory: its lines, and below them the records as they were known when it was
submitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from backend.accounting.domain.explain import Frozen
from backend.accounting.repository.explain import RECORDS
from backend.kit.database import ReadSession
from backend.kit.keyset import whole
from backend.kit.pages import PageRequest

Placed = dict[int, list[Row[Any]]]

_TOTAL: Final = """
SELECT i.*, o.code, o.name_zh, o.name_en, e.at AS submitted_at, t.co2e_t, t.records
FROM inventory i
JOIN organisation o ON o.tenant_id = i.tenant_id AND o.id = i.organisation_id
JOIN LATERAL (SELECT v.at FROM inventory_event v
  WHERE v.tenant_id = i.tenant_id AND v.inventory_id = i.id AND v.state = 'SUBMITTED'
  ORDER BY v.n OFFSET :round - 1 LIMIT 1) e ON true
JOIN LATERAL (SELECT coalesce(sum(l.co2e_t), 0) AS co2e_t, coalesce(sum(l.records), 0)::integer AS records
  FROM inventory_line l WHERE l.tenant_id = i.tenant_id AND l.inventory_id = i.id AND l.round = :round) t ON true
WHERE i.id = :inventory
"""
_SOURCES: Final = """
SELECT s.id, s.code, s.name_zh, s.name_en, min(l.category) AS category, min(l.direct_kind) AS direct_kind,
       sum(l.co2e_t) AS co2e_t, sum(l.records)::integer AS records
FROM inventory_line l JOIN emission_source s ON s.tenant_id = l.tenant_id AND s.id = l.source_id
WHERE l.inventory_id = :inventory AND l.round = :round
  AND (CAST(:code AS text) IS NULL OR s.code > CAST(:code AS text))
  AND (CAST(:only AS uuid) IS NULL OR s.id = CAST(:only AS uuid))
GROUP BY s.tenant_id, s.id ORDER BY s.code LIMIT :most
"""
_LINES: Final = """
SELECT p.place, k.*
FROM unnest(CAST(:places AS integer[]), CAST(:parents AS uuid[])) AS p (place, parent_id)
CROSS JOIN LATERAL (
  SELECT * FROM (
    SELECT l.first_month, (l.stream_id IS NULL)::integer AS rank, coalesce(l.stream_id, l.declared_result_id) AS id,
           l.months, coalesce(t.code, d.gas) AS code, coalesce(t.name_zh, '') AS name_zh,
           coalesce(t.name_en, '') AS name_en, coalesce(l.quantity, d.mass_t) AS quantity,
           coalesce(t.unit, 't') AS unit, l.co2e_t, l.records, l.coefficient_id,
           coalesce(c.co2e_per_unit, d.gwp, 0) AS co2e_per_unit,
           coalesce(c.unit, CASE WHEN d.id IS NULL THEN '-' ELSE 'tCO2e/t' END) AS coefficient_unit,
           coalesce(d.evidence, '') AS evidence, d.gwp_factor_id AS factor_id, coalesce(d.method, '') AS method
    FROM inventory_line l
    LEFT JOIN emission_stream t ON t.tenant_id = l.tenant_id AND t.id = l.stream_id
    LEFT JOIN stream_coefficient c ON c.tenant_id = l.tenant_id AND c.id = l.coefficient_id
    LEFT JOIN declared_result d ON d.tenant_id = l.tenant_id AND d.id = l.declared_result_id
    WHERE l.inventory_id = :inventory AND l.round = :round AND l.source_id = p.parent_id
      AND (CAST(:only AS uuid) IS NULL OR l.stream_id = CAST(:only AS uuid))
  ) b
  WHERE CAST(:month AS date) IS NULL
    OR (b.first_month, b.rank, b.id) > (CAST(:month AS date), CAST(:rank AS integer), CAST(:id AS uuid))
  ORDER BY b.first_month, b.rank, b.id LIMIT :most
) k
ORDER BY p.place, k.first_month, k.rank, k.id
"""
# Those that were recorded and not withdrawn when the inventory was submitted; and what became of them.
_RECORDS: Final = RECORDS.format(
    also=", w.at AS withdrawn_at, w.because",
    known="JOIN activity_batch g ON g.tenant_id = a.tenant_id AND g.id = a.batch_id AND g.recorded_at <= :then",
    still="AND w.at <= :then",
    counted="""
    JOIN inventory_line m ON m.tenant_id = x.tenant_id AND m.inventory_id = :inventory AND m.round = :round
      AND m.stream_id = x.stream_id AND m.first_month = x.month""",
    more="""
LEFT JOIN activity_withdrawal w ON w.tenant_id = k.tenant_id AND w.batch_id = k.batch_id AND w.line = k.line""",
)


@dataclass(frozen=True, slots=True)
class Level:
    """Parents to open, and the page to open them to."""

    frozen: Frozen
    parents: Sequence[UUID]
    request: PageRequest

    def given(self) -> dict[str, Any]:
        return _of(self.frozen) | {
            "places": list(range(len(self.parents))),
            "parents": list(self.parents),
            "most": self.request.first + 1,
        }


def _of(frozen: Frozen) -> dict[str, Any]:
    return {"inventory": frozen.inventory_id, "round": frozen.round}


def _placed(rows: Sequence[Row[Any]]) -> Placed:
    found: Placed = {}
    for row in rows:
        found.setdefault(row.place, []).append(row)
    return found


async def total(session: ReadSession, frozen: Frozen) -> Row[Any] | None:
    """The inventory with its organisation, what it added up to in that submission, and when that was."""
    return await session.first(_TOTAL, _of(frozen))


async def sources(
    session: ReadSession, frozen: Frozen, request: PageRequest, only: UUID | None = None
) -> list[Row[Any]]:
    """The sources of its lines, by code."""
    (code,) = request.key(str) if request.after else (None,)
    return list(await session.rows(_SOURCES, _of(frozen) | {"code": code, "only": only, "most": request.first + 1}))


async def lines(session: ReadSession, level: Level, only: UUID | None = None) -> Placed:
    """The frozen lines of each source, in order of time; `only` those of one stream."""
    month, rank, key = level.request.key(date.fromisoformat, whole, UUID) if level.request.after else (None, None, None)
    given = level.given() | {"month": month, "rank": rank, "id": key, "only": only}
    return _placed(await session.rows(_LINES, given))


async def records(session: ReadSession, level: Level, months: Sequence[date | None], then: datetime) -> Placed:
    """The lines of activity behind each frozen line, as they were known then, with their part of its emission."""
    batch, line = level.request.key(UUID, whole) if level.request.after else (None, None)
    given = level.given() | {"months": list(months), "then": then, "batch": batch, "line": line}
    return _placed(await session.rows(_RECORDS, given))

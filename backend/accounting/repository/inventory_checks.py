"""SQL of what an inventory is asked before it is submitted."""

from __future__ import annotations

from datetime import date
from typing import Final
from uuid import UUID

from backend.accounting.domain.inventories import Inventory
from backend.accounting.domain.inventory_checks import Unproven
from backend.accounting.domain.months import ALWAYS, Span
from backend.accounting.domain.records import Method
from backend.kit.database import ReadSession
from backend.kit.pages import Page, PageRequest
from tenants.domain import EvidenceKind

_LACKING: Final = """
SELECT * FROM lacking_evidence(:tenant, :key)
WHERE CAST(:month AS date) IS NULL
  OR (first_month, code, record_id) > (CAST(:month AS date), CAST(:code AS text), CAST(:id AS uuid))
ORDER BY first_month, code, record_id LIMIT :most
"""
_LACK: Final = "SELECT document, count(*) AS records FROM lacking_evidence(:tenant, :key) GROUP BY document"
_CUT: Final = """
SELECT o.code, d.gas, d.first_month, d.months
FROM declared_result d JOIN emission_source o ON o.tenant_id = d.tenant_id AND o.id = d.source_id
WHERE o.organisation_id = :organisation AND d.superseded_at IS NULL
  AND d.first_month < :after AND d.first_month + make_interval(months => d.months) > :first_month
  AND NOT (d.first_month >= :first_month AND d.first_month + make_interval(months => d.months) <= :after)
ORDER BY d.first_month, o.code
"""
_AVAILABLE: Final = """
SELECT t.source_id, 'FACTOR' AS method, NULL::date AS first_month, NULL::date AS last_month
FROM emission_stream t JOIN emission_source o ON o.tenant_id = t.tenant_id AND o.id = t.source_id
WHERE o.organisation_id = :organisation AND (t.material IS NOT NULL OR t.own_factor IS NOT NULL)
UNION
SELECT t.source_id, b.method, b.first_month, b.last_month
FROM emission_stream t JOIN emission_source o ON o.tenant_id = t.tenant_id AND o.id = t.source_id
JOIN stream_basis b ON b.tenant_id = t.tenant_id AND b.stream_id = t.id AND b.superseded_at IS NULL
WHERE o.organisation_id = :organisation AND b.first_month < :after
  AND (b.last_month IS NULL OR b.last_month >= :first_month)
"""


async def lacking(session: ReadSession, of: Inventory, request: PageRequest) -> Page[Unproven]:
    """Records that cannot be submitted for want of evidence, by month, code and id."""
    month, code, key = request.key(date.fromisoformat, str, UUID) if request.after is not None else (None, None, None)
    given = {"tenant": session.tenant_id, "key": of.id, "most": request.first + 1}
    rows = await session.rows(_LACKING, given | {"month": month, "code": code, "id": key})
    found = [Unproven(EvidenceKind(r.kind), r.record_id, r.source_id, r.code, r.first_month, r.document) for r in rows]
    return Page.cut(found, request, lambda u: u.key)


async def how_many_lack(session: ReadSession, of: Inventory) -> tuple[int, int]:
    """How many records lack a reference or document, and how many a document that is demanded."""
    rows = await session.rows(_LACK, {"tenant": session.tenant_id, "key": of.id})
    counts = {r.document: int(r.records) for r in rows}
    return counts.get(False, 0), counts.get(True, 0)


async def cut(session: ReadSession, of: Inventory) -> list[str]:
    """Declared results that lie partly in the months of the inventory: neither in it nor beside it."""
    rows = await session.rows(_CUT, _period(of))
    return [f"{r.code} {r.gas} {r.first_month:%Y-%m} ({r.months})" for r in rows]


async def sources(session: ReadSession, of: Inventory) -> dict[UUID, str]:
    """The codes of its organisation's sources."""
    statement = "SELECT id, code FROM emission_source WHERE organisation_id = :key"
    return {r.id: r.code for r in await session.rows(statement, {"key": of.organisation_id})}


async def available(session: ReadSession, of: Inventory) -> dict[UUID, list[tuple[Method, Span]]]:
    """The classes each source has a basis of, and when; the library's defaults are one of FACTOR for all time."""
    found: dict[UUID, list[tuple[Method, Span]]] = {}
    for r in await session.rows(_AVAILABLE, _period(of)):
        span = ALWAYS if r.first_month is None else Span(r.first_month, r.last_month)
        found.setdefault(r.source_id, []).append((Method(r.method), span))
    return found


def _period(of: Inventory) -> dict[str, object]:
    return {"organisation": of.organisation_id, "first_month": of.first_month, "after": of.after}

"""SQL of what was known of inventories at a moment, and of what restatements changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select

from backend.accounting.domain.inventories import Inventory, InventoryKnown, InventoryState, InventoryTotal
from backend.accounting.domain.sources import Category, DirectKind
from backend.accounting.repository.inventories import as_inventory
from backend.accounting.tables.inventories import inventory
from backend.kit.database import ReadSession
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from tenants.access import Permission, Principal, within

_KNOWN: Final = """
SELECT i.*, e.state AS then_state, e.sha256 AS then_sha256, s.round AS then_round
FROM inventory i
CROSS JOIN LATERAL (SELECT state, sha256 FROM inventory_event v
  WHERE v.tenant_id = i.tenant_id AND v.inventory_id = i.id AND v.at <= :known_at ORDER BY v.n DESC LIMIT 1) e
CROSS JOIN LATERAL (SELECT count(*)::integer AS round FROM inventory_event v
  WHERE v.tenant_id = i.tenant_id AND v.inventory_id = i.id AND v.state = 'SUBMITTED' AND v.at <= :known_at) s
WHERE i.organisation_id = :organisation
ORDER BY i.first_month, i.version
"""
# What records that were known then add up to, by the coefficients of then.
_LIVE: Final = """
SELECT o.category, o.direct_kind, sum(r.co2e_t) AS co2e_t, sum(r.records) AS records
FROM (
  SELECT t.source_id, round(q.quantity * c.co2e_per_unit, 9) AS co2e_t, q.records
  FROM (
    SELECT tenant_id, stream_id, month, sum(quantity) AS quantity, sum(records) AS records FROM (
      SELECT p.tenant_id, p.stream_id, p.month, p.quantity, cardinality(p.days) AS records
      FROM activity_pack p JOIN activity_batch b ON b.tenant_id = p.tenant_id AND b.id = p.batch_id
      WHERE b.recorded_at <= :known_at AND p.month >= :first_month AND p.month < :after
      UNION ALL
      SELECT tenant_id, stream_id, month, -quantity, -1 FROM activity_withdrawal
      WHERE at <= :known_at AND month >= :first_month AND month < :after
    ) x GROUP BY tenant_id, stream_id, month HAVING sum(records) > 0
  ) q
  JOIN emission_stream t ON t.tenant_id = q.tenant_id AND t.id = q.stream_id
  JOIN source_method h ON h.tenant_id = t.tenant_id AND h.source_id = t.source_id AND h.recorded_at <= :known_at
    AND (h.superseded_at IS NULL OR h.superseded_at > :known_at)
    AND q.month >= h.first_month AND (h.last_month IS NULL OR q.month <= h.last_month)
  JOIN stream_coefficient c ON c.tenant_id = q.tenant_id AND c.stream_id = q.stream_id AND c.method = h.method
    AND q.month BETWEEN c.first_month AND c.last_month AND c.recorded_at <= :known_at
    AND (c.superseded_at IS NULL OR c.superseded_at > :known_at)
  UNION ALL
  SELECT d.source_id, d.co2e_t, 1 FROM declared_result d
  WHERE d.recorded_at <= :known_at AND (d.superseded_at IS NULL OR d.superseded_at > :known_at)
    AND d.first_month >= :first_month AND d.first_month < :after
) r
JOIN emission_source o ON o.id = r.source_id AND o.organisation_id = :organisation
GROUP BY o.category, o.direct_kind ORDER BY o.category, o.direct_kind
"""


def _period(of: Inventory) -> dict[str, object]:
    return {"organisation": of.organisation_id, "first_month": of.first_month, "after": of.after}


async def known_at(session: ReadSession, organisation_id: UUID, moment: datetime) -> list[InventoryKnown]:
    """The inventories of an organisation that were there at a moment, as they stood then."""
    rows = await session.rows(_KNOWN, {"organisation": organisation_id, "known_at": moment})
    return [InventoryKnown(as_inventory(r), InventoryState(r.then_state), r.then_round, r.then_sha256) for r in rows]


async def live_totals_at(session: ReadSession, of: Inventory, moment: datetime) -> list[InventoryTotal]:
    """What the records of its months that were known at a moment added up to."""
    rows = await session.rows(_LIVE, _period(of) | {"known_at": moment})
    return [
        InventoryTotal(
            Category(r.category), DirectKind(r.direct_kind) if r.direct_kind else None, r.co2e_t, int(r.records)
        )
        for r in rows
    ]


async def restated(
    session: ReadSession, principal: Principal, organisation_id: UUID | None, request: PageRequest
) -> Page[tuple[Inventory, Inventory]]:
    """Versions that replace an earlier one, each with that one, the latest first."""
    of = inventory.c
    statement = select(inventory).where(of.version > 1, within(principal, Permission.EMISSION_READ, of.organisation_id))
    if organisation_id is not None:
        statement = statement.where(of.organisation_id == organisation_id)
    found = [as_inventory(r) for r in await session.rows(keyset(statement, request, of.id, latest_first=True))]
    earlier = await previous(session, found)
    return Page.cut([(i, earlier[i.id]) for i in found], request, lambda pair: (pair[0].id,))


async def previous(session: ReadSession, of: Sequence[Inventory]) -> dict[UUID, Inventory]:
    """The version that each of these replaces."""
    rows = await session.rows(
        """
        SELECT w.id AS of_id, i.*
        FROM inventory w JOIN inventory i ON i.tenant_id = w.tenant_id AND i.organisation_id = w.organisation_id
          AND i.first_month = w.first_month AND i.months = w.months AND i.version = w.version - 1
        WHERE w.id = ANY (:keys)
        """,
        {"keys": [i.id for i in of]},
    )
    return {r.of_id: as_inventory(r) for r in rows}

"""SQL of exports: the rows asked for, and the lines that go into a file, streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, select

from backend.accounting.domain.exports import ActivityExport, NewExport
from backend.accounting.tables.imports import activity_export
from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.quantity import read_unit, trimmed
from tenants.access import Permission, Principal, within

_FIELDS: Final = tuple(ActivityExport.__dataclass_fields__)
_AT_ONCE: Final = 5_000
# Current lines only: what was withdrawn is not activity any more.
_LINES: Final = """
SELECT o.code AS organisation, s.code AS source, t.code AS stream, p.month + (u.day - 1) AS day, u.quantity,
       b.entered_unit, b.evidence, b.note
FROM organisation_reach r
JOIN organisation o ON o.id = r.descendant_id
JOIN emission_source s ON s.tenant_id = o.tenant_id AND s.organisation_id = o.id
JOIN emission_stream t ON t.tenant_id = s.tenant_id AND t.source_id = s.id
JOIN activity_pack p ON p.tenant_id = t.tenant_id AND p.stream_id = t.id AND p.month BETWEEN $2 AND $3
JOIN activity_batch b ON b.tenant_id = p.tenant_id AND b.id = p.batch_id
CROSS JOIN unnest(p.days, p.quantities) WITH ORDINALITY AS u (day, quantity, n)
WHERE r.ancestor_id = $1 AND NOT EXISTS (
  SELECT FROM activity_withdrawal w
  WHERE w.tenant_id = p.tenant_id AND w.batch_id = p.batch_id AND w.line = p.first_line + u.n - 1)
ORDER BY o.code, s.code, t.code, day, b.id, p.first_line, u.n
"""


def _export(row: Row[Any]) -> ActivityExport:
    return ActivityExport(**{name: getattr(row, name) for name in _FIELDS})


async def insert(unit: UnitOfWork, made: ActivityExport) -> None:
    row = {name: getattr(made, name) for name in _FIELDS}
    await unit.execute(activity_export.insert(), row | {"tenant_id": unit.tenant_id})


async def finish(unit: UnitOfWork, key: UUID, **values: Any) -> None:
    await unit.execute(activity_export.update().where(activity_export.c.id == key).values(**values))


async def exports(
    session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None
) -> dict[UUID, ActivityExport]:
    """By id; with a principal, only those of organisations whose emissions it may read."""
    statement = select(activity_export).where(activity_export.c.id.in_(keys))
    if principal is not None:
        statement = statement.where(within(principal, Permission.EMISSION_READ, activity_export.c.organisation_id))
    return {row.id: _export(row) for row in await session.rows(statement)}


async def lines(session: ReadSession, asked: NewExport | ActivityExport) -> AsyncIterator[tuple[str | date, ...]]:
    """Organisation, source, stream, day, quantity in the unit it was entered in, that unit, evidence, note."""
    raw = (await session.connection.get_raw_connection()).driver_connection
    assert raw is not None
    cursor = raw.cursor(_LINES, asked.organisation_id, asked.first_month, asked.last_month, prefetch=_AT_ONCE)
    async for r in cursor:
        quantity = trimmed(r["quantity"] / read_unit(r["entered_unit"]).factor)
        place = r["organisation"], r["source"], r["stream"]
        yield *place, r["day"], f"{quantity:f}", r["entered_unit"], r["evidence"], r["note"]

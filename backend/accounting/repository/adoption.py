"""SQL of the adoption of factor sets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, select

from backend.accounting.domain.adoption import Adoption
from backend.accounting.domain.results import Term
from backend.accounting.domain.sources import Category, DirectKind
from backend.accounting.repository.units import at_or_below
from backend.accounting.tables.own_sets import factor_adoption
from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from tenants.access import Permission, Principal, within

_A = factor_adoption.c
_FIELDS: Final = tuple(Adoption.__dataclass_fields__)
# Whoever lay below it at some time in the months: an organisation that left keeps what it had until then.
_STREAMS: Final = """
SELECT t.id
FROM organisation_closure c
JOIN emission_source o ON o.tenant_id = c.tenant_id AND o.organisation_id = c.descendant_id
JOIN emission_stream t ON t.tenant_id = o.tenant_id AND t.source_id = o.id
WHERE c.ancestor_id = :at AND c.valid && daterange(:first, :last, '[]')
GROUP BY t.source_id, t.id ORDER BY t.source_id, t.id
"""
_TOTALS: Final = """
SELECT category, direct_kind, sum(co2e_t) AS co2e_t FROM stream_month
WHERE stream_id = ANY (:streams) AND month BETWEEN :first AND :last GROUP BY category, direct_kind
"""


def _adoption(row: Row[Any]) -> Adoption:
    return Adoption(**{name: getattr(row, name) for name in _FIELDS})


async def insert(unit: UnitOfWork, made: Adoption) -> None:
    row = {name: getattr(made, name) for name in _FIELDS if name != "adopted_at"}
    await unit.execute(factor_adoption.insert(), row | {"tenant_id": unit.tenant_id})


async def streams_below(session: ReadSession, organisation_id: UUID, first: date, last: date) -> list[UUID]:
    """Streams of an organisation and of those below it in these months."""
    rows = await session.rows(_STREAMS, {"at": organisation_id, "first": first, "last": last})
    return [row.id for row in rows]


async def totals(session: ReadSession, stream_ids: Sequence[UUID], first: date, last: date) -> dict[Term, Decimal]:
    """tCO2e of the stream-months by category and direct kind."""
    rows = await session.rows(_TOTALS, {"streams": list(stream_ids), "first": first, "last": last})
    return {(Category(r.category), DirectKind(r.direct_kind) if r.direct_kind else None): r.co2e_t for r in rows}


async def page(
    session: ReadSession, principal: Principal, organisation_id: UUID | None, request: PageRequest
) -> Page[Adoption]:
    """Adoptions the caller may read, at an organisation and below it, oldest first."""
    statement = select(factor_adoption).where(within(principal, Permission.EMISSION_READ, _A.organisation_id))
    if organisation_id is not None:
        statement = statement.where(at_or_below(organisation_id, _A.organisation_id))
    rows = [_adoption(row) for row in await session.rows(keyset(statement, request, _A.id))]
    return Page.cut(rows, request, lambda a: (a.id,))


async def by_ids(
    session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None
) -> dict[UUID, Adoption]:
    """By id; with a principal, only those it may read."""
    statement = select(factor_adoption).where(_A.id.in_(keys))
    if principal is not None:
        statement = statement.where(within(principal, Permission.EMISSION_READ, _A.organisation_id))
    return {row.id: _adoption(row) for row in await session.rows(statement)}

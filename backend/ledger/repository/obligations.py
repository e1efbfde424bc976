"""Obligations: recorded, superseded, read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, select

from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.ids import uuid7
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from backend.ledger.domain import NewObligation, Obligation, ObligationOf
from backend.ledger.tables import obligation
from tenants.access import Permission, Principal, within

_SUPERSEDE: Final = """
UPDATE obligation SET superseded_at = now(), superseded_by_id = :successor
WHERE organisation_id = :organisation_id AND from_year = :from_year AND to_year = :to_year AND superseded_at IS NULL
"""
_INSERT: Final = """
INSERT INTO obligation (tenant_id, id, organisation_id, from_year, to_year, tonnes, source, market)
VALUES (:tenant_id, :id, :organisation_id, :from_year, :to_year, :tonnes, :source, :market)
ON CONFLICT DO NOTHING RETURNING *
"""
_IN_FORCE: Final = """
SELECT * FROM obligation
WHERE organisation_id = :organisation_id AND superseded_at IS NULL AND from_year <= :to_year AND to_year >= :from_year
ORDER BY from_year LIMIT 1
"""
_OF_YEARS: Final = """
SELECT organisation_id, from_year, to_year, tonnes, id FROM obligation
WHERE organisation_id = ANY (CAST(:organisations AS uuid[])) AND to_year BETWEEN :first AND :last
  AND superseded_at IS NULL
ORDER BY organisation_id, to_year, id
"""
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('obligation', 0) # hashtextextended(:tenant, 0))"


def obligation_of(row: Row[Any]) -> Obligation:
    return Obligation(
        id=row.id,
        organisation_id=row.organisation_id,
        from_year=row.from_year,
        to_year=row.to_year,
        tonnes=row.tonnes,
        source=row.source,
        recorded_at=row.recorded_at,
        superseded_at=row.superseded_at,
        superseded_by_id=row.superseded_by_id,
        market=row.market,
    )


async def lock(unit: UnitOfWork) -> None:
    """Writers of one tenant's obligations go one at a time: two that name periods crosswise would wait in a circle."""
    await unit.execute(_LOCK, {"tenant": str(unit.tenant_id)})


async def record(unit: UnitOfWork, new: NewObligation) -> Obligation | None:
    """Put an obligation in force and supersede the one of the same period; None when another period overlaps."""
    row: dict[str, Any] = {
        "tenant_id": unit.tenant_id,
        "organisation_id": new.organisation_id,
        "from_year": new.from_year,
        "to_year": new.to_year,
    }
    key = uuid7()
    overlapping = await in_force(unit, new)
    if overlapping is not None and (overlapping.from_year, overlapping.to_year) != (new.from_year, new.to_year):
        return None
    if overlapping is not None:
        await unit.execute(_SUPERSEDE, row | {"successor": key})
    made = await unit.first(
        _INSERT, row | {"id": key, "tonnes": new.tonnes, "source": new.source, "market": new.market}
    )
    return made and obligation_of(made)


async def in_force(session: ReadSession, new: NewObligation) -> Obligation | None:
    """The first obligation in force that overlaps the period."""
    asked = {"organisation_id": new.organisation_id, "from_year": new.from_year, "to_year": new.to_year}
    row = await session.first(_IN_FORCE, asked)
    return row and obligation_of(row)


async def by_ids(session: ReadSession, keys: Collection[UUID], principal: Principal) -> dict[UUID, Obligation]:
    visible = within(principal, Permission.ASSET_READ, obligation.c.organisation_id)
    rows = await session.rows(select(obligation).where(obligation.c.id.in_(keys), visible))
    return {row.id: obligation_of(row) for row in rows}


async def page(
    session: ReadSession, principal: Principal, request: PageRequest, organisation_id: UUID | None
) -> Page[Obligation]:
    """All that were ever recorded, by last year of the period and time of recording."""
    visible = within(principal, Permission.ASSET_READ, obligation.c.organisation_id)
    statement = select(obligation).where(visible)
    if organisation_id is not None:
        statement = statement.where(obligation.c.organisation_id == organisation_id)
    statement = keyset(statement, request, obligation.c.to_year, obligation.c.id)
    rows = [obligation_of(row) for row in await session.rows(statement)]
    return Page.cut(rows, request, lambda o: (o.to_year, o.id))


async def of_years(
    session: ReadSession, organisation_ids: Sequence[UUID], from_year: int, to_year: int
) -> Sequence[ObligationOf]:
    asked = {"organisations": list(organisation_ids), "first": from_year, "last": to_year}
    return [
        ObligationOf(r.organisation_id, r.from_year, r.to_year, r.tonnes, r.id)
        for r in await session.rows(_OF_YEARS, asked)
    ]

"""Obligations: recorded, superseded, read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Row, select

from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from backend.ledger.domain.obligations import NewObligation, Obligation, ObligationOf
from backend.ledger.tables import obligation
from tenants.access import Permission, Principal, within

_SUPERSEDE: Final = """
UPDATE obligation o SET superseded_at = now(), superseded_by_id = k.successor
FROM unnest(CAST(:ids AS uuid[]), CAST(:successors AS uuid[])) AS k (id, successor)
WHERE o.id = k.id AND o.superseded_at IS NULL
"""
_INSERT: Final = """
INSERT INTO obligation (tenant_id, id, organisation_id, from_year, to_year, tonnes, source, market, superseded_at,
                        superseded_by_id)
SELECT :tenant_id, r.id, r.organisation_id, r.from_year, r.to_year, r.tonnes, r.source, r.market,
       CASE WHEN r.superseded_by_id IS NOT NULL THEN now() END, r.superseded_by_id
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
  AS r (id uuid, organisation_id uuid, from_year integer, to_year integer, tonnes numeric, source text, market text,
        superseded_by_id uuid)
RETURNING *
"""
_IN_FORCE: Final = """
SELECT * FROM obligation
WHERE organisation_id = ANY (CAST(:organisations AS uuid[])) AND superseded_at IS NULL ORDER BY from_year
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


async def record(
    unit: UnitOfWork, new: Mapping[UUID, NewObligation], superseded: Mapping[UUID, UUID]
) -> dict[UUID, Obligation]:
    """Put obligations in force, by id. `superseded`: which (of older ones or of these) makes way for which of these."""
    older = {key: successor for key, successor in superseded.items() if key not in new}
    if older:
        await unit.execute(_SUPERSEDE, {"ids": list(older), "successors": list(older.values())})
    rows = [asdict(n) | {"id": key, "superseded_by_id": superseded.get(key)} for key, n in new.items()]
    given = {"tenant_id": unit.tenant_id, "rows": orjson.dumps(rows, default=str).decode()}
    return {r.id: obligation_of(r) for r in await unit.rows(_INSERT, given)}


async def in_force(session: ReadSession, organisations: Collection[UUID]) -> dict[UUID, list[Obligation]]:
    """Obligations in force of some organisations, by first year."""
    found: dict[UUID, list[Obligation]] = defaultdict(list)
    for row in await session.rows(_IN_FORCE, {"organisations": list(organisations)}):
        found[row.organisation_id].append(obligation_of(row))
    return found


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

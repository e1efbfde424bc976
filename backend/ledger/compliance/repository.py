"""SQL of allocation, carry-over and what is still open of obligations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, Table, and_, func, select
from sqlalchemy.exc import DBAPIError

from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from backend.ledger.compliance.domain import (
    ALLOCATED_ALREADY,
    Allocation,
    CarryOver,
    CarryOverBase,
    NewAllocation,
    Stage,
)
from backend.ledger.compliance.tables import allowance_allocation, carry_over
from backend.ledger.domain.obligations import Obligation
from backend.ledger.repository.obligations import obligation_of
from backend.ledger.rulebook.domain import Rule
from backend.ledger.tables import asset_lot, asset_transfer, obligation
from tenants.access import Permission, Principal, within

_SUBTREE: Final = """
SELECT descendant_id AS id FROM organisation_reach WHERE ancestor_id = :id
UNION SELECT id FROM organisation WHERE id = :id
"""
_ALLOCATED: Final = """
SELECT coalesce(sum(CASE a.stage WHEN 'CLAW_BACK' THEN -a.quantity_t ELSE a.quantity_t END), 0)
FROM allowance_allocation a LEFT JOIN asset_lot o ON o.tenant_id = a.tenant_id AND o.id = a.lot_id
WHERE a.organisation_id = :organisation AND a.market = :market AND a.year = :year AND o.withdrawn_by IS NULL
"""
# Sold is what left for the market, bought what came from it or was issued as bought, in the window and vintages.
_FLOWS: Final = """
SELECT coalesce(sum(l.quantity_t) FILTER (WHERE g.kind = 'MARKET' AND f.organisation_id = :organisation), 0) AS sold,
       coalesce(sum(l.quantity_t) FILTER (WHERE g.organisation_id = :organisation
         AND (f.kind = 'MARKET' OR f.kind = 'ISSUER' AND o.origin <> 'ALLOCATED')), 0) AS bought
FROM asset_transfer t
JOIN asset_leg l ON l.tenant_id = t.tenant_id AND l.transfer_id = t.id
JOIN asset_lot o ON o.tenant_id = l.tenant_id AND o.id = l.lot_id
JOIN asset_account f ON f.tenant_id = l.tenant_id AND f.id = l.from_account_id
JOIN asset_account g ON g.tenant_id = l.tenant_id AND g.id = l.to_account_id
WHERE t.effective_on BETWEEN :window_from AND :window_to AND t.kind <> 'REVERSE'
  AND o.scheme = ANY (CAST(:schemes AS text[])) AND o.vintage BETWEEN :first AND :last
  AND t.purpose <> :claw_back
  AND NOT EXISTS (SELECT FROM asset_transfer r WHERE r.tenant_id = t.tenant_id AND r.reverses_id = t.id)
"""
_HELD_AT: Final = """
SELECT coalesce(sum(CASE WHEN a.id = l.to_account_id THEN l.quantity_t ELSE -l.quantity_t END), 0) AS held
FROM asset_account a
JOIN asset_leg l ON l.tenant_id = a.tenant_id AND a.id IN (l.from_account_id, l.to_account_id)
JOIN asset_transfer t ON t.tenant_id = l.tenant_id AND t.id = l.transfer_id
JOIN asset_lot o ON o.tenant_id = l.tenant_id AND o.id = l.lot_id
WHERE a.organisation_id = :organisation AND t.effective_on <= :window_to
  AND o.scheme = ANY (CAST(:schemes AS text[])) AND o.vintage BETWEEN :first AND :last
"""
_EARLIER: Final = """
SELECT coalesce(sum(quantity_t), 0) FROM carry_over
WHERE organisation_id = :organisation AND market = :market AND year = :year
"""
_NOT_CLEARED: Final = """
SELECT d.to_year FROM obligation d
JOIN unnest(CAST(:years AS int[]), CAST(:days AS date[])) AS k (year, day) ON k.year = d.to_year
WHERE d.organisation_id = :organisation AND d.superseded_at IS NULL AND d.tonnes > coalesce((
  SELECT sum(l.quantity_t) FROM asset_transfer t
  JOIN asset_leg l ON l.tenant_id = t.tenant_id AND l.transfer_id = t.id
  WHERE t.beneficiary_id = d.organisation_id AND t.for_year = d.to_year AND t.kind = 'SURRENDER'
    AND t.effective_on <= k.day
    AND NOT EXISTS (SELECT FROM asset_transfer r WHERE r.tenant_id = t.tenant_id AND r.reverses_id = t.id)), 0)
ORDER BY 1
"""
_STAGES: Final = """
SELECT a.stage, coalesce(t.effective_on, o.issued_on) AS effective_on FROM allowance_allocation a
LEFT JOIN asset_lot o ON o.tenant_id = a.tenant_id AND o.id = a.lot_id
LEFT JOIN asset_transfer t ON t.tenant_id = a.tenant_id AND t.id = a.transfer_id
WHERE a.organisation_id = :organisation AND a.market = :market AND a.year = :year
"""
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('carry ' || :name, 0))"
_ORIGINS: Final = "SELECT id, origin FROM asset_lot WHERE id = ANY (CAST(:lots AS uuid[]))"


def _of(record: Table, column: str, other: Table) -> ColumnElement[bool]:
    return and_(other.c.tenant_id == record.c.tenant_id, other.c.id == record.c[column])


async def subtree(session: ReadSession, organisation_id: UUID) -> list[UUID]:
    """The organisation and all below it today."""
    return [r.id for r in await session.rows(_SUBTREE, {"id": organisation_id})]


async def allocated_t(session: ReadSession, asked: NewAllocation) -> int:
    """What was allocated to the entity for the year, less what was taken back."""
    given = {"organisation": asked.organisation_id, "market": asked.market, "year": asked.year}
    return int(await session.scalar(_ALLOCATED, given))


async def keep_allocation(unit: UnitOfWork, made: Allocation, recorded_by: UUID) -> Allocation:
    """The allocation as recorded. Errors: ALLOCATED_ALREADY."""
    again = ALLOCATED_ALREADY(path=("stage",), stage=made.stage, year=made.year, market=made.market)
    try:
        return replace(made, recorded_at=await _keep(unit, allowance_allocation, made, recorded_by))
    except DBAPIError as error:
        raise translate(error, {"allocated_once": lambda: again}) from error


async def stages(unit: UnitOfWork, new: NewAllocation) -> dict[Stage, date]:
    """The stages that are recorded of a year, and when each took effect; nobody else records one meanwhile."""
    await unit.execute(_LOCK, {"name": f"{unit.tenant_id} {new.organisation_id}"})
    keys = {"organisation": new.organisation_id, "market": new.market, "year": new.year}
    return {Stage(r.stage): r.effective_on for r in await unit.rows(_STAGES, keys)}


async def keep_carry_over(unit: UnitOfWork, made: CarryOver, recorded_by: UUID) -> CarryOver:
    return replace(made, recorded_at=await _keep(unit, carry_over, made, recorded_by))


async def _keep(unit: UnitOfWork, into: Table, made: Any, recorded_by: UUID) -> datetime:
    row = {n: v for n, v in asdict(made).items() if n in into.c and v is not None}
    row |= {"tenant_id": unit.tenant_id, "recorded_by": recorded_by}
    recorded_at: datetime = await unit.scalar(into.insert().values(row).returning(into.c.recorded_at))
    return recorded_at


async def carry_over_base(
    unit: UnitOfWork, organisation_id: UUID, schemes: Sequence[str], rule: Rule, claw_back: str
) -> CarryOverBase:
    """What the rule's window and vintages come to for an organisation, from its books; nobody else counts meanwhile."""
    await unit.execute(_LOCK, {"name": f"{unit.tenant_id} {organisation_id}"})
    asked = {
        "organisation": organisation_id,
        "window_from": rule.window_from,
        "window_to": rule.window_to,
        "schemes": list(schemes),
        "first": rule.first_vintage,
        "last": rule.last_vintage,
    }
    flows = await unit.first(_FLOWS, asked | {"claw_back": claw_back})
    assert flows is not None, "an aggregate has its row"
    held = await unit.scalar(_HELD_AT, {k: v for k, v in asked.items() if k != "window_from"})
    return CarryOverBase(int(flows.sold), int(flows.bought), int(held))


async def not_cleared(session: ReadSession, organisation_id: UUID, years: Mapping[int, date]) -> list[int]:
    """Those of some years whose obligation was not met in full by the day given."""
    asked = {"organisation": organisation_id, "years": list(years), "days": list(years.values())}
    return [r.to_year for r in await session.rows(_NOT_CLEARED, asked)]


async def carried_before(session: ReadSession, organisation_id: UUID, market: str, year: int) -> int:
    keys = {"organisation": organisation_id, "market": market, "year": year}
    return int(await session.scalar(_EARLIER, keys))


async def origins(session: ReadSession, lots: Collection[UUID]) -> set[str]:
    """The origins of some lots."""
    return {r.origin for r in await session.rows(_ORIGINS, {"lots": list(lots)})}


async def page_of_allocations(
    session: ReadSession, principal: Principal, request: PageRequest, organisation_id: UUID | None
) -> Page[Allocation]:
    return await _page(session, _ALLOCATIONS, _allocation, principal, request, organisation_id)


async def page_of_carry_overs(
    session: ReadSession, principal: Principal, request: PageRequest, organisation_id: UUID | None
) -> Page[CarryOver]:
    return await _page(session, _CARRY_OVERS, _carry_over, principal, request, organisation_id)


# When it took effect is said once, by what brought or took the units.
_ALLOCATIONS: Final = (
    select(
        allowance_allocation,
        func.coalesce(asset_transfer.c.effective_on, asset_lot.c.issued_on).label("effective_on"),
        func.coalesce(allowance_allocation.c.transfer_id, asset_lot.c.issued_by).label("moved_by"),
    )
    .outerjoin(asset_lot, _of(allowance_allocation, "lot_id", asset_lot))
    .outerjoin(asset_transfer, _of(allowance_allocation, "transfer_id", asset_transfer))
)
_CARRY_OVERS: Final = select(carry_over, asset_transfer.c.effective_on).join(
    asset_transfer, _of(carry_over, "transfer_id", asset_transfer)
)


def _allocation(row: Row[Any]) -> Allocation:
    fields = {n: getattr(row, n) for n in Allocation.__dataclass_fields__ if n != "remarks"}
    return Allocation(**fields | {"stage": Stage(row.stage)})


def _carry_over(row: Row[Any]) -> CarryOver:
    return CarryOver(**{n: getattr(row, n) for n in CarryOver.__dataclass_fields__})


async def _page(
    session: ReadSession, of: Select[Any], make: Any, principal: Principal, request: PageRequest, owner: UUID | None
) -> Page[Any]:
    """By year and time of recording; of one organisation or of all that may be read."""
    columns = of.selected_columns
    statement = of.where(within(principal, Permission.ASSET_READ, columns.organisation_id))
    if owner is not None:
        statement = statement.where(columns.organisation_id == owner)
    rows = await session.rows(keyset(statement, request, columns.year, columns.id))
    return Page.cut([make(r) for r in rows], request, lambda x: (x.year, x.id))


async def obligations_due(
    session: ReadSession, principal: Principal | None, years: Collection[int], organisation_id: UUID | None
) -> list[Obligation]:
    """Obligations in force whose period ends in one of these years; with a principal, those it may read."""
    statement = select(obligation).where(obligation.c.superseded_at.is_(None), obligation.c.to_year.in_(list(years)))
    if principal is not None:
        statement = statement.where(within(principal, Permission.ASSET_READ, obligation.c.organisation_id))
    if organisation_id is not None:
        statement = statement.where(obligation.c.organisation_id == organisation_id)
    rows = await session.rows(statement.order_by(obligation.c.to_year, obligation.c.organisation_id))
    return [obligation_of(r) for r in rows]

"""SQL of declared results, and what records of either kind are asked by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, func, or_, select

from backend.accounting.domain.records import DeclaredResult, Method, Period, RecordFilter
from backend.accounting.repository.results import overlap_coded
from backend.accounting.repository.sources import below, may_read
from backend.accounting.tables.records import declared_result
from backend.accounting.tables.sources import emission_source
from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from backend.kit.quantity import trimmed
from tenants.access import Principal
from tenants.domain import GwpSet

_DECLARED: Final[Select[Any]] = select(declared_result).select_from(declared_result).join(emission_source)


def _declared(row: Row[Any]) -> DeclaredResult:
    return DeclaredResult(
        id=row.id,
        line_id=row.line_id,
        source_id=row.source_id,
        first_month=row.first_month,
        months=row.months,
        gas=row.gas,
        mass_t=trimmed(row.mass_t),
        method=Method(row.method),
        gwp_set=GwpSet(row.gwp_set),
        gwp=row.gwp,
        gwp_factor_id=row.gwp_factor_id,
        co2e_t=row.co2e_t,
        evidence=row.evidence,
        note=row.note,
        recorded_at=row.recorded_at,
        superseded_at=row.superseded_at,
        superseded_because=row.superseded_because,
    )


async def now(session: ReadSession) -> datetime:
    """The moment of this transaction, by the database's clock: when its records are recorded and superseded."""
    moment: datetime = await session.scalar("SELECT now()")
    return moment


async def insert_declared(unit: UnitOfWork, made: Sequence[DeclaredResult], batch_id: UUID, recorded_by: UUID) -> None:
    """Errors: RESULT_OVERLAPS when another writer was faster."""
    shared = {"tenant_id": unit.tenant_id, "batch_id": batch_id, "recorded_by": recorded_by}
    names = [c.name for c in declared_result.c if c.name not in shared]
    with overlap_coded():
        await unit.execute(declared_result.insert(), [{n: getattr(r, n) for n in names} | shared for r in made])


async def declared(
    session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None
) -> dict[UUID, DeclaredResult]:
    """By id; with a principal, only those of sources it may read."""
    statement = _seen_by(_DECLARED.where(declared_result.c.id.in_(keys)), principal)
    return {row.id: _declared(row) for row in await session.rows(statement)}


def _seen_by(statement: Select[Any], principal: Principal | None) -> Select[Any]:
    return statement if principal is None else statement.where(may_read(principal))


async def versions_of_declared(session: ReadSession, lines: Sequence[UUID]) -> dict[UUID, list[DeclaredResult]]:
    """Every version of each line, oldest first."""
    statement = _DECLARED.where(declared_result.c.line_id.in_(lines)).order_by(declared_result.c.id)
    found: dict[UUID, list[DeclaredResult]] = {}
    for row in await session.rows(statement):
        found.setdefault(row.line_id, []).append(_declared(row))
    return found


async def page_of_declared(
    session: ReadSession, principal: Principal, wanted: RecordFilter, request: PageRequest
) -> Page[DeclaredResult]:
    """In the order they were recorded."""
    of = declared_result.c
    statement = narrowed(_DECLARED, principal, wanted, of.first_month, of.recorded_at, of.superseded_at)
    rows = [_declared(row) for row in await session.rows(keyset(statement, request, of.id))]
    return Page.cut(rows, request, lambda r: (r.id,))


def narrowed(
    statement: Select[Any],
    principal: Principal,
    wanted: RecordFilter,
    month: ColumnElement[Any],
    recorded_at: ColumnElement[Any],
    superseded_at: ColumnElement[Any],
) -> Select[Any]:
    """Only the records that are wanted, of sources the caller may read."""
    statement = statement.where(may_read(principal))
    if wanted.organisation_id is not None:
        statement = statement.where(below(wanted.organisation_id))
    if wanted.source_id is not None:
        statement = statement.where(emission_source.c.id == wanted.source_id)
    if wanted.from_month is not None:
        statement = statement.where(month >= wanted.from_month)
    if wanted.to_month is not None:
        statement = statement.where(month <= wanted.to_month)
    if wanted.known_at is not None:
        gone = or_(superseded_at.is_(None), superseded_at > wanted.known_at)
        statement = statement.where(recorded_at <= wanted.known_at, gone)
    elif not wanted.superseded:
        statement = statement.where(superseded_at.is_(None))
    return statement


async def supersede(unit: UnitOfWork, key: UUID, reason: str) -> bool:
    """Mark the current version of a declared result as superseded now; False when somebody did so before."""
    statement = (
        declared_result.update()
        .where(declared_result.c.id == key, declared_result.c.superseded_at.is_(None))
        .values(superseded_at=func.now(), superseded_because=reason)
    )
    with overlap_coded():
        return await unit.execute(statement) == 1


_OVERLAPPING: Final = """
SELECT w.position, min(r.first_month) AS first_month, max(r.months) AS months, min(r.origin) AS origin
FROM unnest(CAST(:sources AS uuid[]), CAST(:gases AS text[]), CAST(:firsts AS date[]), CAST(:months AS integer[]))
  WITH ORDINALITY AS w (source_id, gas, first_month, months, position)
CROSS JOIN LATERAL (
  SELECT d.first_month, d.months, 'DECLARED' AS origin FROM declared_result d
  WHERE d.source_id = w.source_id AND d.gas = w.gas AND d.superseded_at IS NULL
    AND daterange(d.first_month, (d.first_month + make_interval(months => d.months))::date)
     && daterange(w.first_month, (w.first_month + make_interval(months => w.months))::date)
  {activity}
) r
GROUP BY w.position
"""
_AND_ACTIVITY: Final = """UNION ALL
  SELECT m.month, 1, 'ACTIVITY' FROM stream_month m
  JOIN stream_coefficient c ON c.tenant_id = m.tenant_id AND c.id = m.coefficient_id
    AND c.gases @> jsonb_build_array(jsonb_build_object('gas', w.gas))
  WHERE m.source_id = w.source_id AND m.month >= w.first_month
    AND m.month < w.first_month + make_interval(months => w.months)
"""


async def overlapping(
    session: ReadSession, wanted: Sequence[tuple[UUID, str, Period]], *, only_declared: bool = False
) -> dict[int, str]:
    """Which of these (source, gas, period) already have a result, and for which period; by position.

    `only_declared`: activity may be added to a month that has activity.
    """
    rows = await session.rows(
        _OVERLAPPING.format(activity="" if only_declared else _AND_ACTIVITY),
        {
            "sources": [w[0] for w in wanted],
            "gases": [w[1] for w in wanted],
            "firsts": [w[2].first_month for w in wanted],
            "months": [w[2].months for w in wanted],
        },
    )
    return {r.position - 1: f"{r.origin} {Period(r.first_month, r.months)}" for r in rows}

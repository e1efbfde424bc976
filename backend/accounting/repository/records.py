"""SQL of activity records and declared results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, Table, func, or_, select

from backend.accounting.domain.records import ActivityRecord, DeclaredResult, Method, Period, RecordFilter
from backend.accounting.repository.results import overlap_coded
from backend.accounting.repository.sources import below, may_read
from backend.accounting.tables.records import activity_record, declared_result
from backend.accounting.tables.sources import emission_source, emission_stream
from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from backend.kit.quantity import trimmed
from tenants.access import Principal
from tenants.domain import GwpSet

_ACTIVITY: Final[Select[Any]] = (
    select(activity_record, emission_stream.c.source_id, emission_stream.c.unit)
    .select_from(activity_record)
    .join(emission_stream)
    .join(emission_source)
)
_DECLARED: Final[Select[Any]] = select(declared_result).select_from(declared_result).join(emission_source)


def _activity(row: Row[Any]) -> ActivityRecord:
    return ActivityRecord(
        id=row.id,
        line_id=row.line_id,
        stream_id=row.stream_id,
        source_id=row.source_id,
        month=row.month,
        quantity=trimmed(row.quantity),
        unit=row.unit,
        entered_quantity=row.entered_quantity,
        entered_unit=row.entered_unit,
        evidence=row.evidence,
        note=row.note,
        recorded_at=row.recorded_at,
        superseded_at=row.superseded_at,
        superseded_because=row.superseded_because,
    )


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


async def insert_activity(unit: UnitOfWork, made: Sequence[ActivityRecord], batch_id: UUID, recorded_by: UUID) -> None:
    await _insert(unit, activity_record, made, {"batch_id": batch_id, "recorded_by": recorded_by})


async def insert_declared(unit: UnitOfWork, made: Sequence[DeclaredResult], batch_id: UUID, recorded_by: UUID) -> None:
    with overlap_coded():
        await _insert(unit, declared_result, made, {"batch_id": batch_id, "recorded_by": recorded_by})


async def _insert(unit: UnitOfWork, table: Table, made: Sequence[Any], shared: dict[str, Any]) -> None:
    names = [c.name for c in table.c if c.name not in {"tenant_id", *shared}]
    rows = [{n: getattr(record, n) for n in names} | shared | {"tenant_id": unit.tenant_id} for record in made]
    await unit.execute(table.insert(), rows)


async def activity(
    session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None
) -> dict[UUID, ActivityRecord]:
    """By id; with a principal, only those of sources it may read."""
    statement = _seen_by(_ACTIVITY.where(activity_record.c.id.in_(keys)), principal)
    return {row.id: _activity(row) for row in await session.rows(statement)}


async def declared(
    session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None
) -> dict[UUID, DeclaredResult]:
    """By id; with a principal, only those of sources it may read."""
    statement = _seen_by(_DECLARED.where(declared_result.c.id.in_(keys)), principal)
    return {row.id: _declared(row) for row in await session.rows(statement)}


def _seen_by(statement: Select[Any], principal: Principal | None) -> Select[Any]:
    return statement if principal is None else statement.where(may_read(principal))


async def versions_of_activity(session: ReadSession, lines: Sequence[UUID]) -> dict[UUID, list[ActivityRecord]]:
    """Every version of each line, oldest first."""
    statement = _ACTIVITY.where(activity_record.c.line_id.in_(lines)).order_by(activity_record.c.id)
    found: dict[UUID, list[ActivityRecord]] = {}
    for row in await session.rows(statement):
        found.setdefault(row.line_id, []).append(_activity(row))
    return found


async def versions_of_declared(session: ReadSession, lines: Sequence[UUID]) -> dict[UUID, list[DeclaredResult]]:
    """Every version of each line, oldest first."""
    statement = _DECLARED.where(declared_result.c.line_id.in_(lines)).order_by(declared_result.c.id)
    found: dict[UUID, list[DeclaredResult]] = {}
    for row in await session.rows(statement):
        found.setdefault(row.line_id, []).append(_declared(row))
    return found


async def page_of_activity(
    session: ReadSession, principal: Principal, wanted: RecordFilter, request: PageRequest
) -> Page[ActivityRecord]:
    """In the order they were recorded."""
    statement = _narrowed(_ACTIVITY, activity_record, activity_record.c.month, principal, wanted, request)
    rows = [_activity(row) for row in await session.rows(statement)]
    return Page.cut(rows, request, lambda r: (r.id,))


async def page_of_declared(
    session: ReadSession, principal: Principal, wanted: RecordFilter, request: PageRequest
) -> Page[DeclaredResult]:
    """In the order they were recorded."""
    statement = _narrowed(_DECLARED, declared_result, declared_result.c.first_month, principal, wanted, request)
    rows = [_declared(row) for row in await session.rows(statement)]
    return Page.cut(rows, request, lambda r: (r.id,))


def _narrowed(
    statement: Select[Any],
    records: Table,
    month: Any,
    principal: Principal,
    wanted: RecordFilter,
    request: PageRequest,
) -> Select[Any]:
    statement = statement.where(may_read(principal))
    if wanted.organisation_id is not None:
        statement = statement.where(below(wanted.organisation_id))
    if wanted.source_id is not None:
        statement = statement.where(emission_source.c.id == wanted.source_id)
    if wanted.from_month is not None:
        statement = statement.where(month >= wanted.from_month)
    if wanted.to_month is not None:
        statement = statement.where(month <= wanted.to_month)
    superseded_at = records.c.superseded_at
    if wanted.known_at is not None:
        gone = or_(superseded_at.is_(None), superseded_at > wanted.known_at)
        statement = statement.where(records.c.recorded_at <= wanted.known_at, gone)
    elif not wanted.superseded:
        statement = statement.where(superseded_at.is_(None))
    return keyset(statement, request, records.c.id)


async def supersede(unit: UnitOfWork, kind: type[ActivityRecord | DeclaredResult], key: UUID, reason: str) -> bool:
    """Mark the current version as superseded now; False when somebody did so before."""
    table = activity_record if kind is ActivityRecord else declared_result
    statement = (
        table.update()
        .where(table.c.id == key, table.c.superseded_at.is_(None))
        .values(superseded_at=func.now(), superseded_because=reason)
    )
    return await unit.execute(statement) == 1


async def overlapping(
    session: ReadSession, wanted: Sequence[tuple[UUID, str, Period]], *, ignoring: str | None = None
) -> dict[int, str]:
    """Which of these (source, gas, period) already have a result, and for which period; by position.

    `ignoring` an origin: activity may be added to a month that has activity.
    """
    rows = await session.rows(
        """
        SELECT w.position, min(r.first_month) AS first_month, max(r.months) AS months, min(r.origin) AS origin
        FROM unnest(CAST(:sources AS uuid[]), CAST(:gases AS text[]), CAST(:firsts AS date[]),
                    CAST(:months AS integer[])) WITH ORDINALITY AS w (source_id, gas, first_month, months, position)
        JOIN source_month r ON r.source_id = w.source_id AND r.gas = w.gas
          AND daterange(r.first_month, (r.first_month + make_interval(months => r.months))::date)
           && daterange(w.first_month, (w.first_month + make_interval(months => w.months))::date)
        WHERE r.origin IS DISTINCT FROM :ignoring
        GROUP BY w.position
        """,
        {
            "sources": [w[0] for w in wanted],
            "gases": [w[1] for w in wanted],
            "firsts": [w[2].first_month for w in wanted],
            "months": [w[2].months for w in wanted],
            "ignoring": ignoring,
        },
    )
    return {r.position - 1: f"{r.origin} {Period(r.first_month, r.months)}" for r in rows}

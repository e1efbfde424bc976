"""SQL of monitoring plans, instruments and readings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, Table, select
from sqlalchemy.exc import DBAPIError

from backend.accounting.domain.monitored import READING_TAKEN, Calibration, Covered, ParameterReading, Reading, Watched
from backend.accounting.domain.monitoring import (
    MAKER_IS_CHECKER,
    PLAN_ALREADY_OPEN,
    Direction,
    Frequency,
    Instrument,
    MonitoringPlan,
    ParameterKind,
    PlanParameter,
    PlanState,
)
from backend.accounting.domain.plan_templates import StreamThere
from backend.accounting.repository.units import at_or_below
from backend.accounting.tables.monitoring import (
    calibration,
    instrument,
    monitoring_plan,
    parameter_reading,
    plan_parameter,
)
from backend.kit.clock import REPORTING_ZONE
from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from tenants.access import Permission, Principal, within


def _made(into: Any, row: Row[Any], /, **extra: Any) -> Any:
    return into(**{n: getattr(row, n) for n in into.__dataclass_fields__ if n not in extra} | extra)


def _plan(row: Row[Any]) -> MonitoringPlan:
    return _made(MonitoringPlan, row, state=PlanState(row.state))  # type: ignore[no-any-return]


def _parameter(row: Row[Any]) -> PlanParameter:
    kinds = {"kind": ParameterKind(row.kind), "direction": Direction(row.direction)}
    return _made(PlanParameter, row, frequency=Frequency(row.frequency), **kinds)  # type: ignore[no-any-return]


_READ: Final[dict[str, tuple[Table, Any]]] = {
    "plan": (monitoring_plan, _plan),
    "parameter": (plan_parameter, _parameter),
    "instrument": (instrument, lambda row: _made(Instrument, row)),
    "calibration": (calibration, lambda row: _made(Calibration, row)),
    "reading": (parameter_reading, lambda row: _made(ParameterReading, row)),
}


def _seen(of: Table, principal: Principal | None) -> Select[Any]:
    if principal is None:
        return select(of)
    return select(of).where(within(principal, Permission.EMISSION_READ, of.c.organisation_id))


async def by_ids(
    session: ReadSession, kind: str, keys: Sequence[UUID], principal: Principal | None = None
) -> dict[UUID, Any]:
    """Of one kind, by id; with a principal, only those it may read."""
    of, make = _READ[kind]
    return {r.id: make(r) for r in await session.rows(_seen(of, principal).where(of.c.id.in_(keys)))}


async def page_of(
    session: ReadSession, kind: str, principal: Principal, request: PageRequest, **where: UUID | None
) -> Page[Any]:
    """Of one kind, oldest first; `organisation_id` means that organisation and all below it."""
    of, make = _READ[kind]
    statement = _seen(of, principal)
    for name, value in where.items():
        if value is not None:
            column = of.c[name]
            statement = statement.where(at_or_below(value, column) if name == "organisation_id" else column == value)
    rows = await session.rows(keyset(statement, request, of.c.id))
    return Page.cut([make(r) for r in rows], request, lambda r: (r.id,))


async def insert(unit: UnitOfWork, kind: str, made: Sequence[Any], **same: Any) -> None:
    """In one statement, so that parameters may name each other. Errors: PLAN_ALREADY_OPEN, READING_TAKEN."""
    of, _ = _READ[kind]
    names = {c.name for c in of.c}
    rows = [
        {"tenant_id": unit.tenant_id, **same}
        | {n: v for n, v in asdict(row).items() if n in names and not (n == "recorded_at" and v is None)}
        for row in made
    ]
    try:
        await unit.execute(of.insert().values(rows))
    except DBAPIError as error:
        raise translate(
            error,
            {
                "one_plan_in_the_making": lambda: PLAN_ALREADY_OPEN(version="?"),
                "parameter_reading_current": lambda: READING_TAKEN(path=("rows",), code="?", day="?", batch="?"),
            },
        ) from error


async def plans_of(unit: ReadSession, organisation_id: UUID) -> list[MonitoringPlan]:
    """All versions, oldest first."""
    rows = await unit.rows(
        select(monitoring_plan)
        .where(monitoring_plan.c.organisation_id == organisation_id)
        .order_by(monitoring_plan.c.version)
    )
    return [_plan(r) for r in rows]


async def parameters_of(session: ReadSession, plan_ids: Sequence[UUID]) -> list[PlanParameter]:
    """The parameters of plans, by code."""
    rows = await session.rows(
        select(plan_parameter).where(plan_parameter.c.plan_id.in_(plan_ids)).order_by(plan_parameter.c.code)
    )
    return [_parameter(r) for r in rows]


async def instruments_of(session: ReadSession, organisation_id: UUID) -> list[Instrument]:
    rows = await session.rows(select(instrument).where(instrument.c.organisation_id == organisation_id))
    return [_made(Instrument, r) for r in rows]


async def streams_at(session: ReadSession, organisation_id: UUID) -> dict[UUID, str]:
    """The streams of the sources of an organisation: id and a readable name."""
    rows = await session.rows(
        """
        SELECT t.id, s.code || '/' || t.code AS name FROM emission_stream t
        JOIN emission_source s ON s.tenant_id = t.tenant_id AND s.id = t.source_id
        WHERE s.organisation_id = :at ORDER BY name
        """,
        {"at": organisation_id},
    )
    return {r.id: r.name for r in rows}


async def streams_by_code(session: ReadSession, organisation_id: UUID) -> dict[str, StreamThere]:
    """The streams of an organisation by the codes of source and stream: `CLINKER.STATIONARY/COAL`."""
    rows = await session.rows(
        """
        SELECT s.code || '/' || t.code AS name, t.id, t.unit FROM emission_stream t
        JOIN emission_source s ON s.tenant_id = t.tenant_id AND s.id = t.source_id
        WHERE s.organisation_id = :at
        """,
        {"at": organisation_id},
    )
    return {r.name: StreamThere(r.id, r.unit) for r in rows}


async def remove_parameters(unit: UnitOfWork, plan_id: UUID, codes: Sequence[str]) -> int:
    return await unit.execute(
        "DELETE FROM plan_parameter WHERE plan_id = :plan AND code = ANY (:codes)",
        {"plan": plan_id, "codes": list(codes)},
    )


async def move(unit: UnitOfWork, plan: MonitoringPlan) -> None:
    """Keep the state of a plan. Errors: MAKER_IS_CHECKER."""
    names = ("id", "ends_on", "submitted_by", "submitted_at", "approved_by", "approved_at")
    values = {n: getattr(plan, n) for n in names} | {"state": plan.state.value}
    try:
        await unit.execute(
            """
            UPDATE monitoring_plan SET state = :state, ends_on = :ends_on, submitted_by = :submitted_by,
              submitted_at = :submitted_at, approved_by = :approved_by, approved_at = :approved_at WHERE id = :id
            """,
            values,
        )
    except DBAPIError as error:
        raise translate(error, {"maker_is_not_checker": lambda: MAKER_IS_CHECKER(path=("planId",))}) from error


async def taken(session: ReadSession, organisation_ids: Sequence[UUID], days: Sequence[date]) -> set[tuple[Any, ...]]:
    """Organisation, code, day and batch of current readings."""
    r = parameter_reading.c
    rows = await session.rows(
        select(r.organisation_id, r.code, r.day, r.batch).where(
            r.organisation_id.in_(organisation_ids), r.day.in_(days), r.superseded_at.is_(None)
        )
    )
    return {tuple(row) for row in rows}


async def supersede(unit: UnitOfWork, key: UUID, because: str) -> bool:
    """False when somebody did so before."""
    done = await unit.execute(
        "UPDATE parameter_reading SET superseded_at = clock_timestamp(), superseded_because = :because "
        "WHERE id = :id AND superseded_at IS NULL",
        {"id": key, "because": because},
    )
    return bool(done)


_OF_STREAMS: Final = """
SELECT p.stream_id, p.month + (u.day - 1) AS day, u.quantity AS value, b.recorded_at
FROM activity_pack p JOIN activity_batch b ON b.tenant_id = p.tenant_id AND b.id = p.batch_id
CROSS JOIN unnest(p.days, p.quantities) WITH ORDINALITY AS u (day, quantity, n)
WHERE p.stream_id = ANY (:streams) AND p.month BETWEEN :first AND :last
  AND NOT EXISTS (SELECT FROM activity_withdrawal w WHERE w.tenant_id = p.tenant_id AND w.batch_id = p.batch_id
                  AND w.line = p.first_line + u.n - 1)
ORDER BY day
"""
_OF_PARAMETERS: Final = """
SELECT code, day, value, weight, recorded_at FROM parameter_reading
WHERE organisation_id = :at AND day BETWEEN :first AND :last AND superseded_at IS NULL ORDER BY day, batch
"""


def _reading(row: Row[Any], weight: Decimal | None) -> Reading:
    return Reading(row.day, row.value, row.recorded_at.astimezone(REPORTING_ZONE).date(), weight)


async def covered(session: ReadSession, instrument_ids: Sequence[UUID]) -> dict[UUID, list[Covered]]:
    """The calibrations of each instrument."""
    found: dict[UUID, list[Covered]] = {}
    for c in await session.rows(select(calibration).where(calibration.c.instrument_id.in_(instrument_ids))):
        found.setdefault(c.instrument_id, []).append(Covered(c.done_on, c.valid_until, c.actual_error))
    return found


async def watched(session: ReadSession, organisation_id: UUID, first: date, last: date) -> list[Watched]:
    """Every parameter of the plans in force in this time, with what was read in the years it touches."""
    in_force = {p.id: p for p in await plans_of(session, organisation_id) if p.approved_by is not None}
    parameters = await parameters_of(session, list(in_force))
    span = {"first": first.replace(month=1, day=1), "last": last.replace(month=12, day=31)}
    streams: dict[UUID, list[Reading]] = {}
    wanted = [p.stream_id for p in parameters if p.stream_id]
    for row in await session.rows(_OF_STREAMS, {"streams": wanted, **span}):
        streams.setdefault(row.stream_id, []).append(_reading(row, None))
    codes: dict[str, list[Reading]] = {}
    for row in await session.rows(_OF_PARAMETERS, {"at": organisation_id, **span}):
        codes.setdefault(row.code, []).append(_reading(row, row.weight))
    required = {i.id: i.required_error for i in await instruments_of(session, organisation_id)}
    calibrations = await covered(session, list(required))
    return [
        Watched(
            p,
            in_force[p.plan_id].starts_on,
            in_force[p.plan_id].ends_on,
            tuple(streams.get(p.stream_id, []) if p.stream_id else codes.get(p.code, [])),
            required.get(p.instrument_id) if p.instrument_id else None,
            tuple(calibrations.get(p.instrument_id, []) if p.instrument_id else []),
        )
        for p in parameters
    ]

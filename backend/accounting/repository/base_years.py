"""SQL of base years: the value with its lines and history, and what the records of the year say today."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select

from backend.accounting.domain.base_years import (
    BaseLine,
    BaseYear,
    BaseYearValue,
    Comparison,
    Part,
    Recalculation,
    RecalculationState,
    RecalculationTrigger,
)
from backend.accounting.domain.explain import Frame
from backend.accounting.domain.sources import Category
from backend.accounting.repository.kept import Kept
from backend.accounting.tables.base_years import base_year, base_year_line, base_year_recalculation, base_year_value
from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.quantity import trimmed
from tenants.domain import ConsolidationApproach

BASE_YEARS: Final = Kept(
    base_year,
    BaseYear,
    {
        "approach": ConsolidationApproach,
        "categories": lambda names: tuple(Category(n) for n in names),
        "triggers": lambda names: tuple(RecalculationTrigger(n) for n in names),
    },
)
RECALCULATIONS: Final = Kept(
    base_year_recalculation,
    Recalculation,
    {"trigger": RecalculationTrigger, "state": RecalculationState, "effect_t": trimmed, "base_t": trimmed},
)
_LINE: Final = tuple(BaseLine.__dataclass_fields__)

_LIVE: Final = """
SELECT m.organisation_id, m.source_id, m.stream_id, NULL::uuid AS declared_line_id, m.month AS first_month, m.quantity,
       m.coefficient_id, m.co2e_t, 0::numeric AS part
FROM stream_month m
WHERE m.organisation_id = ANY (:organisations) AND m.category = ANY (:categories)
  AND m.month >= make_date(:year, 1, 1) AND m.month < make_date(:year + 1, 1, 1)
UNION ALL
SELECT o.organisation_id, o.id, NULL, d.line_id, d.first_month, NULL, NULL, d.co2e_t, 0
FROM declared_result d JOIN emission_source o ON o.tenant_id = d.tenant_id AND o.id = d.source_id
WHERE o.organisation_id = ANY (:organisations) AND o.category = ANY (:categories) AND d.superseded_at IS NULL
  AND d.gas <> 'CO2_BIOGENIC'
  AND d.first_month >= make_date(:year, 1, 1) AND d.first_month < make_date(:year + 1, 1, 1)
"""
_PARTS: Final = """
SELECT c.descendant_id AS id, u.ancestor_id AS parent_id,
       CASE :approach WHEN 'EQUITY_SHARE' THEN c.equity_share
                      WHEN 'FINANCIAL_CONTROL' THEN c.financial_control::integer
                      ELSE c.operational_control::integer END AS part
FROM organisation_closure c
LEFT JOIN organisation_closure u ON u.tenant_id = c.tenant_id AND u.descendant_id = c.descendant_id AND u.depth = 1
  AND u.valid @> CAST(:day AS date)
WHERE c.ancestor_id = :root AND c.valid @> CAST(:day AS date)
"""


async def parts(session: ReadSession, frame: Frame, today: date, others: Sequence[UUID]) -> dict[UUID, Part]:
    """How every organisation of the group counts, on the last day of the year and today; `others` too, if by 0."""
    given = {"root": frame.root_id, "approach": frame.approach.value}
    then = {r.id: r for r in await session.rows(_PARTS, given | {"day": frame.day})}
    now = {r.id: r for r in await session.rows(_PARTS, given | {"day": max(today, frame.day)})}
    closed = await session.rows("SELECT id FROM organisation WHERE left_because = 'CLOSED'")
    gone = {r.id for r in closed}
    found = {}
    for key in {*then, *now, *others}:
        old, new = then.get(key), now.get(key)
        found[key] = Part(
            then=trimmed(old.part) if old else Part().then,
            now=trimmed(new.part) if new else Part().now,
            parent_then=old.parent_id if old else None,
            parent_now=new.parent_id if new else None,
            closed=key in gone and new is None,
        )
    return found


async def live(session: ReadSession, frame: Frame, organisations: Sequence[UUID]) -> list[BaseLine]:
    """What the records say today; of each line all of it (`part` 0 is not said yet)."""
    given = {
        "organisations": list(organisations),
        "categories": [c.value for c in frame.categories],
        "year": frame.year,
    }
    return [_line(r) for r in await session.rows(_LIVE, given)]


def _line(row: Any) -> BaseLine:
    given = {name: getattr(row, name) for name in _LINE}
    quantity = None if row.quantity is None else trimmed(row.quantity)
    return BaseLine(**given | {"quantity": quantity, "part": trimmed(row.part)})


async def compared(session: ReadSession, of: BaseYear, version: int, today: date) -> Comparison:
    """The lines of a version beside what the records of the year say today."""
    frame = Frame(of.organisation_id, of.year, of.approach, of.categories)
    lines = await lines_of(session, of.id, version)
    counted = await parts(session, frame, today, [x.organisation_id for x in lines])
    known = await live(session, frame, list(counted))
    coefficients = {x.coefficient_id for x in (*lines, *known) if x.coefficient_id}
    rows = await session.rows(
        "SELECT id, co2e_per_unit FROM stream_coefficient WHERE id = ANY (:keys)", {"keys": list(coefficients)}
    )
    return Comparison(lines, known, {r.id: r.co2e_per_unit for r in rows}, counted)


async def lines_of(session: ReadSession, key: UUID, version: int) -> list[BaseLine]:
    of = base_year_line.c
    statement = select(base_year_line).where(of.base_year_id == key, of.version == version).order_by(of.n)
    return [_line(r) for r in await session.rows(statement)]


async def keep_value(unit: UnitOfWork, made: BaseYearValue, lines: Sequence[BaseLine], member: UUID) -> None:
    """A version of the value, and what it is made of."""
    names = BaseYearValue.__dataclass_fields__
    row = {n: getattr(made, n) for n in names} | {"tenant_id": unit.tenant_id, "made_by": member}
    await unit.execute(base_year_value.insert(), row)
    place = {"tenant_id": unit.tenant_id, "base_year_id": made.base_year_id, "version": made.version}
    ordered = sorted(lines, key=lambda x: (x.organisation_id, x.source_id, x.first_month, str(x.slot)))
    rows = [place | {"n": n} | {name: getattr(x, name) for name in _LINE} for n, x in enumerate(ordered, start=1)]
    if rows:
        await unit.execute(base_year_line.insert(), rows)


async def pending(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, Decimal]:
    """What the open proposals about each base year come to together (tCO2e)."""
    rows = await session.rows(
        "SELECT base_year_id, sum(effect_t) AS effect_t FROM base_year_recalculation "
        "WHERE base_year_id = ANY (:keys) AND state = 'PROPOSED' GROUP BY base_year_id",
        {"keys": list(keys)},
    )
    return {r.base_year_id: trimmed(r.effect_t) for r in rows}


async def values(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, list[BaseYearValue]]:
    """The history of each value, the first version first."""
    of = base_year_value.c
    found: dict[UUID, list[BaseYearValue]] = {}
    for r in await session.rows(select(base_year_value).where(of.base_year_id.in_(keys)).order_by(of.version)):
        value = BaseYearValue(r.base_year_id, r.version, trimmed(r.co2e_t), r.recalculation_id, r.made_at)
        found.setdefault(r.base_year_id, []).append(value)
    return found

"""SQL of the factor library and of the coefficients derived from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, func, or_, select, text

from backend.accounting.domain.coefficients import Coefficient, Step, StepKind
from backend.accounting.domain.factors import (
    Factor,
    FactorFilter,
    FactorSet,
    Library,
    Parameter,
    Provenance,
    Purpose,
    Region,
)
from backend.accounting.tables.library import factor, factor_region, factor_set
from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.ids import uuid7
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest

_FACTOR: Final[Select[Any]] = select(factor)
_IN_USE: Final = factor.c.superseded_at.is_(None)


def _factor(row: Row[Any]) -> Factor:
    return Factor(
        id=row.id,
        set_code=row.set_code,
        code=row.code,
        name_zh=row.name_zh,
        name_en=row.name_en,
        parameter=Parameter(row.parameter),
        value=row.value,
        unit=row.unit,
        region=row.region,
        year=row.year,
        first_year=row.first_year,
        last_year=row.last_year,
        provenance=Provenance(row.provenance),
        basis=row.basis,
        source=row.source,
    )


async def sets(session: ReadSession) -> list[FactorSet]:
    found = await session.rows(select(factor_set).order_by(factor_set.c.code))
    return [FactorSet(r.code, Purpose(r.purpose), r.by_default, r.name_zh, r.name_en) for r in found]


async def regions(session: ReadSession) -> list[Region]:
    found = await session.rows(select(factor_region).order_by(factor_region.c.code))
    return [Region(r.code, r.name_zh, r.name_en) for r in found]


async def library(session: ReadSession) -> Library:
    """Every value in use: a few hundred rows."""
    values = [_factor(r) for r in await session.rows(_FACTOR.where(_IN_USE))]
    return Library(await sets(session), await regions(session), values)


async def factors(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, Factor]:
    """By id, superseded ones too: results go on naming them."""
    return {r.id: _factor(r) for r in await session.rows(_FACTOR.where(factor.c.id.in_(keys)))}


async def page_of_factors(session: ReadSession, wanted: FactorFilter, request: PageRequest) -> Page[Factor]:
    """Values in use, by set, code and id."""
    statement = _FACTOR.where(_IN_USE)
    for column, value in (
        (factor.c.code, wanted.code),
        (factor.c.parameter, wanted.parameter and wanted.parameter.value),
        (factor.c.set_code, wanted.set_code),
        (factor.c.region, wanted.region),
        (factor.c.year, wanted.year),
        (factor.c.provenance, wanted.provenance and wanted.provenance.value),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if wanted.text:
        searched = (factor.c.code, factor.c.name_zh, factor.c.name_en)
        statement = statement.where(or_(*(func.strpos(func.folded(c), func.folded(wanted.text)) > 0 for c in searched)))
    statement = keyset(statement, request, factor.c.set_code, factor.c.code, factor.c.id)
    rows = [_factor(r) for r in await session.rows(statement)]
    return Page.cut(rows, request, lambda f: (f.set_code, f.code, f.id))


def as_coefficient(row: Row[Any]) -> Coefficient:
    """From a row with co2e_per_unit, unit, gas and steps."""
    steps = tuple(
        Step(StepKind(s["kind"]), s["written"], s["unit"], UUID(s["factor_id"]) if s["factor_id"] else None)
        for s in row.steps
    )
    return Coefficient(row.co2e_per_unit, row.unit, row.gas, steps)


_KEPT: Final = text(
    """
    SELECT w.stream_id, w.year, c.co2e_per_unit, c.unit, c.steps, t.gas
    FROM unnest(CAST(:streams AS uuid[]), CAST(:years AS integer[])) AS w (stream_id, year)
    JOIN emission_stream t ON t.id = w.stream_id
    JOIN stream_coefficient c ON c.tenant_id = t.tenant_id AND c.stream_id = w.stream_id AND c.superseded_at IS NULL
      AND c.chosen AND make_date(w.year, 1, 1) BETWEEN c.first_month AND c.last_month
    """
)


async def coefficients(session: ReadSession, wanted: Sequence[tuple[UUID, int]]) -> dict[tuple[UUID, int], Coefficient]:
    """What has been derived for these streams and years."""
    rows = await session.rows(_KEPT, {"streams": [w[0] for w in wanted], "years": [w[1] for w in wanted]})
    return {(r.stream_id, r.year): as_coefficient(r) for r in rows}


async def insert_coefficients(unit: UnitOfWork, made: Mapping[tuple[UUID, int], Coefficient]) -> None:
    """Keep them; where another writer was faster, the earlier one stays (it is derived by the same rule)."""
    rows = [
        {
            "tenant_id": str(unit.tenant_id),
            "id": str(uuid7()),
            "stream_id": str(stream_id),
            "first_month": f"{year}-01-01",
            "last_month": f"{year}-12-01",
            "value": str(c.value),
            "unit": c.unit,
            "gases": [{"gas": c.gas, "value": str(c.value), "gwp": "1"}],
            "steps": [
                {
                    "kind": s.kind.value,
                    "written": s.written,
                    "unit": s.unit,
                    "factor_id": str(s.factor_id) if s.factor_id else None,
                }
                for s in c.steps
            ],
        }
        for (stream_id, year), c in made.items()
    ]
    await unit.execute(
        """
        INSERT INTO stream_coefficient (tenant_id, id, stream_id, method, first_month, last_month, co2e_per_unit, unit,
                                        gases, gwp_set, steps, chosen)
        SELECT tenant_id, id, stream_id, 'FACTOR', first_month, last_month, value, unit, gases, 'AR5', steps, true
        FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
          tenant_id uuid, id uuid, stream_id uuid, first_month date, last_month date, value numeric, unit text,
          gases jsonb, steps jsonb)
        ORDER BY stream_id, first_month
        ON CONFLICT DO NOTHING
        """,
        {"rows": json.dumps(rows)},
    )

"""SQL of the factor library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, func, or_, select

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
from backend.kit.database import ReadSession
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

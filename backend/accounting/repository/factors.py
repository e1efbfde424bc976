"""SQL of the factor library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, func, or_, select, text

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
from backend.accounting.repository import own_sets as own_rows
from backend.accounting.tables.library import factor, factor_region, factor_set
from backend.kit.database import ReadSession
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from tenants.access import Principal

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
        technology=row.technology,
    )


async def sets(session: ReadSession) -> list[FactorSet]:
    found = await session.rows(select(factor_set).order_by(factor_set.c.code))
    return [FactorSet(r.code, Purpose(r.purpose), r.by_default, r.name_zh, r.name_en) for r in found]


async def regions(session: ReadSession) -> list[Region]:
    found = await session.rows(select(factor_region).order_by(factor_region.c.code))
    return [Region(r.code, r.name_zh, r.name_en, r.within) for r in found]


async def library(session: ReadSession) -> Library:
    """Every value in use: a few hundred rows, and those of the tenant's own sets that are approved."""
    values = [_factor(r) for r in await session.rows(_FACTOR.where(_IN_USE))]
    own_sets, own_values = await own_rows.in_use(session)
    return Library(await sets(session) + own_sets, await regions(session), values + own_values)


async def factors(session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None) -> dict[UUID, Factor]:
    """By id, superseded ones too: results go on naming them. Of own sets those the principal may read."""
    found = {r.id: _factor(r) for r in await session.rows(_FACTOR.where(factor.c.id.in_(keys)))}
    own = [key for key in keys if key not in found]
    return found | (await own_rows.values(session, own, principal) if own else {})


_AROUND: Final = """
WITH RECURSIVE around AS (
  SELECT code, within FROM factor_region WHERE code = :region
  UNION SELECT r.code, r.within FROM factor_region r JOIN around a ON r.code = a.within)
SELECT code FROM around
"""


def _narrowed(wanted: FactorFilter) -> list[ColumnElement[bool]]:
    """What is more than one column's equality."""
    narrowed: list[ColumnElement[bool]] = []
    if wanted.region is not None:
        around = text(_AROUND).bindparams(region=wanted.region).columns(factor_region.c.code)
        with_around = factor.c.region.in_(select(around.subquery().c.code))
        narrowed.append(with_around if wanted.with_regions_around else factor.c.region == wanted.region)
    if wanted.purpose is not None:
        fitting = select(factor_set.c.code).where(factor_set.c.purpose == wanted.purpose.value)
        narrowed.append(factor.c.set_code.in_(fitting))
    if wanted.holds_in is not None:
        first, last = factor.c.first_year, factor.c.last_year
        narrowed.append(or_(first.is_(None), first <= wanted.holds_in))
        narrowed.append(or_(last.is_(None), last >= wanted.holds_in))
    return narrowed


async def page_of_factors(session: ReadSession, wanted: FactorFilter, request: PageRequest) -> Page[Factor]:
    """Values in use, by set, code and id."""
    statement = _FACTOR.where(_IN_USE, *_narrowed(wanted))
    for column, value in (
        (factor.c.code, wanted.code),
        (factor.c.parameter, wanted.parameter and wanted.parameter.value),
        (factor.c.set_code, wanted.set_code),
        (factor.c.year, wanted.year),
        (factor.c.technology, wanted.technology),
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

"""SQL of the tenant's own factor sets, their versions and values."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, or_, select
from sqlalchemy.exc import DBAPIError

from backend.accounting.domain.factors import Factor, FactorSet, Parameter, Provenance, Purpose
from backend.accounting.domain.own_sets import (
    APPROVED_BY_ITS_MAKER,
    FACTOR_KEY_TAKEN,
    IN_THE_MAKING,
    SET_CODE_TAKEN,
    VERSION_IN_THE_MAKING,
    OwnSet,
    SetState,
    SetVersion,
)
from backend.accounting.tables.own_sets import tenant_factor, tenant_factor_set, tenant_factor_version
from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from tenants.access import Permission, Principal, along

_S, _V, _F = tenant_factor_set.c, tenant_factor_version.c, tenant_factor.c
_OF_SET: Final = and_(_F.tenant_id == _S.tenant_id, _F.set_id == _S.id)
_FACTOR: Final[Select[Any]] = select(tenant_factor, _S.code.label("set_code")).join(tenant_factor_set, _OF_SET)
_FIELDS: Final = ("id", "code", "name_zh", "name_en", "value", "unit", "region", "year", "first_year", "last_year",
                  "basis", "source", "technology", "set_id", "from_version", "until_version", "entered")  # fmt: skip


def _set(row: Row[Any]) -> OwnSet:
    return OwnSet(row.id, row.organisation_id, row.code, row.name_zh, row.name_en, Purpose(row.purpose), row.created_by)


def _version(row: Row[Any]) -> SetVersion:
    values = {name: getattr(row, name) for name in SetVersion.__dataclass_fields__}
    return SetVersion(**values | {"state": SetState(row.state)})


def _factor(row: Row[Any], set_code: str) -> Factor:
    return Factor(
        **{name: getattr(row, name) for name in _FIELDS},
        set_code=set_code,
        parameter=Parameter(row.parameter),
        provenance=Provenance(row.provenance),
    )


def _may_read(principal: Principal | None) -> list[ColumnElement[bool]]:
    """A set serves all below its organisation: who reads emissions there reads it, as who reads above does."""
    return [] if principal is None else [along(principal, Permission.EMISSION_READ, _S.organisation_id)]


async def insert_set(unit: UnitOfWork, made: OwnSet) -> None:
    """Errors: FACTOR_SET_CODE_TAKEN."""
    row = {name: getattr(made, name) for name in OwnSet.__dataclass_fields__}
    try:
        await unit.execute(
            tenant_factor_set.insert(), row | {"tenant_id": unit.tenant_id, "purpose": made.purpose.value}
        )
    except DBAPIError as error:
        taken = {"tenant_factor_set_code_key": lambda: SET_CODE_TAKEN(path=("code",), code=made.code)}
        raise translate(error, taken) from error


async def insert_version(unit: UnitOfWork, made: SetVersion) -> None:
    """Errors: FACTOR_SET_IN_THE_MAKING when another writer was faster."""
    values = {"set_id": made.set_id, "version": made.version, "reason": made.reason, "drafted_by": made.drafted_by}
    try:
        await unit.execute(tenant_factor_version.insert(), values | {"tenant_id": unit.tenant_id})
    except DBAPIError as error:
        taken = VERSION_IN_THE_MAKING(path=("id",), version=made.version)
        names = dict.fromkeys(("one_version_in_the_making", "tenant_factor_version_pkey"), lambda: taken)
        raise translate(error, names) from error


async def move(unit: UnitOfWork, version: SetVersion) -> None:
    """Keep the state of a version and who brought it there. Errors: FACTOR_SET_APPROVED_BY_ITS_MAKER."""
    kept = ("proposed_by", "proposed_at", "approved_by", "approved_at", "ended_by", "ended_at", "ended_because")
    values = {name: getattr(version, name) for name in kept} | {"state": version.state.value}
    where = and_(_V.set_id == version.set_id, _V.version == version.version)
    try:
        await unit.execute(tenant_factor_version.update().where(where).values(values))
    except DBAPIError as error:
        raise translate(error, {"approved_by_others": lambda: APPROVED_BY_ITS_MAKER(path=("id",))}) from error


async def lock(unit: UnitOfWork, set_id: UUID) -> None:
    """Those who change one set take turns."""
    await unit.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('factor set', 0) # hashtextextended(:key, 0))",
        {"key": str(set_id)},
    )


async def sets(session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None) -> dict[UUID, OwnSet]:
    """By id; with a principal, only those it may read."""
    statement = select(tenant_factor_set).where(_S.id.in_(keys), *_may_read(principal))
    return {row.id: _set(row) for row in await session.rows(statement)}


async def page_of_sets(session: ReadSession, principal: Principal, request: PageRequest) -> Page[OwnSet]:
    """Those the caller may read, by code."""
    statement = keyset(select(tenant_factor_set).where(*_may_read(principal)), request, _S.code, _S.id)
    rows = [_set(row) for row in await session.rows(statement)]
    return Page.cut(rows, request, lambda s: (s.code, s.id))


async def versions_of(session: ReadSession, set_ids: Sequence[UUID]) -> dict[UUID, list[SetVersion]]:
    """All versions of sets, oldest first."""
    statement = select(tenant_factor_version).where(_V.set_id.in_(set_ids)).order_by(_V.set_id, _V.version)
    found: dict[UUID, list[SetVersion]] = {}
    for row in await session.rows(statement):
        found.setdefault(row.set_id, []).append(_version(row))
    return found


def _held_in(version: int) -> ColumnElement[bool]:
    return and_(_F.from_version <= version, or_(_F.until_version.is_(None), _F.until_version > version))


async def values_in(session: ReadSession, set_id: UUID, version: int) -> list[Factor]:
    """All that a version holds."""
    statement = _FACTOR.where(_F.set_id == set_id, _held_in(version))
    return [_factor(row, row.set_code) for row in await session.rows(statement)]


async def page_of_values(session: ReadSession, set_id: UUID, version: int, request: PageRequest) -> Page[Factor]:
    """What a version holds, by material and id."""
    statement = keyset(_FACTOR.where(_F.set_id == set_id, _held_in(version)), request, _F.code, _F.id)
    rows = [_factor(row, row.set_code) for row in await session.rows(statement)]
    return Page.cut(rows, request, lambda f: (f.code, f.id))


async def values(session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None) -> dict[UUID, Factor]:
    """By id, those that hold no longer too: coefficients go on naming them."""
    statement = _FACTOR.where(_F.id.in_(keys), *_may_read(principal))
    return {row.id: _factor(row, row.set_code) for row in await session.rows(statement)}


async def owners_of_values(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, UUID]:
    """The organisation each value belongs to."""
    rows = await session.rows(select(_F.id, _S.organisation_id).join(tenant_factor_set, _OF_SET).where(_F.id.in_(keys)))
    return {row.id: row.organisation_id for row in rows}


async def insert_values(unit: UnitOfWork, made: Sequence[Factor], recorded_by: UUID) -> None:
    """Errors: FACTOR_KEY_TAKEN when another writer was faster."""
    rows = [
        {name: getattr(f, name) for name in _FIELDS}
        | {"tenant_id": unit.tenant_id, "recorded_by": recorded_by}
        | {"parameter": f.parameter.value, "provenance": f.provenance.value}
        for f in made
    ]
    try:
        await unit.execute(tenant_factor.insert(), rows)
    except DBAPIError as error:
        words = {"parameter": "?", "material": "?", "region": "?", "year": "?", "value": "?"}
        taken = {"one_value_per_key": lambda: FACTOR_KEY_TAKEN(path=("rows",), **words)}
        raise translate(error, taken) from error


async def end_values(unit: UnitOfWork, version: int, keys: Sequence[UUID]) -> None:
    """Take values out of a draft: those it brought vanish, older ones hold until it."""
    given = {"version": version, "keys": list(keys)}
    await unit.execute("DELETE FROM tenant_factor WHERE id = ANY (:keys) AND from_version = :version", given)
    await unit.execute(
        "UPDATE tenant_factor SET until_version = :version WHERE id = ANY (:keys) AND until_version IS NULL", given
    )


async def undo_draft(unit: UnitOfWork, set_id: UUID, version: int) -> None:
    """Take back everything a draft changed."""
    given = {"set": set_id, "version": version}
    await unit.execute("DELETE FROM tenant_factor WHERE set_id = :set AND from_version = :version", given)
    await unit.execute(
        "UPDATE tenant_factor SET until_version = NULL WHERE set_id = :set AND until_version = :version", given
    )


# Of the approved versions: the one in force, and those that streams or boundaries name.
_NEEDED: Final = """
SELECT s.code || '@' || v.version AS ref, s.id AS set_id, s.name_zh, s.name_en, s.purpose, v.version
FROM tenant_factor_version v
JOIN tenant_factor_set s ON s.tenant_id = v.tenant_id AND s.id = v.set_id
WHERE v.approved_by IS NOT NULL AND (v.state = 'APPROVED'
  OR EXISTS (SELECT FROM boundary_setting b
             WHERE b.tenant_id = s.tenant_id AND b.key = 'FACTOR_SET' AND b.superseded_at IS NULL
               AND b.value = to_jsonb(s.code || '@' || v.version))
  OR EXISTS (SELECT FROM emission_stream t
             WHERE t.tenant_id = s.tenant_id AND t.factor_set = s.code || '@' || v.version))
ORDER BY s.code, v.version
"""


async def in_use(session: ReadSession) -> tuple[list[FactorSet], list[Factor]]:
    """Versions that are in force or named somewhere, as sets called CODE@VERSION, with their values."""
    found = await session.rows(_NEEDED)
    if not found:
        return [], []
    sets_ = [FactorSet(r.ref, Purpose(r.purpose), False, r.name_zh, r.name_en, r.set_id) for r in found]
    versions: dict[UUID, list[tuple[int, str]]] = {}
    for r in found:
        versions.setdefault(r.set_id, []).append((r.version, r.ref))
    rows = await session.rows(select(tenant_factor).where(_F.set_id.in_(list(versions))))
    factors = [
        _factor(row, ref)
        for row in rows
        for version, ref in versions[row.set_id]
        if row.from_version <= version and (row.until_version is None or row.until_version > version)
    ]
    return sets_, factors


async def today(session: ReadSession) -> date:
    """The day in the tenant's zone."""
    day: date = await session.scalar("SELECT tenant_today()")
    return day


async def offered_at(session: ReadSession, organisation_ids: Collection[UUID]) -> dict[UUID, frozenset[UUID]]:
    """For each organisation the sets of organisations at or above it."""
    rows = await session.rows(
        """
        SELECT c.descendant_id, array_agg(DISTINCT s.id) AS sets FROM tenant_factor_set s
        JOIN organisation_closure c ON c.tenant_id = s.tenant_id AND c.ancestor_id = s.organisation_id
        WHERE c.descendant_id = ANY (:keys) GROUP BY c.descendant_id
        """,
        {"keys": list(organisation_ids)},
    )
    return {row.descendant_id: frozenset(row.sets) for row in rows}


async def names(session: ReadSession) -> list[FactorSet]:
    """All sets of the tenant by their bare code."""
    rows = await session.rows(select(tenant_factor_set))
    return [FactorSet(r.code, Purpose(r.purpose), False, r.name_zh, r.name_en, r.id) for r in rows]


def in_the_making(versions: Sequence[SetVersion]) -> SetVersion | None:
    """The version that is a draft or proposed; there is at most one."""
    return next((v for v in versions if v.state in IN_THE_MAKING), None)

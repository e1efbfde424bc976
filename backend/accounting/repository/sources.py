"""SQL of sources and their streams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, exists, func, literal, select, table
from sqlalchemy import column as sql_column
from sqlalchemy.exc import DBAPIError

from backend.accounting.domain.factors import UNKNOWN_FACTOR_SET, Purpose
from backend.accounting.domain.sources import (
    SOURCE_CODE_TAKEN,
    STREAM_CODE_TAKEN,
    Cadence,
    Category,
    DirectKind,
    EmissionSource,
    Flow,
    Programme,
    Stream,
    Subtype,
)
from backend.accounting.tables.sources import emission_source, emission_stream
from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from tenants.access import Permission, Principal, within

_REACH: Final = table("organisation_reach", sql_column("ancestor_id"), sql_column("descendant_id"))
_SOURCE: Final[Select[Any]] = select(emission_source)
_STREAM: Final[Select[Any]] = select(emission_stream)


def may_read(principal: Principal) -> Any:
    """SQL: the source of the row lies where the caller may read emissions."""
    return within(principal, Permission.EMISSION_READ, emission_source.c.organisation_id)


def below(organisation_id: UUID) -> Any:
    """SQL: the source of the row belongs to the organisation or to one below it."""
    return exists(
        select(literal(1)).where(
            _REACH.c.ancestor_id == organisation_id, _REACH.c.descendant_id == emission_source.c.organisation_id
        )
    )


def _source(row: Row[Any]) -> EmissionSource:
    return EmissionSource(
        id=row.id,
        organisation_id=row.organisation_id,
        code=row.code,
        name_zh=row.name_zh,
        name_en=row.name_en,
        category=Category(row.category),
        direct_kind=row.direct_kind and DirectKind(row.direct_kind),
        unit_id=row.unit_id,
        device_id=row.device_id,
        subtype=row.subtype and Subtype(row.subtype),
        evidence_required=row.evidence_required,
    )


def _stream(row: Row[Any]) -> Stream:
    return Stream(
        id=row.id,
        source_id=row.source_id,
        code=row.code,
        name_zh=row.name_zh,
        name_en=row.name_en,
        material=row.material,
        flow=Flow(row.flow),
        programme=Programme(row.programme),
        unit=row.unit,
        gas=row.gas,
        factor_set=row.factor_set,
        region=row.region,
        factor_year=row.factor_year,
        own_factor=row.own_factor,
        own_factor_source=row.own_factor_source,
        cadence=Cadence(row.cadence),
        evidence_required=row.evidence_required,
        technology=row.technology,
    )


async def insert_sources(unit: UnitOfWork, made: Sequence[EmissionSource]) -> None:
    """A source needs a method that counts before its transaction ends (`methods.insert_choices`).

    Errors: SOURCE_CODE_TAKEN when another writer was faster.
    """
    rows = [
        {
            "tenant_id": unit.tenant_id,
            "id": s.id,
            "organisation_id": s.organisation_id,
            "code": s.code,
            "name_zh": s.name_zh,
            "name_en": s.name_en,
            "category": s.category.value,
            "direct_kind": s.direct_kind and s.direct_kind.value,
            "unit_id": s.unit_id,
            "device_id": s.device_id,
            "subtype": s.subtype and s.subtype.value,
            "evidence_required": s.evidence_required,
        }
        for s in made
    ]
    try:
        await unit.execute(emission_source.insert(), rows)
    except DBAPIError as error:
        code = ", ".join(s.code for s in made[:3])
        raise translate(error, {"emission_source_code_key": lambda: SOURCE_CODE_TAKEN(code=code)}) from error


async def insert_streams(unit: UnitOfWork, made: Sequence[Stream]) -> None:
    """Errors: STREAM_CODE_TAKEN; UNKNOWN_FACTOR_SET for one of an organisation that is not at or above the source."""
    names = [c.name for c in emission_stream.c if c.name not in {"tenant_id", "created_at", "flow", "programme"}]
    rows = [
        {n: getattr(s, n) for n in names}
        | {"tenant_id": unit.tenant_id, "flow": s.flow.value, "programme": s.programme.value}
        for s in made
    ]
    try:
        await unit.execute(emission_stream.insert(), rows)
    except DBAPIError as error:
        code = ", ".join(s.code for s in made[:3])
        named = ", ".join(sorted({s.factor_set for s in made if s.factor_set}))
        unknown = UNKNOWN_FACTOR_SET(path=("factorSet",), name=named, purpose=Purpose.INVENTORY, known="-")
        taken = {
            "emission_stream_code_key": lambda: STREAM_CODE_TAKEN(code=code),
            "factor_set_is_offered": lambda: unknown,
        }
        raise translate(error, taken) from error


async def codes_taken(session: ReadSession, wanted: Sequence[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Which of these (organisation, code) pairs exist already."""
    rows = await session.rows(
        """
        SELECT s.organisation_id, s.code FROM emission_source s
        JOIN unnest(CAST(:organisations AS uuid[]), CAST(:codes AS text[])) AS w (organisation_id, code)
          ON s.organisation_id = w.organisation_id AND s.code = w.code
        """,
        {"organisations": [w[0] for w in wanted], "codes": [w[1] for w in wanted]},
    )
    return {(r.organisation_id, r.code) for r in rows}


async def set_subtype(unit: UnitOfWork, source_id: UUID, subtype: Subtype | None) -> None:
    of = emission_source.c
    await unit.execute(emission_source.update().where(of.id == source_id).values(subtype=subtype and subtype.value))


async def organisations_known(session: ReadSession, keys: Iterable[UUID]) -> set[UUID]:
    """Which of these organisations the tenant has: a role that holds everywhere does not make one exist."""
    rows = await session.rows("SELECT id FROM organisation WHERE id = ANY (:keys)", {"keys": list(keys)})
    return {r.id for r in rows}


async def sources(
    session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None
) -> dict[UUID, EmissionSource]:
    """By id; with a principal, only those it may read."""
    statement = _SOURCE.where(emission_source.c.id.in_(keys))
    if principal is not None:
        statement = statement.where(may_read(principal))
    return {row.id: _source(row) for row in await session.rows(statement)}


async def page_of_sources(
    session: ReadSession,
    principal: Principal,
    organisation_id: UUID | None,
    request: PageRequest,
    *conditions: Any,
) -> Page[EmissionSource]:
    """Those the caller may read, of one organisation and what lies below it, by code."""
    statement = _SOURCE.where(may_read(principal), *conditions)
    if organisation_id is not None:
        statement = statement.where(below(organisation_id))
    statement = keyset(statement, request, emission_source.c.code, emission_source.c.id)
    rows = [_source(row) for row in await session.rows(statement)]
    return Page.cut(rows, request, lambda s: (s.code, s.id))


async def streams(session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None) -> dict[UUID, Stream]:
    """By id; with a principal, only those of sources it may read."""
    # One parameter, however many keys: imports ask for thousands.
    statement = _STREAM.where(emission_stream.c.id == func.any(list(keys)))
    if principal is not None:
        statement = statement.join(emission_source).where(may_read(principal))
    return {row.id: _stream(row) for row in await session.rows(statement)}


async def streams_of(session: ReadSession, source_ids: Sequence[UUID]) -> dict[UUID, list[Stream]]:
    """The streams of each source, by code; no permission is asked: the caller has the sources already."""
    statement = _STREAM.where(emission_stream.c.source_id.in_(source_ids)).order_by(emission_stream.c.code)
    found: dict[UUID, list[Stream]] = {}
    for row in await session.rows(statement):
        found.setdefault(row.source_id, []).append(_stream(row))
    return found

"""SQL of emission units, devices and packs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Row, Table, exists, literal, select, table
from sqlalchemy import column as sql_column
from sqlalchemy.exc import DBAPIError

from backend.accounting.domain.packs import PACK_CODE_TAKEN, Pack
from backend.accounting.domain.sources import EmissionSource
from backend.accounting.domain.units import UNIT_CODE_TAKEN, UNIT_PARENT, EmissionDevice, EmissionUnit, UnitKind
from backend.accounting.repository.sources import page_of_sources
from backend.accounting.tables.sources import emission_source
from backend.accounting.tables.units import emission_device, emission_unit, source_pack
from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.errors import CodedError
from backend.kit.ids import uuid7
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from tenants.access import Permission, Principal, within
from tenants.commands import plain

_REACH: Final = table("organisation_reach", sql_column("ancestor_id"), sql_column("descendant_id"))
_PACK: Final = TypeAdapter(Pack)


def at_or_below(organisation_id: UUID, column: Any) -> Any:
    """SQL: the row belongs to the organisation or to one below it."""
    return exists(select(literal(1)).where(_REACH.c.ancestor_id == organisation_id, _REACH.c.descendant_id == column))


def _unit(row: Row[Any]) -> EmissionUnit:
    return EmissionUnit(
        row.id, row.organisation_id, row.parent_id, row.code, row.name_zh, row.name_en, row.process, UnitKind(row.kind)
    )


def _device(row: Row[Any]) -> EmissionDevice:
    names = EmissionDevice.__dataclass_fields__
    return EmissionDevice(**{name: getattr(row, name) for name in names})


async def insert(unit: UnitOfWork, units: Sequence[EmissionUnit], devices: Sequence[EmissionDevice]) -> None:
    """Errors: UNIT_CODE_TAKEN when another writer was faster."""
    for into, made in ((emission_unit, units), (emission_device, devices)):
        rows = [{"tenant_id": unit.tenant_id, **asdict(row)} for row in made]
        if not rows:
            continue
        try:
            await unit.execute(into.insert(), rows)
        except DBAPIError as error:
            raise translate(error, _refusals(rows[0]["code"])) from error


def _refusals(code: str) -> dict[str, Callable[[], CodedError]]:
    def taken() -> CodedError:
        return UNIT_CODE_TAKEN(path=("code",), code=code)

    def misplaced() -> CodedError:
        return UNIT_PARENT(path=("code",), kind=code, given="its parent is a system", given_zh="其上级为系统")

    return {
        "emission_unit_code_key": taken,
        "emission_device_code_key": taken,
        "systems_lie_in_groups": misplaced,
    }


async def codes_at(session: ReadSession, organisation_id: UUID) -> dict[str, tuple[str, UUID]]:
    """What the codes of units and devices of a site mean: UNIT or DEVICE, and its id."""
    rows = await session.rows(
        """
        SELECT code, 'UNIT' AS kind, id FROM emission_unit WHERE organisation_id = :at
        UNION ALL SELECT code, 'DEVICE', id FROM emission_device WHERE organisation_id = :at
        """,
        {"at": organisation_id},
    )
    return {r.code: (r.kind, r.id) for r in rows}


def _seen(of: Table, principal: Principal | None) -> Any:
    statement = select(of)
    return (
        statement.where(within(principal, Permission.EMISSION_READ, of.c.organisation_id)) if principal else statement
    )


async def units(
    session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None
) -> dict[UUID, EmissionUnit]:
    """By id; with a principal, only those it may read."""
    rows = await session.rows(_seen(emission_unit, principal).where(emission_unit.c.id.in_(keys)))
    return {row.id: _unit(row) for row in rows}


async def devices(
    session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None
) -> dict[UUID, EmissionDevice]:
    """By id; with a principal, only those it may read."""
    rows = await session.rows(_seen(emission_device, principal).where(emission_device.c.id.in_(keys)))
    return {row.id: _device(row) for row in rows}


async def page_of_units(
    session: ReadSession, principal: Principal, organisation_id: UUID | None, request: PageRequest
) -> Page[EmissionUnit]:
    statement = _seen(emission_unit, principal)
    if organisation_id is not None:
        statement = statement.where(at_or_below(organisation_id, emission_unit.c.organisation_id))
    rows = await session.rows(keyset(statement, request, emission_unit.c.code, emission_unit.c.id))
    return Page.cut([_unit(r) for r in rows], request, lambda u: (u.code, u.id))


async def page_of_devices(
    session: ReadSession, principal: Principal, unit_id: UUID, request: PageRequest
) -> Page[EmissionDevice]:
    """The devices of a unit and of the systems in it."""
    systems = select(emission_unit.c.id).where(emission_unit.c.parent_id == unit_id)
    of = emission_device.c.unit_id
    statement = _seen(emission_device, principal).where((of == unit_id) | of.in_(systems))
    rows = await session.rows(keyset(statement, request, emission_device.c.code, emission_device.c.id))
    return Page.cut([_device(r) for r in rows], request, lambda d: (d.code, d.id))


async def page_of_sources_at(
    session: ReadSession, principal: Principal, unit_id: UUID | None, device_id: UUID | None, request: PageRequest
) -> Page[EmissionSource]:
    """Sources bound to a unit (or a system in it), or to a device."""
    systems = select(emission_unit.c.id).where((emission_unit.c.parent_id == unit_id) | (emission_unit.c.id == unit_id))
    where = emission_source.c.device_id == device_id if device_id else emission_source.c.unit_id.in_(systems)
    return await page_of_sources(session, principal, None, request, where)


async def bind(unit: UnitOfWork, source_id: UUID, unit_id: UUID | None, device_id: UUID | None) -> None:
    await unit.execute(
        "UPDATE emission_source SET unit_id = :unit, device_id = :device WHERE id = :id",
        {"unit": unit_id, "device": device_id, "id": source_id},
    )


async def site_kind(session: ReadSession, organisation_id: UUID) -> tuple[str, str] | None:
    """Kind and code of an organisation."""
    row = await session.first("SELECT kind, code FROM organisation WHERE id = :id", {"id": organisation_id})
    return row and (row.kind, row.code)


async def insert_pack(unit: UnitOfWork, pack: Pack) -> None:
    """Errors: PACK_CODE_TAKEN."""
    row = {"tenant_id": unit.tenant_id, "id": uuid7(), "code": pack.code, "name_zh": pack.name_zh}
    try:
        await unit.execute(source_pack.insert(), row | {"content": plain(pack)})
    except DBAPIError as error:
        taken = lambda: PACK_CODE_TAKEN(path=("code",), code=pack.code)  # noqa: E731
        raise translate(error, {"source_pack_code_key": taken}) from error


async def own_packs(session: ReadSession) -> dict[str, Pack]:
    """The tenant's own packs, by code."""
    rows = await session.rows("SELECT content FROM source_pack ORDER BY code")
    return {pack.code: pack for pack in (_PACK.validate_python(r.content) for r in rows)}

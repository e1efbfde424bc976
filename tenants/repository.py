"""All SQL of the tenants slice. Takes a session that is bound to its tenant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from asyncpg import Range
from sqlalchemy import Row, Select, func, select, tuple_

from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from tenants.access import Grant, Permission, Principal, Role, within
from tenants.domain import LeavingReason, NewOrganisation, Organisation, OrganisationKind
from tenants.tables import organisation, organisation_link

_ENTERED: Final = func.lower(organisation.c.present)
_ORGANISATION: Final[Select[Any]] = select(
    organisation,
    func.lower(organisation.c.present).label("entered_on"),
    func.upper(organisation.c.present).label("left_on"),
)


def _organisation(row: Row[Any]) -> Organisation:
    return Organisation(
        id=row.id,
        kind=OrganisationKind(row.kind),
        code=row.code,
        name_zh=row.name_zh,
        name_en=row.name_en,
        credit_code=row.credit_code,
        address=row.address,
        division_code=row.division_code,
        industry_code=row.industry_code,
        founded_on=row.founded_on,
        business=row.business,
        capacity=row.capacity,
        entered_on=row.entered_on,
        left_on=row.left_on,
        left_because=row.left_because and LeavingReason(row.left_because),
        version=row.version,
    )


async def lock_tree(unit: UnitOfWork) -> None:
    """Writers of one tenant's tree go one at a time; readers do not wait."""
    await unit.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('tree', 0) # hashtextextended(:t, 0))",
        {"t": str(unit.tenant_id)},
    )


async def insert_organisation(unit: UnitOfWork, new: NewOrganisation) -> Organisation:
    key = uuid7()
    row = asdict(new.profile) | {
        "tenant_id": unit.tenant_id,
        "id": key,
        "kind": new.kind.value,
        "present": Range(new.entered_on, None),
    }
    await unit.execute(organisation.insert(), row)
    if new.parent_id is not None:
        await insert_link(unit, key, new)
    return (await organisations(unit, [key]))[key]


async def insert_link(unit: UnitOfWork, child_id: UUID, new: NewOrganisation) -> None:
    row = asdict(new.ownership) | {
        "tenant_id": unit.tenant_id,
        "id": uuid7(),
        "child_id": child_id,
        "parent_id": new.parent_id,
        "valid": Range(new.entered_on, None),
        "reason": new.reason,
    }
    await unit.execute(organisation_link.insert(), row)


async def organisations(
    session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None
) -> dict[UUID, Organisation]:
    """By id; with a principal, only those it may read."""
    statement = _ORGANISATION.where(organisation.c.id.in_(keys))
    if principal is not None:
        statement = statement.where(within(principal, Permission.ORGANISATION_READ, organisation.c.id))
    rows = await session.rows(statement)
    return {row.id: _organisation(row) for row in rows}


async def page_of_organisations(session: ReadSession, principal: Principal, request: PageRequest) -> Page[Organisation]:
    """Those the caller may read, by code."""
    visible = within(principal, Permission.ORGANISATION_READ, organisation.c.id)
    statement = _ORGANISATION.where(visible).order_by(organisation.c.code, organisation.c.id).limit(request.first + 1)
    if request.after is not None:
        statement = statement.where(tuple_(organisation.c.code, organisation.c.id) > request.after)
    rows = [_organisation(row) for row in await session.rows(statement)]
    return Page.cut(rows, request, lambda o: (o.code, o.id))


_GRANTS: Final = """
SELECT a.id, a.role, a.organisation_id, upper(a.valid) AS until
FROM role_assignment a
WHERE a.member_id = :member_id AND a.revoked_at IS NULL
  AND a.valid @> (now() AT TIME ZONE 'Asia/Shanghai')::date
ORDER BY a.id
"""


async def grants_of(session: ReadSession, member_id: UUID) -> tuple[Grant, ...]:
    """The role assignments of a member that are in force today."""
    rows = await session.rows(_GRANTS, {"member_id": member_id})
    return tuple(Grant(r.id, Role(r.role), r.organisation_id, r.until) for r in rows)

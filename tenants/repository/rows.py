"""From rows to organisations, and the conditions that several statements share."""

from __future__ import annotations

from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Date, Row, Select, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

from backend.kit.database import ReadSession
from tenants.domain.organisations import EnteringReason, LeavingReason, Organisation, OrganisationKind, Ownership
from tenants.domain.tree import Link
from tenants.tables import organisation, organisation_link

COLUMNS: Final[tuple[Any, ...]] = (
    *(c for c in organisation.c if c.name not in {"tenant_id", "search", "created_at", "present"}),
    func.lower(organisation.c.present).label("entered_on"),
    func.upper(organisation.c.present).label("left_on"),
)
ORGANISATION: Final[Select[Any]] = select(*COLUMNS)


def to_organisation(row: Row[Any]) -> Organisation:
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
        entered_because=EnteringReason(row.entered_because),
        left_on=row.left_on,
        left_because=row.left_because and LeavingReason(row.left_because),
        version=row.version,
    )


LINK: Final[Select[Any]] = select(
    organisation_link,
    func.lower(organisation_link.c.valid).label("valid_from"),
    func.upper(organisation_link.c.valid).label("valid_until"),
)


def to_link(row: Row[Any]) -> Link:
    ownership = Ownership(row.equity_share.normalize(), row.operational_control, row.financial_control)
    return Link(row.id, row.child_id, row.parent_id, row.valid_from, row.valid_until, ownership, row.reason)


def day(as_of: date | None) -> ColumnElement[date]:
    """The day asked for, or the tenant's today; evaluated once per statement."""
    return literal(as_of, Date) if as_of is not None else select(func.tenant_today()).scalar_subquery()


def holds(valid: ColumnElement[Any], as_of: date | None) -> ColumnElement[bool]:
    """The range contains the day."""
    return valid.bool_op("@>")(cast(day(as_of), Date))


def uuids(keys: Any) -> ColumnElement[Any]:
    return literal(list(keys), ARRAY(Uuid))


def is_one_of(column: ColumnElement[UUID], keys: Any) -> ColumnElement[bool]:
    return column == uuids(keys).any_()


async def today(session: ReadSession) -> date:
    """The calendar day where the tenant reports."""
    found: date = await session.scalar("SELECT tenant_today()")
    return found

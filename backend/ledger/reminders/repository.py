"""All SQL of reminders."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, func, select
from sqlalchemy.dialects.postgresql import insert

from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from backend.ledger.reminders.domain import Acknowledgement, Reminder
from backend.ledger.reminders.tables import compliance_reminder, reminder_acknowledgement
from tenants.access import Permission, Principal, within

_ack = reminder_acknowledgement
_REMINDER: Final[Select[Any]] = select(
    compliance_reminder, _ack.c.acknowledged_at, _ack.c.acknowledged_by, func.coalesce(_ack.c.note, "").label("note")
).outerjoin(
    _ack, (_ack.c.tenant_id == compliance_reminder.c.tenant_id) & (_ack.c.reminder_id == compliance_reminder.c.id)
)
_MADE: Final = ("id", "organisation_id", "obligation_id", "market", "year", "day", "rule", "days_before", "open_t")


async def make(unit: UnitOfWork, due: Sequence[Reminder]) -> int:
    """Make those that were not made before; how many there were."""
    if not due:
        return 0
    rows = [{name: getattr(r, name) for name in _MADE} | {"tenant_id": unit.tenant_id} for r in due]
    once = insert(compliance_reminder).values(rows).on_conflict_do_nothing(constraint="reminded_once")
    return await unit.execute(once)


async def acknowledge(unit: UnitOfWork, given: Acknowledgement, member_id: UUID) -> bool:
    """Record who took notice; False when somebody did before."""
    row = {"tenant_id": unit.tenant_id, "reminder_id": given.reminder_id, "acknowledged_by": member_id}
    statement = insert(_ack).values(row | {"note": given.note}).on_conflict_do_nothing(constraint="acknowledged_once")
    return bool(await unit.execute(statement))


async def reminders(
    session: ReadSession, keys: Collection[UUID], principal: Principal | None = None
) -> dict[UUID, Reminder]:
    """By id; with a principal, only those of organisations whose assets it may read."""
    statement = _REMINDER.where(compliance_reminder.c.id.in_(keys))
    if principal is not None:
        statement = statement.where(_visible(principal))
    return {row.id: _reminder(row) for row in await session.rows(statement)}


async def page_of_reminders(
    session: ReadSession,
    principal: Principal,
    request: PageRequest,
    organisation_id: UUID | None,
    *,
    acknowledged: bool | None,
) -> Page[Reminder]:
    """The latest first."""
    statement = _REMINDER.where(_visible(principal))
    if organisation_id is not None:
        statement = statement.where(compliance_reminder.c.organisation_id == organisation_id)
    if acknowledged is not None:
        at = _ack.c.acknowledged_at
        statement = statement.where(at.isnot(None) if acknowledged else at.is_(None))
    rows = await session.rows(keyset(statement, request, compliance_reminder.c.id, latest_first=True))
    return Page.cut([_reminder(row) for row in rows], request, lambda r: (r.id,))


def _visible(principal: Principal) -> Any:
    return within(principal, Permission.ASSET_READ, compliance_reminder.c.organisation_id)


def _reminder(row: Row[Any]) -> Reminder:
    return Reminder(**{name: getattr(row, name) for name in Reminder.__dataclass_fields__})

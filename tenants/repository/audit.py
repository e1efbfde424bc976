"""Reading the record of changes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Row, or_, select

from backend.kit.database import ReadSession
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from tenants.access import Permission, Principal, within
from tenants.domain.audit import AuditEvent
from tenants.repository.rows import is_one_of
from tenants.tables import audit_trail


def _event(row: Row[Any]) -> AuditEvent:
    return AuditEvent(
        id=row.id,
        at=row.at,
        member_id=row.member_id,
        operation=row.operation,
        organisation_id=row.organisation_id,
        subject_type=row.subject_type,
        subject_id=row.subject_id,
        before=row.before,
        after=row.after,
        correlation_id=row.correlation_id,
    )


async def audit_events(session: ReadSession, keys: Collection[UUID], principal: Principal) -> dict[UUID, AuditEvent]:
    """By id, those the caller may see."""
    visible = within(principal, Permission.AUDIT_READ, audit_trail.c.organisation_id)
    rows = await session.rows(select(audit_trail).where(is_one_of(audit_trail.c.id, keys), visible))
    return {row.id: _event(row) for row in rows}


async def page_of_audit_events(
    session: ReadSession, principal: Principal, subject_id: UUID | None, request: PageRequest
) -> Page[AuditEvent]:
    """Those the caller may see, the latest first."""
    columns = audit_trail.c
    statement = select(audit_trail).where(within(principal, Permission.AUDIT_READ, columns.organisation_id))
    if subject_id is not None:
        # Two ways, for an event that bears its subject's id is in no index but the primary key. The other index is
        # found only by what it says of itself.
        statement = statement.where(
            columns.subject_id == subject_id, or_(columns.id == subject_id, columns.id != columns.subject_id)
        )
    rows = await session.rows(keyset(statement, request, columns.id, latest_first=True))
    return Page.cut([_event(row) for row in rows], request, lambda e: (e.id,))

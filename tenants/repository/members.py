"""Members and the roles they were given."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from asyncpg import Range
from sqlalchemy import Row, Select, and_, exists, func, literal, or_, select

from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.ids import uuid7
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from tenants.access import Grant, Permission, Principal, Role, within
from tenants.domain.members import (
    AssignmentFilter,
    Member,
    MemberKind,
    MemberStatus,
    NewMember,
    NewRole,
    RoleAssignment,
)
from tenants.repository.rows import holds, is_one_of
from tenants.tables import member, role_assignment

_GRANTS: Final = """
SELECT a.id, a.role, a.organisation_id, upper(a.valid) AS until
FROM role_assignment a JOIN member m ON m.tenant_id = a.tenant_id AND m.id = a.member_id
WHERE a.member_id = :member_id AND a.revoked_at IS NULL AND m.status = 'ACTIVE' AND a.valid @> (SELECT tenant_today())
ORDER BY a.id
"""


async def grants_of(session: ReadSession, member_id: UUID) -> tuple[Grant, ...]:
    """The role assignments of a member that are in force today; none once the member is revoked."""
    rows = await session.rows(_GRANTS, {"member_id": member_id})
    return tuple(Grant(r.id, Role(r.role), r.organisation_id, r.until) for r in rows)


async def lock_members(unit: UnitOfWork) -> None:
    """Who gives and takes roles in one tenant goes one at a time: 'one lead' and 'the last one' are about others."""
    await unit.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('members', 0) # hashtextextended(:t, 0))",
        {"t": str(unit.tenant_id)},
    )


def _member(row: Row[Any]) -> Member:
    kind, status = MemberKind(row.kind), MemberStatus(row.status)
    return Member(row.id, row.issuer, row.subject, kind, row.display_name, status, row.created_at)


_ASSIGNMENT: Final[Select[Any]] = select(
    role_assignment,
    func.lower(role_assignment.c.valid).label("valid_from"),
    func.upper(role_assignment.c.valid).label("valid_until"),
)


def _assignment(row: Row[Any]) -> RoleAssignment:
    return RoleAssignment(
        id=row.id,
        member_id=row.member_id,
        role=row.role,
        organisation_id=row.organisation_id,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        reason=row.reason,
        granted_by=row.granted_by,
        granted_at=row.granted_at,
        revoked_at=row.revoked_at,
    )


def _members_seen(principal: Principal) -> Any:
    """A caller sees himself, and those who hold a role where he may read members (all of them, if everywhere)."""
    holding = exists(
        select(literal(1)).where(
            role_assignment.c.member_id == member.c.id,
            role_assignment.c.revoked_at.is_(None),
            within(principal, Permission.MEMBER_READ, role_assignment.c.organisation_id),
        )
    )
    everywhere = principal.may_everywhere(Permission.MEMBER_READ)
    return literal(True) if everywhere else or_(member.c.id == principal.member_id, holding)


async def members(
    session: ReadSession, keys: Collection[UUID], principal: Principal | None = None
) -> dict[UUID, Member]:
    """By id; with a principal, only those it may see."""
    statement = select(member).where(is_one_of(member.c.id, keys))
    if principal is not None:
        statement = statement.where(_members_seen(principal))
    return {row.id: _member(row) for row in await session.rows(statement)}


async def page_of_members(
    session: ReadSession, principal: Principal, search: str | None, request: PageRequest
) -> Page[Member]:
    """Those the caller may see, in the order they were added."""
    statement = select(member).where(_members_seen(principal))
    if search:
        statement = statement.where(func.strpos(func.folded(member.c.display_name), func.folded(search)) > 0)
    rows = await session.rows(keyset(statement, request, member.c.id))
    return Page.cut([_member(row) for row in rows], request, lambda m: (m.id,))


async def names(session: ReadSession, keys: Collection[UUID]) -> Mapping[UUID, str]:
    """Display names, for messages and for the audit trail."""
    rows = await session.rows(select(member.c.id, member.c.display_name).where(is_one_of(member.c.id, keys)))
    return {row.id: row.display_name for row in rows}


async def insert_member(unit: UnitOfWork, new: NewMember) -> Member | None:
    """The new member; None when the subject is one already."""
    key = uuid7()
    inserted = await unit.execute(
        """
        INSERT INTO member (tenant_id, id, issuer, subject, kind, display_name)
        VALUES (:tenant_id, :id, :issuer, :subject, :kind, :display_name)
        ON CONFLICT ON CONSTRAINT member_subject_key DO NOTHING
        """,
        {
            "tenant_id": unit.tenant_id,
            "id": key,
            "issuer": new.issuer,
            "subject": new.subject,
            "kind": new.kind.value,
            "display_name": new.display_name,
        },
    )
    return (await members(unit, [key]))[key] if inserted else None


async def set_status(unit: UnitOfWork, key: UUID, status: MemberStatus) -> None:
    await unit.execute(member.update().where(member.c.id == key).values(status=status.value))


async def assignments(
    session: ReadSession, keys: Collection[UUID], principal: Principal | None = None
) -> dict[UUID, RoleAssignment]:
    """By id; with a principal, only those it may see."""
    statement = _ASSIGNMENT.where(is_one_of(role_assignment.c.id, keys))
    if principal is not None:
        statement = statement.where(_assignments_seen(principal))
    return {row.id: _assignment(row) for row in await session.rows(statement)}


def _assignments_seen(principal: Principal) -> Any:
    visible = within(principal, Permission.MEMBER_READ, role_assignment.c.organisation_id)
    return or_(role_assignment.c.member_id == principal.member_id, visible)


async def page_of_assignments(
    session: ReadSession, principal: Principal, wanted: AssignmentFilter, request: PageRequest
) -> Page[RoleAssignment]:
    """Those the caller may see, the latest first."""
    columns = role_assignment.c
    statement = _ASSIGNMENT.where(_assignments_seen(principal))
    if wanted.member_id is not None:
        statement = statement.where(columns.member_id == wanted.member_id)
    if wanted.organisation_id is not None:
        statement = statement.where(columns.organisation_id == wanted.organisation_id)
    if wanted.role is not None:
        statement = statement.where(columns.role == wanted.role)
    if wanted.in_force:
        statement = statement.where(columns.revoked_at.is_(None), holds(columns.valid, None))
    rows = await session.rows(keyset(statement, request, columns.id, latest_first=True))
    return Page.cut([_assignment(row) for row in rows], request, lambda a: (a.id,))


async def standing(
    session: ReadSession, role: Role, organisation_id: UUID | None, since: date, until: date | None
) -> Sequence[RoleAssignment]:
    """Assignments of a role at exactly this node that were not revoked and share a day with [since, until)."""
    columns = role_assignment.c
    here = columns.organisation_id.is_(None) if organisation_id is None else columns.organisation_id == organisation_id
    meets = columns.valid.op("&&")(func.daterange(since, until))
    statement = _ASSIGNMENT.where(and_(columns.role == role.value, here, columns.revoked_at.is_(None), meets))
    return [_assignment(row) for row in await session.rows(statement)]


async def live_assignments(session: ReadSession, member_id: UUID) -> Sequence[RoleAssignment]:
    """All of a member that were not revoked, past and future ones too."""
    columns = role_assignment.c
    rows = await session.rows(_ASSIGNMENT.where(columns.member_id == member_id, columns.revoked_at.is_(None)))
    return [_assignment(row) for row in rows]


async def insert_assignment(unit: UnitOfWork, member_id: UUID, new: NewRole, granted_by: UUID | None) -> UUID:
    """Give the role; the id of the assignment."""
    key = uuid7()
    row = {
        "tenant_id": unit.tenant_id,
        "id": key,
        "member_id": member_id,
        "role": new.role,
        "organisation_id": new.organisation_id,
        "valid": Range(new.valid_from, new.valid_until),
        "reason": new.reason,
        "granted_by": granted_by,
    }
    await unit.execute(role_assignment.insert(), row)
    return key


async def revoke(unit: UnitOfWork, keys: Collection[UUID]) -> None:
    statement = role_assignment.update().where(is_one_of(role_assignment.c.id, keys))
    await unit.execute(statement.values(revoked_at=func.now()))

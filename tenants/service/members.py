"""Members and roles (5.3): who is let in, and who may do what where.

Decided: a role is given where the giver may manage members, and it gives nothing that the giver does not hold there
himself. The one exception stands in `access.GRANTS_ANY_ROLE`: an administrator appoints others to every role, never
himself to one that reaches beyond his own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from backend.kit.database import ReadSession
from backend.kit.errors import CodedError, not_found
from backend.kit.pages import Page, PageRequest
from backend.kit.text import tidy
from backend.kit.toolbox import Toolbox
from tenants.access import (
    GRANTS_ANY_ROLE,
    ROLES,
    Grant,
    Permission,
    Principal,
    Role,
    held,
    permitted,
    refusals,
)
from tenants.commands import Actor, Change, Done, perform
from tenants.domain.members import (
    ALREADY_REVOKED,
    LAST_ADMINISTRATOR,
    LEAD_EXISTS,
    MEMBER_EXISTS,
    MEMBER_REVOKED,
    ROLE_BEYOND_OWN,
    ROLE_HELD,
    ROLE_NEEDED,
    ROLE_NEEDS,
    SELF_GRANT,
    AssignmentFilter,
    Member,
    MemberStatus,
    NewMember,
    NewRole,
    RoleAssignment,
    period,
)
from tenants.domain.organisations import wrong
from tenants.repository import members as repository
from tenants.repository.rows import today
from tenants.service.organisations import existing


@dataclass(frozen=True, slots=True)
class Joined:
    """A member and the roles it was given."""

    member: Member
    roles: tuple[RoleAssignment, ...] = ()


@dataclass(frozen=True, slots=True)
class AssignRole:
    """A role to give to a member."""

    member_id: UUID
    role: NewRole


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the caller may do something at a node, by which of its grants, or why not."""

    permission: Permission
    allowed: bool
    via: Grant | None
    refused: CodedError | None


class MemberService:
    """The members of a tenant and their roles."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def add(self, actor: Actor, new: NewMember) -> Done[Joined]:
        """Let somebody in, with the roles to begin with; without any, only who manages the whole tenant may.

        Errors: FORBIDDEN, NOT_FOUND, MEMBER_EXISTS, and those of `assign`.
        """
        new = replace(new, display_name=tidy(new.display_name), issuer=new.issuer.strip(), subject=new.subject.strip())
        for field, value in (("displayName", new.display_name), ("issuer", new.issuer), ("subject", new.subject)):
            if not 1 <= len(value) <= 300:
                raise wrong(f"{field} must have 1 to 300 characters", f"{field} 须为 1 至 300 个字符", field)

        async def work(change: Change) -> Joined:
            await repository.lock_members(change.unit)
            await _check_place(change, new)
            member = await repository.insert_member(change.unit, new)
            if member is None:
                raise MEMBER_EXISTS(path=("subject",), subject=new.subject, issuer=new.issuer)
            await change.audit("Member", member.id, None, after=member)
            given = [await _assign(change, member, role, ("roles", str(i))) for i, role in enumerate(new.roles)]
            return Joined(member, tuple(given))

        return await perform(self.toolbox, actor, "addMember", new, Joined, work)

    async def revoke(self, actor: Actor, member_id: UUID) -> Done[Joined]:
        """Shut somebody out and take back every role. Errors: FORBIDDEN, NOT_FOUND, ALREADY_REVOKED,
        LAST_ADMINISTRATOR.
        """

        async def work(change: Change) -> Joined:
            await repository.lock_members(change.unit)
            before = await _member(change, member_id)
            roles = await repository.live_assignments(change.unit, member_id)
            for node in {role.organisation_id for role in roles} or {None}:
                await change.require(Permission.MEMBER_MANAGE, node)
            if before.status is MemberStatus.REVOKED:
                raise ALREADY_REVOKED(path=("memberId",))
            await repository.revoke(change.unit, [role.id for role in roles])
            await repository.set_status(change.unit, member_id, MemberStatus.REVOKED)
            await _check_administrator(change, roles)
            after = Joined((await repository.members(change.unit, [member_id]))[member_id])
            await change.audit("Member", member_id, None, before=Joined(before, tuple(roles)), after=after)
            return after

        return await perform(self.toolbox, actor, "revokeMember", {"member": member_id}, Joined, work)

    async def assign(self, actor: Actor, given: AssignRole) -> Done[RoleAssignment]:
        """Give a role. Errors: FORBIDDEN, NOT_FOUND, ROLE_BEYOND_OWN, SELF_GRANT, OVERALL_LEAD_EXISTS (5.3.4),
        ROLE_ALREADY_HELD, ROLE_ASSIGNMENT_INCOMPLETE, MEMBER_IS_REVOKED, INVALID_INPUT.
        """

        async def work(change: Change) -> RoleAssignment:
            await repository.lock_members(change.unit)
            await change.require(Permission.MEMBER_MANAGE, given.role.organisation_id)
            return await _assign(change, await _member(change, given.member_id), given.role, ())

        return await perform(self.toolbox, actor, "assignRole", given, RoleAssignment, work)

    async def revoke_role(self, actor: Actor, assignment_id: UUID) -> Done[RoleAssignment]:
        """Take a role back. Errors: FORBIDDEN, NOT_FOUND, ALREADY_REVOKED, LAST_ADMINISTRATOR."""

        async def work(change: Change) -> RoleAssignment:
            await repository.lock_members(change.unit)
            seen = await repository.assignments(change.unit, [assignment_id], change.actor.principal)
            before = seen.get(assignment_id)
            if before is None:
                raise not_found("RoleAssignment", assignment_id, "roleAssignmentId")
            await change.require(Permission.MEMBER_MANAGE, before.organisation_id)
            if before.revoked_at is not None:
                raise ALREADY_REVOKED(path=("roleAssignmentId",))
            await repository.revoke(change.unit, [assignment_id])
            await _check_administrator(change, [before])
            after = (await repository.assignments(change.unit, [assignment_id]))[assignment_id]
            await change.audit("RoleAssignment", after.id, after.organisation_id, before=before, after=after)
            return after

        return await perform(self.toolbox, actor, "revokeRole", {"assignment": assignment_id}, RoleAssignment, work)

    async def decide(self, principal: Principal, permission: Permission, node: UUID | None) -> Decision:
        """Whether the caller may, and by which grant, the nearest first."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            refused = (await refusals(session, principal, permission, [node])).get(node)
            if refused is not None:
                return Decision(permission, allowed=False, via=None, refused=refused)
            giving = principal.granting(permission)
            via = next((g for g in await held(session, principal, node) if g in giving), None)
            return Decision(permission, allowed=True, via=via, refused=None)

    async def page(self, principal: Principal, search: str | None, request: PageRequest) -> Page[Member]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.page_of_members(session, principal, search and tidy(search), request)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Member]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.members(session, keys, principal)

    async def assignments(
        self, principal: Principal, wanted: AssignmentFilter, request: PageRequest
    ) -> Page[RoleAssignment]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.page_of_assignments(session, principal, wanted, request)

    async def assignments_by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, RoleAssignment]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.assignments(session, keys, principal)


async def acting(session: ReadSession, member_id: UUID) -> Principal:
    """Who a job acts for, with the roles the member has today: none once it is revoked."""
    assert session.tenant_id is not None
    name = (await repository.names(session, [member_id])).get(member_id, "")
    return Principal(session.tenant_id, member_id, name, await repository.grants_of(session, member_id))


async def _check_place(change: Change, new: NewMember) -> None:
    """Whoever is let in gets a role where the caller manages members, or none when that is everywhere."""
    nodes = {role.organisation_id for role in new.roles}
    refused = await change.refusals(Permission.MEMBER_MANAGE, nodes or {None})
    if refused and not nodes:
        raise ROLE_NEEDED(path=("roles",))
    for i, role in enumerate(new.roles):
        if role.organisation_id in refused:
            raise refused[role.organisation_id].at("roles", str(i), "organisationId")


async def _member(change: Change, key: UUID) -> Member:
    """A member the caller can see. Errors: NOT_FOUND."""
    found = (await repository.members(change.unit, [key], change.actor.principal)).get(key)
    if found is None:
        raise not_found("Member", key, "memberId")
    return found


async def _assign(change: Change, member: Member, new: NewRole, path: tuple[str, ...]) -> RoleAssignment:
    role, now = Role(new.role), await today(change.unit)
    if member.status is MemberStatus.REVOKED:
        raise MEMBER_REVOKED(path=("memberId",), name=member.display_name)
    since = new.valid_from or now
    _check_shape(role, new, since, now, path)
    if new.organisation_id is not None:
        await existing(change.unit, new.organisation_id, "organisationId")
    await _check_own(change, member, role, new.organisation_id, path)
    await _check_standing(change, member, role, new, since, path)
    given = replace(new, role=role.value, valid_from=since, reason=tidy(new.reason))
    key = await repository.insert_assignment(change.unit, member.id, given, change.actor.principal.member_id)
    made = (await repository.assignments(change.unit, [key]))[key]
    await change.audit("RoleAssignment", made.id, made.organisation_id, after=made)
    return made


def _check_shape(role: Role, new: NewRole, since: date, now: date, path: tuple[str, ...]) -> None:
    if new.valid_until is not None and new.valid_until <= max(since, now):
        raise wrong(
            "validUntil lies behind validFrom and in the future",
            "validUntil 须晚于 validFrom 且在今天之后",
            *path,
            "validUntil",
        )
    if role is Role.OVERALL_LEAD and new.organisation_id is None:
        need, need_zh = "an organisation: it is about one of them (5.3.4)", "指定组织（5.3.4）"
        raise ROLE_NEEDS(path=(*path, "organisationId"), role=role, need=need, need_zh=need_zh)
    if role is Role.THIRD_PARTY_VERIFIER and new.valid_until is None:
        need, need_zh = "an end: set validUntil", "有期限：请填写 validUntil"
        raise ROLE_NEEDS(path=(*path, "validUntil"), role=role, need=need, need_zh=need_zh)


async def _check_own(change: Change, member: Member, role: Role, node: UUID | None, path: tuple[str, ...]) -> None:
    """Nobody gives more than he holds at the node; an administrator does, to others."""
    principal = change.actor.principal
    own = await held(change.unit, principal, node)
    beyond = ROLES[role] - permitted(principal, own)
    if not beyond:
        return
    if principal.scopes is not None or not any(g.role in GRANTS_ANY_ROLE for g in own):
        raise ROLE_BEYOND_OWN(path=(*path, "role"), role=role, permissions=tuple(sorted(beyond)))
    if member.id == principal.member_id:
        raise SELF_GRANT(path=(*path, "memberId"))


async def _check_standing(
    change: Change, member: Member, role: Role, new: NewRole, since: date, path: tuple[str, ...]
) -> None:
    """One overall lead per organisation at a time (5.3.4); nobody holds the same role at the same node twice."""
    there = await repository.standing(change.unit, role, new.organisation_id, since, new.valid_until)
    for found in there:
        if found.member_id == member.id:
            held_for = period(found.valid_from, found.valid_until)
            raise ROLE_HELD(path=(*path, "role"), name=member.display_name, role=role, period=held_for)
        if role is Role.OVERALL_LEAD:
            names = await repository.names(change.unit, [found.member_id])
            held_for = period(found.valid_from, found.valid_until)
            raise LEAD_EXISTS(path=(*path, "role"), name=names[found.member_id], period=held_for)


async def _check_administrator(change: Change, taken: Sequence[RoleAssignment]) -> None:
    """After roles were taken back, somebody still administers the tenant as a whole."""
    administrator = Role.TENANT_ADMINISTRATOR
    if not any(x.role == administrator and x.organisation_id is None for x in taken):
        return
    now = await today(change.unit)
    left = await repository.standing(change.unit, administrator, None, now, None)
    if not any(x.valid_from <= now for x in left):
        raise LAST_ADMINISTRATOR()

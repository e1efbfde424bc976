"""Members and roles as clients see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import strawberry

from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission, Role
from tenants.context import Info, requires
from tenants.domain import members as domain
from tenants.domain.members import MemberKind, MemberStatus
from tenants.graphql.types import AnOrganisation, readable
from tenants.service import MemberService
from tenants.service.members import AssignRole

for each in (MemberKind, MemberStatus, Role, Permission):
    enum_type(each)

MANAGE: Final = requires(Permission.MEMBER_MANAGE)


@object_type
class Member(Node):
    """A person or a program that belongs to the tenant (成员)."""

    key: strawberry.Private[UUID]
    kind: MemberKind
    """Person or program."""
    display_name: str
    """Name as it is shown."""
    issuer: str
    """Who vouches for the identity: the issuer of the tokens."""
    subject: str
    """How the issuer names the member."""
    status: MemberStatus
    """Whether the member is let in."""
    created_at: datetime
    """When it was added."""

    @classmethod
    def of(cls, record: domain.Member) -> Member:
        return build(cls, record, id=to_id("Member", record.id), key=record.id)


@object_type
class RoleAssignment(Node):
    """A role given to a member, on an organisation and all below it, or in the whole tenant (5.3)."""

    member_key: strawberry.Private[UUID]
    organisation_key: strawberry.Private[UUID | None]
    role: Role
    """The role."""
    everywhere: bool
    """Whether it holds in the whole tenant."""
    valid_from: date
    """First day."""
    valid_until: date | None
    """First day no longer; null without an end."""
    reason: str
    """Why it was given."""
    granted_at: datetime
    """When it was given."""
    revoked_at: datetime | None
    """When it was taken back; null while it was not."""

    @batched
    async def member(parents: list[Any], info: Info) -> list[Member | None]:
        """Who holds it; null when the caller may not see that member."""
        found = await fetch_members([x.member_key for x in parents], info)
        return [found.get(x.member_key) for x in parents]

    @batched
    async def organisation(parents: list[Any], info: Info) -> list[AnOrganisation | None]:
        """Where it holds; null when it holds in the whole tenant, or where the caller may not read it."""
        return await readable(info, [x.organisation_key for x in parents])

    @classmethod
    def of(cls, record: domain.RoleAssignment) -> RoleAssignment:
        return build(
            cls,
            record,
            id=to_id("RoleAssignment", record.id),
            role=Role(record.role),
            everywhere=record.organisation_id is None,
            member_key=record.member_id,
            organisation_key=record.organisation_id,
        )


@input_type
class RoleInput:
    """A role to give."""

    role: Role
    """The role."""
    organisation_id: strawberry.ID | None = None
    """Where it holds, with all below; in the whole tenant when not given."""
    valid_from: date | None = None
    """First day; today when not given."""
    valid_until: date | None = None
    """First day no longer. A third-party verifier needs one."""
    reason: str = ""
    """Why."""

    def record(self, *path: str) -> domain.NewRole:
        node = key_of(self.organisation_id, "Organisation", *path, "organisationId") if self.organisation_id else None
        return build(domain.NewRole, self, role=self.role.value, organisation_id=node)


@input_type
class AddMemberInput(MutationInput):
    """Somebody to let in."""

    issuer: str
    """The issuer of the tokens the member signs in with."""
    subject: str
    """How that issuer names the member (the `sub` of its tokens)."""
    display_name: str
    """Name as it is shown."""
    kind: MemberKind = MemberKind.PERSON
    """Person or program."""
    roles: list[RoleInput] = strawberry.field(default_factory=list)
    """Roles to begin with. Who manages members of a part of the tree only has to give one there."""


@object_type
class AddMemberPayload(Payload):
    """Who was let in."""

    member: Member | None = None
    """The new member."""
    role_assignments: list[RoleAssignment]
    """The roles it begins with."""


@input_type
class RevokeMemberInput(MutationInput):
    """Somebody to shut out."""

    member_id: strawberry.ID
    """The member."""


@object_type
class RevokeMemberPayload(Payload):
    """Who was shut out."""

    member: Member | None = None
    """The member as it now is; it holds no role any more."""


@input_type
class AssignRoleInput(RoleInput, MutationInput):
    """A role for a member."""

    member_id: strawberry.ID
    """Who is to hold it."""


@object_type
class AssignRolePayload(Payload):
    """The role that was given."""

    role_assignment: RoleAssignment | None = None
    """The assignment."""


@input_type
class RevokeRoleInput(MutationInput):
    """A role to take back."""

    role_assignment_id: strawberry.ID
    """The assignment."""


@object_type
class RevokeRolePayload(Payload):
    """The role that was taken back."""

    role_assignment: RoleAssignment | None = None
    """The assignment as it now is."""


@input_type
class RoleAssignmentFilterInput:
    """Which assignments to list; what is not given does not narrow."""

    member_id: strawberry.ID | None = None
    """Of one member."""
    organisation_id: strawberry.ID | None = None
    """Made at one organisation itself."""
    role: Role | None = None
    """Of one role."""
    in_force: bool = False
    """Only those that hold today."""

    def record(self) -> domain.AssignmentFilter:
        return domain.AssignmentFilter(
            key_of(self.member_id, "Member", "filter", "memberId") if self.member_id else None,
            key_of(self.organisation_id, "Organisation", "filter", "organisationId") if self.organisation_id else None,
            self.role.value if self.role else None,
            self.in_force,
        )


SearchArgument = Annotated[str | None, strawberry.argument(description="Text that occurs in the name.")]
FilterArgument = Annotated[RoleAssignmentFilterInput | None, strawberry.argument(description="Which assignments.")]


@object_type
class MemberQueries:
    """Asking for members and roles."""

    @query(requires(Permission.MEMBER_READ))
    async def members(
        self, info: Info, search: SearchArgument = None, first: int | None = None, after: str | None = None
    ) -> Connection[Member]:
        """Members who hold a role where the caller may see members, in the order they were added."""
        service, request = info.context.use(MemberService), PageRequest.read(first, after)
        page = await service.page(info.context.principal, search, request)
        return Connection.of(page.map(Member.of))

    @query(requires(Permission.MEMBER_READ))
    async def role_assignments(
        self, info: Info, filter: FilterArgument = None, first: int | None = None, after: str | None = None
    ) -> Connection[RoleAssignment]:
        """Roles given where the caller may see members, the latest first; past and revoked ones too."""
        service, request = info.context.use(MemberService), PageRequest.read(first, after)
        wanted = filter.record() if filter else domain.AssignmentFilter()
        page = await service.assignments(info.context.principal, wanted, request)
        return Connection.of(page.map(RoleAssignment.of))


@object_type
class MemberMutations:
    """Letting members in and out, giving and taking roles."""

    @mutation(MANAGE)
    async def add_member(self, info: Info, input: AddMemberInput) -> AddMemberPayload:
        """Let a person or a program in, with the roles to begin with."""
        roles = tuple(role.record("roles", str(i)) for i, role in enumerate(input.roles))
        done = await info.context.use(MemberService).add(
            info.context.actor(input), build(domain.NewMember, input, roles=roles)
        )
        given = [RoleAssignment.of(x) for x in done.value.roles]
        return AddMemberPayload(
            errors=[], member=Member.of(done.value.member), role_assignments=given, replayed=done.replayed
        )

    @mutation(MANAGE)
    async def revoke_member(self, info: Info, input: RevokeMemberInput) -> RevokeMemberPayload:
        """Shut a member out and take back all its roles."""
        key = key_of(input.member_id, "Member", "memberId")
        done = await info.context.use(MemberService).revoke(info.context.actor(input), key)
        return RevokeMemberPayload(errors=[], member=Member.of(done.value.member), replayed=done.replayed)

    @mutation(MANAGE)
    async def assign_role(self, info: Info, input: AssignRoleInput) -> AssignRolePayload:
        """Give a member a role. Nobody gives more than he holds there himself; an administrator does, to others."""
        given = AssignRole(key_of(input.member_id, "Member", "memberId"), input.record())
        done = await info.context.use(MemberService).assign(info.context.actor(input), given)
        return AssignRolePayload(errors=[], role_assignment=RoleAssignment.of(done.value), replayed=done.replayed)

    @mutation(MANAGE)
    async def revoke_role(self, info: Info, input: RevokeRoleInput) -> RevokeRolePayload:
        """Take a role back."""
        key = key_of(input.role_assignment_id, "RoleAssignment", "roleAssignmentId")
        done = await info.context.use(MemberService).revoke_role(info.context.actor(input), key)
        return RevokeRolePayload(errors=[], role_assignment=RoleAssignment.of(done.value), replayed=done.replayed)


async def fetch_members(keys: Sequence[UUID], info: Info) -> dict[UUID, Member]:
    found = await info.context.use(MemberService).by_ids(info.context.principal, keys)
    return {key: Member.of(record) for key, record in found.items()}


async def fetch_assignments(keys: Sequence[UUID], info: Info) -> dict[UUID, RoleAssignment]:
    found = await info.context.use(MemberService).assignments_by_ids(info.context.principal, keys)
    return {key: RoleAssignment.of(record) for key, record in found.items()}

"""The caller, its tenant, and the record of changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import Node, from_id, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Grant, Permission, Role
from tenants.context import Info, SignedIn, requires
from tenants.domain import tenant as domain
from tenants.domain.audit import AuditEvent as AuditRecord
from tenants.domain.audit import differences
from tenants.domain.tenant import TenantStatus
from tenants.graphql.members import Member, fetch_members
from tenants.graphql.types import AnOrganisation, readable
from tenants.service import MemberService
from tenants.service.members import Decision
from tenants.service.tenant import TenantService

enum_type(TenantStatus)


@object_type
class TenantSettings:
    """What a tenant says once for all its organisations."""

    reporting_zone: str
    """IANA time zone in which its calendar days begin, Asia/Shanghai unless it says otherwise."""
    deadline_reminder_days: list[int]
    """How many days before a surrender deadline it is reminded, the farthest first; 90, 30, 7 and 1 unless it says
    otherwise. When a deadline has passed it is reminded anyway.
    """

    @classmethod
    def of(cls, settings: domain.TenantSettings) -> TenantSettings:
        return build(cls, settings, deadline_reminder_days=list(settings.deadline_reminder_days))


@object_type
class Tenant:
    """The tenant the caller works in (租户)."""

    slug: str
    """Short name, as in the X-Tenant header."""
    name: str
    """Name."""
    status: TenantStatus
    """Whether it may be written."""
    suspended_because: str | None
    """Why it may not."""
    settings: TenantSettings
    """Its settings."""

    @classmethod
    def of(cls, record: domain.Tenant) -> Tenant:
        return build(cls, record, settings=TenantSettings.of(record.settings))


@object_type
class HeldRole:
    """A role the caller holds today."""

    organisation_key: strawberry.Private[UUID | None]
    role: Role
    """The role."""
    everywhere: bool
    """Whether it holds in the whole tenant."""
    valid_until: date | None
    """First day no longer; null without an end."""

    @batched
    async def organisation(parents: list[Any], info: Info) -> list[AnOrganisation | None]:
        """Where it holds, with all below; null when it holds in the whole tenant."""
        return await readable(info, [held.organisation_key for held in parents])

    @classmethod
    def of(cls, grant: Grant) -> HeldRole:
        return cls(
            organisation_key=grant.organisation_id,
            role=grant.role,
            everywhere=grant.organisation_id is None,
            valid_until=grant.until,
        )


@object_type
class AccessDecision:
    """Whether the caller may do something, and why."""

    allowed: bool
    """Whether it may."""
    permission: Permission
    """What was asked for."""
    because: str
    """In words: the role that gives it, or what is missing."""
    code: str | None
    """The error code a refused mutation would carry; null when it is allowed."""
    via: HeldRole | None
    """The role that gives it, the nearest one; null when it is refused."""

    @classmethod
    def of(cls, decision: Decision, info: Any) -> AccessDecision:
        refused = decision.refused
        if refused is not None:
            because, code = refused.message(info.context.locale), refused.code.name
        else:
            assert decision.via is not None
            because, code = _given_by(decision.via, chinese=info.context.locale == "zh-CN"), None
        via = HeldRole.of(decision.via) if decision.via else None
        return build(cls, decision, because=because, code=code, via=via)


def _given_by(grant: Grant, *, chinese: bool) -> str:
    everywhere = grant.organisation_id is None
    if chinese:
        where = "整个租户" if everywhere else "此组织或其上级"
        return f"您的角色 {grant.role.value} 在{where}授予该权限。"
    where = "in the whole tenant" if everywhere else "on this organisation or one above it"
    return f"Your role {grant.role.value} {where} gives it."


PermissionArgument = Annotated[Permission, strawberry.argument(description="What the caller would do.")]
WhereArgument = Annotated[
    strawberry.ID | None, strawberry.argument(description="At which organisation; in the whole tenant when not given.")
]


@object_type
class Viewer:
    """Who is calling."""

    display_name: str
    """Name of the caller."""

    @batched
    async def tenant(parents: list[Any], info: Info) -> list[Tenant]:
        """The tenant the caller works in."""
        own = Tenant.of(await info.context.use(TenantService).own(info.context.principal))
        return [own for _ in parents]

    @batched
    async def roles(parents: list[Any], info: Info) -> list[list[HeldRole]]:
        """The roles the caller holds today."""
        return [[HeldRole.of(grant) for grant in info.context.principal.grants] for _ in parents]

    @batched
    async def can(
        parents: list[Any], info: Info, permission: PermissionArgument, organisation_id: WhereArgument = None
    ) -> list[AccessDecision]:
        """Whether the caller may do something at an organisation, and why."""
        node = key_of(organisation_id, "Organisation", "organisationId") if organisation_id else None
        decision = await info.context.use(MemberService).decide(info.context.principal, permission, node)
        return [AccessDecision.of(decision, info) for _ in parents]


@object_type
class FieldChange:
    """One field that a change touched; text as it stands, everything else as JSON."""

    field: str
    """Name of the field."""
    before: str | None
    """What it was; null when there was nothing."""
    after: str | None
    """What it became; null when there is nothing any more."""


@object_type
class AuditEvent(Node):
    """Who changed what, and when. Nobody can change it afterwards."""

    member_key: strawberry.Private[UUID | None]
    organisation_key: strawberry.Private[UUID | None]
    recorded_at: datetime
    """When."""
    operation: str
    """The mutation, or what the operator did."""
    subject_type: str
    """Type of what was changed."""
    subject_id: strawberry.ID
    """Global id of what was changed."""
    changes: list[FieldChange]
    """What changed, field by field."""
    correlation_id: str
    """Ties it to the request and its log lines."""

    @batched
    async def member(parents: list[Any], info: Info) -> list[Member | None]:
        """Who did it; null for the operator, and when the caller may not see that member."""
        found = await fetch_members([x.member_key for x in parents if x.member_key], info)
        return [found.get(x.member_key) for x in parents]

    @batched
    async def organisation(parents: list[Any], info: Info) -> list[AnOrganisation | None]:
        """The organisation it concerns; null when it concerns the whole tenant."""
        return await readable(info, [x.organisation_key for x in parents])

    @classmethod
    def of(cls, record: AuditRecord) -> AuditEvent:
        return build(
            cls,
            record,
            id=to_id("AuditEvent", record.id),
            member_key=record.member_id,
            organisation_key=record.organisation_id,
            recorded_at=record.at,
            subject_id=to_id(record.subject_type, record.subject_id),
            changes=[build(FieldChange, change) for change in differences(record)],
        )


@input_type
class UpdateTenantSettingsInput(MutationInput):
    """The settings of the tenant, all of them."""

    reporting_zone: str
    """IANA time zone in which its calendar days begin, such as Asia/Shanghai."""
    deadline_reminder_days: list[int] = strawberry.field(default_factory=lambda: [90, 30, 7, 1])
    """How many days before a surrender deadline it is reminded: at most ten of 1 to 366 days; 90, 30, 7 and 1 when not
    given.
    """


@object_type
class UpdateTenantSettingsPayload(Payload):
    """The tenant with its new settings."""

    tenant: Tenant | None = None
    """The tenant."""


SubjectArgument = Annotated[
    strawberry.ID | None, strawberry.argument(description="Only changes of this object, of whatever type.")
]


@object_type
class TenantQueries:
    """The caller and the record of changes."""

    @query(SignedIn("shows the caller its own membership"))
    async def viewer(self, info: Info) -> Viewer:
        """Who is calling, in which tenant, with which roles."""
        return Viewer(display_name=info.context.principal.display_name)

    @query(requires(Permission.AUDIT_READ))
    async def audit_events(
        self, info: Info, subject_id: SubjectArgument = None, first: int | None = None, after: str | None = None
    ) -> Connection[AuditEvent]:
        """Changes of what lies where the caller may read the audit trail, the latest first."""
        subject = from_id(subject_id, path=("subjectId",))[1] if subject_id else None
        service, request = info.context.use(TenantService), PageRequest.read(first, after)
        page = await service.events(info.context.principal, subject, request)
        return Connection.of(page.map(AuditEvent.of))


@object_type
class TenantMutations:
    """Settings of the tenant."""

    @mutation(requires(Permission.TENANT_MANAGE))
    async def update_tenant_settings(self, info: Info, input: UpdateTenantSettingsInput) -> UpdateTenantSettingsPayload:
        """Change the settings of the tenant."""
        given = domain.TenantSettings(input.reporting_zone, tuple(input.deadline_reminder_days))
        done = await info.context.use(TenantService).update_settings(info.context.actor(input), given)
        return UpdateTenantSettingsPayload(errors=[], tenant=Tenant.of(done.value), replayed=done.replayed)


async def fetch_events(keys: Sequence[UUID], info: Info) -> dict[UUID, AuditEvent]:
    found = await info.context.use(TenantService).events_by_ids(info.context.principal, keys)
    return {key: AuditEvent.of(record) for key, record in found.items()}
